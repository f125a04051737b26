//! Why a store does not do it, each with what it has done to the store.

use std::{fmt::Display, io};

use super::storage::Storage;
use crate::kubernetes::{Effect, Failure};

pub(super) fn invalid(message: impl Into<String>) -> Failure {
    Failure::new("invalid", message)
}

/// Also where a plugin reads: that it may use the name was decided, and that it is not there is for an operator to change.
pub(super) fn missing(key: &str) -> Failure {
    Failure::new("denied", format!("the credential `{key}` is not there"))
}

pub(super) fn absent(key: &str, storage: Storage) -> Failure {
    Failure::new("not-found", format!("the credential `{key}` is not in `{storage}`"))
}

pub(super) fn there(key: &str, storage: Storage) -> Failure {
    Failure::new("exists", format!("the credential `{key}` is in `{storage}` already"))
}

pub(super) fn unreadable(key: &str, storage: Storage, why: impl Display) -> Failure {
    Failure::new("unavailable", format!("the credential `{key}` in `{storage}` cannot be read: {why}"))
}

/// A file operation that failed, and what it has done.
pub(super) fn file(what: &str, error: &io::Error, effect: Effect) -> Failure {
    Failure::new("unavailable", format!("{what}: {error}")).with(effect)
}
