# syntax=docker/dockerfile:1
# docker build --file deploy/server.Dockerfile --tag claiflow-server .
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The cache mounts are gone when this line ends, so the program is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,id=claiflow-target \
    cargo build --release --locked --package claiflow-server --bin claiflow-server \
    && cp target/release/claiflow-server /claiflow-server

# glibc, CA certificates and time zones: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /claiflow-server /app/claiflow-server
WORKDIR /app
USER 1002:1002
# People's routes (on loopback), agents, health and metrics.
EXPOSE 8099 18099 8098
ENTRYPOINT ["/app/claiflow-server"]
