//! The REST surface, in one process on SQLite: real routes, real storage, no socket.

mod bytes;
mod exchange;
mod lists;
mod server;
mod stories;
mod surface;
