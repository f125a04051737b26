//! What a plugin may send over HTTP: every request goes through [`authorise`], and every address that its host's name leads to
//! through [`admit`].
//!
//! A URL is parsed and compared in its parts, never by how its text begins. Nothing here resolves, connects or reads a
//! credential.

mod address;
mod authorise;
mod credential;
mod network;
mod origin;
pub(super) mod parse;
mod path;
mod rule;

pub use address::{admit, classes as addresses_of};
pub use authorise::{Allowed, Request, authorise};
pub use credential::{CredentialGrant, Use, carrier, knows, lend, reveals};
pub use network::Network;
pub use origin::{Host, Origin};
pub use rule::{Addresses, HttpGrant, Trust};

/// Methods that are sent at all. The others open tunnels or answer with what was sent.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Whether a request with the method may leave something behind, as far as the method says.
fn writes(method: &str) -> bool {
    !matches!(method, "GET" | "HEAD" | "OPTIONS")
}
