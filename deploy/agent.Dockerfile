# syntax=docker/dockerfile:1
# docker build --file deploy/agent.Dockerfile --tag claiflow-agent .
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The cache mounts are gone when this line ends, so the program is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,id=claiflow-target \
    cargo build --release --locked --package claiflow-agent --bin claiflow-agent \
    && cp target/release/claiflow-agent /claiflow-agent

# glibc, CA certificates and time zones: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /claiflow-agent /app/claiflow-agent
WORKDIR /app
USER 1002:1002
# Health and metrics: the agent itself only dials out.
EXPOSE 18098
ENTRYPOINT ["/app/claiflow-agent"]
