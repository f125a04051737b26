//! Adds, changes and removes credentials. The host gives it to the plugin `claiflow` alone.

use serde::{Deserialize, Serialize};

use crate::{Applied, Error, outside::credentials as outside};

/// What all stores hold, without any of their data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Every credential, by key and storage.
    pub entries: Vec<Entry>,
    /// The storages that do not answer: what they hold is not known.
    #[serde(default)]
    pub unavailable: Vec<Silent>,
}

/// One credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// Its name.
    pub key: String,
    /// `k8s/secret`, `volume`, or `mounted`, which only its operator changes.
    pub storage: String,
    /// Such as `grafana`; empty where nobody said.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The effect key of the call that wrote it; empty where none did.
    #[serde(default)]
    pub effect_key: String,
}

/// A storage that does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silent {
    /// Which.
    pub storage: String,
    /// Why.
    pub message: String,
}

/// Whether a credential has to be there before it is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It must not.
    Add,
    /// It must.
    Update,
}

/// Where and how a credential is put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Spec {
    /// `k8s/secret` or `volume`.
    pub storage: String,
    /// What it is for, such as `grafana`: it says how a header carries it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it has to be there.
    pub mode: Mode,
    /// Left with it, so that `verify` finds which call wrote it.
    pub effect_key: String,
}

/// What there is. It leaves nothing behind.
///
/// # Errors
/// `denied` without a grant.
pub fn entries() -> Result<Stored, Error> {
    serde_json::from_str(&outside::entries()?)
        .map_err(|error| Error::failed(format!("the host's list of credentials cannot be read: {error}")))
}

/// Puts one credential; `data` is JSON text.
///
/// # Errors
/// `exists` or `not-found` against its [`Mode`]; `invalid`, `denied`, `unavailable`, `conflict`. [`Error::had_effect`] says
/// whether it was put.
pub fn put(key: &str, spec: &Spec, data: &[u8]) -> Result<(), Error> {
    let spec = serde_json::to_string(spec).map_err(|error| Error::from(error).applied(Applied::No))?;
    outside::put(key, &spec, data)
}

/// Removes one credential.
///
/// # Errors
/// `not-found` where it is not there; else as [`put`].
pub fn remove(key: &str, storage: &str) -> Result<(), Error> {
    outside::remove(key, storage)
}
