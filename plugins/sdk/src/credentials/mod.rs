//! Credentials that an operator keeps with the agent. A plugin uses one without seeing it: by its name, with
//! [`Request::credential`](crate::http::Request::credential). Needs `capabilities = ["credentials"]` beside the plugin's name in
//! `Cargo.toml`; [`reveal`] needs `credentials-reveal`, and a grant of its own.

pub mod admin;

use crate::{Error, outside::credentials as outside};

/// The names of the credentials that are there and that this plugin may use, in their order.
pub fn names() -> Vec<String> {
    outside::names()
}

/// The bytes of a credential: a text, or a JSON object, as whoever added it gave it. Use it only where no header will do, and
/// put it into no log, no error and no result: all of them are stored, and read by others.
///
/// # Errors
/// `denied` without a grant or where it is not there, `unavailable` where its store does not answer.
pub fn reveal(name: &str) -> Result<Vec<u8>, Error> {
    outside::reveal(name)
}
