//! Writes: each needs `capabilities = ["kubernetes-write"]`, and a grant of its verb.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Api, Object, RemoveOptions, WriteOptions, options::text, read};
use crate::{Applied, Error, outside::kubernetes as outside};

/// A change of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patch {
    /// RFC 6902: an array of operations.
    Json(Value),
    /// RFC 7386: an object, laid over what is there; null removes.
    Merge(Value),
    /// As `Merge`, but lists are merged by the keys that the kind declares; not for custom resources.
    Strategic(Value),
}

impl<T: DeserializeOwned> Api<T> {
    /// Makes an object. Its name is that of `metadata.name`, or made by the API server from `metadata.generateName`. What is
    /// made under an object, such as `pods/eviction`, has that object's name.
    ///
    /// # Errors
    /// `exists`; `invalid`, `denied`, `unavailable`, …. Without an answer of the API server it may have been made:
    /// [`Error::details`] has `effect`.
    pub fn create(&self, body: &impl Serialize, options: &WriteOptions) -> Result<T, Error> {
        let body = serde_json::to_value(body)?;
        let name = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let target = self.object(name)?;
        answer(&outside::create(&target, &body.to_string(), &text(options)?)?, &target)
    }

    /// Server-side apply: makes the object, or the fields that the body has, what the body says.
    ///
    /// # Errors
    /// `conflict` where another manager holds a field; else as [`Api::create`].
    pub fn apply(&self, name: &str, body: &impl Serialize, options: &WriteOptions) -> Result<T, Error> {
        let target = self.object(name)?;
        answer(&outside::apply(&target, &text(body)?, &text(options)?)?, &target)
    }

    /// Puts the body in place of the object. It needs `metadata.resourceVersion`.
    ///
    /// # Errors
    /// `conflict` where somebody changed it since; else as [`Api::create`].
    pub fn replace(&self, name: &str, body: &impl Serialize, options: &WriteOptions) -> Result<T, Error> {
        let target = self.object(name)?;
        answer(&outside::replace(&target, &text(body)?, &text(options)?)?, &target)
    }

    /// Changes the object.
    ///
    /// # Errors
    /// `not-found`; `invalid` where a `test` of a JSON patch does not hold; else as [`Api::create`].
    pub fn patch(&self, name: &str, patch: &Patch, options: &WriteOptions) -> Result<T, Error> {
        let target = self.object(name)?;
        let (kind, body) = match patch {
            Patch::Json(body) => ("json", body),
            Patch::Merge(body) => ("merge", body),
            Patch::Strategic(body) => ("strategic", body),
        };
        answer(&outside::patch(&target, kind, &body.to_string(), &text(options)?)?, &target)
    }

    /// Removes one object; answers what the API server does: a `Status`, or the object where it is not gone yet.
    ///
    /// # Errors
    /// `not-found`; `conflict` where it is another one than the options say; else as [`Api::create`].
    pub fn remove(&self, name: &str, options: &RemoveOptions) -> Result<Value, Error> {
        let target = self.object(name)?;
        answer(&outside::remove(&target, &text(options)?)?, &target)
    }
}

/// An answer that does not fit comes after the effect.
fn answer<T: DeserializeOwned>(text: &str, target: &Object) -> Result<T, Error> {
    read(text, || format!("the answer about {target}")).map_err(|error| error.applied(Applied::Yes))
}
