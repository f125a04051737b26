//! Tokens of an OpenID Connect issuer, which is played here: its keys, their change, its silence, its lies.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that fails says so by a panic")]

mod issuer;
mod keys;
mod lies;
mod silence;
