//! One file for each credential, as a mounted Secret has them; read anew each time, so that a rotated one counts at once.

use std::path::PathBuf;

use super::{
    credential::{Credential, Data, Entry, is_key},
    failure::unreadable,
    files,
    storage::Storage,
};
use crate::kubernetes::Failure;

/// A directory that an operator mounted.
#[derive(Clone, Debug)]
pub struct Mounted(PathBuf);

impl Mounted {
    /// Nothing is read yet.
    #[must_use]
    pub const fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    pub(super) fn find(&self, key: &str) -> Result<Option<Credential>, Failure> {
        let read = files::read(&self.0.join(key)).map_err(|error| unreadable(key, Storage::Mounted, error))?;
        Ok(read.map(|bytes| Credential { kind: String::new(), data: Data::Plain(bytes), effect_key: String::new() }))
    }

    pub(super) fn entries(&self) -> Result<Vec<Entry>, Failure> {
        let names = files::names(&self.0)
            .map_err(|error| Failure::new("unavailable", format!("{} cannot be listed: {error}", self.0.display())))?;
        let keys = names.into_iter().filter(|name| is_key(name));
        Ok(keys
            .map(|key| {
                let storage = Storage::Mounted.as_str();
                Entry { key, storage, kind: String::new(), effect_key: String::new(), broken: None }
            })
            .collect())
    }
}
