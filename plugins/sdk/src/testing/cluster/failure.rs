//! What fails, because a test wants it to or because the API server says so.

use crate::{Applied, Error};

/// A failure that a test planned.
pub(super) struct Planned {
    /// How the call begins.
    pub(super) call: String,
    pub(super) error: Error,
    pub(super) once: bool,
    /// The call takes effect before it fails.
    pub(super) after: bool,
}

/// Fails at once, or gives what the call fails with after its effect.
pub(super) fn planned(list: &mut Vec<Planned>, call: &str) -> Result<Option<Error>, Error> {
    let Some(index) = list.iter().position(|planned| call.starts_with(&planned.call)) else { return Ok(None) };
    let Some(planned) = list.get(index) else { return Ok(None) };
    let (error, after) = (planned.error.clone(), planned.after);
    if planned.once {
        list.remove(index);
    }
    if after { Ok(Some(error)) } else { Err(error) }
}

/// An answer of the API server, which changed nothing.
pub(super) fn said(code: &'static str, status: u16, reason: &str, message: impl Into<String>) -> Error {
    Error::new(code, message).detail("status", status).detail("reason", reason).applied(Applied::No)
}
