//! Requests over HTTP for whoever was authorised: one resolution, every address judged, a connection to that very address,
//! HTTP/1.1, bounded bodies, all under a deadline. No redirect is followed, no proxy is asked, nothing is repeated.
//!
//! Knows no wasm; whether something may be sent at all is decided by `grants`.

mod answer;
mod client;
mod connect;
mod credentials;
mod failure;
mod mask;
mod outgoing;
mod play;
mod prepare;
mod resolve;
mod secret;
pub mod tape;
mod trust;

pub use answer::Answer;
pub use client::{Client, Timing};
pub use credentials::{Carried, Credentials, Nowhere};
pub use failure::Failure;
pub use mask::Mask;
pub use outgoing::outgoing;
pub use resolve::{Resolve, System};
pub use secret::Secret;

/// No body, sent or received, is longer.
pub const BODY_MAX_BYTES: usize = 16 << 20;
