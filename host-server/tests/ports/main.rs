//! The edges of the ports, on real sockets and with real certificates: TLS, limits, other origins, the end.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that fails says so by a panic")]

mod agents;
mod authority;
mod bodies;
mod client;
mod cors;
mod drain;
mod floods;
mod limits;
mod process;
mod reload;
mod server;
mod tls;
