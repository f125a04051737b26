//! The REST surface, in one process on SQLite: real routes, real storage, no socket.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that fails says so by a panic")]

mod agent;
mod bytes;
mod control;
mod exchange;
mod lists;
mod predefined;
mod server;
mod stories;
mod surface;
mod updates;
