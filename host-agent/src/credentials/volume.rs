//! Encrypted files in a directory of the agent, one for each credential, under the name of its key.

use std::{
    io,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{
    credential::{Credential, Entry, Mode, Put, is_key},
    failure::{absent, file, there, unreadable},
    files,
    key_file::{KeyFile, Keys},
    lock::Lock,
    sealed::{self, Former},
    storage::Storage,
};
use crate::kubernetes::{Effect, Failure};

const HERE: Storage = Storage::Volume;

/// The directory, and the keys of its files. Its calls wait for the disk.
#[derive(Clone)]
pub struct Volume {
    directory: PathBuf,
    keys: KeyFile,
    former: Option<Former>,
}

impl Volume {
    /// Nothing is read or made yet. `cluster` is the uuid under which the first version encrypted; without it those files are
    /// not read.
    #[must_use]
    pub fn new(directory: PathBuf, keys: KeyFile, cluster: Option<&str>) -> Self {
        Self { directory, keys, former: cluster.and_then(Former::new) }
    }

    /// Where the files are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the keys are.
    #[must_use]
    pub fn key_file(&self) -> &KeyFile {
        &self.keys
    }

    pub(super) fn find(&self, key: &str) -> Result<Option<Credential>, Failure> {
        let path = self.directory.join(key);
        let Some(bytes) = files::read(&path).map_err(|error| unreadable(key, HERE, error))? else { return Ok(None) };
        let keys = self.keys.read().map_err(|error| unreadable(key, HERE, error))?;
        let plain = self.open(key, &bytes, keys.as_ref()).map_err(|why| unreadable(key, HERE, why))?;
        Ok(Some(Credential::read(&plain)))
    }

    /// A file that cannot be read is listed with the reason: its key is taken all the same.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, Failure> {
        let read = || -> io::Result<Vec<Entry>> {
            let names = self.names()?;
            let keys = self.keys.read();
            names
                .into_iter()
                .map(|name| {
                    let Some(bytes) = files::read(&self.directory.join(&name))? else { return Ok(None) };
                    let plain = match &keys {
                        Ok(keys) => self.open(&name, &bytes, keys.as_ref()),
                        Err(error) => Err(error.to_string()),
                    };
                    Ok(Some(match plain {
                        Ok(plain) => Credential::read(&plain).entry(&name, HERE),
                        Err(why) => Entry::broken(&name, HERE, why),
                    }))
                })
                .filter_map(Result::transpose)
                .collect()
        };
        read().map_err(|error| file(&self.told("cannot be listed"), &error, Effect::None))
    }

    /// # Errors
    /// `exists` or `not-found` against its [`Mode`]; `unavailable`, with the effect that it may have had.
    pub(super) fn put(&self, key: &str, put: &Put, by: Instant) -> Result<(), Failure> {
        let plain = put.credential.write(key, HERE)?;
        let none = |error: io::Error| file(&self.told("cannot be written to"), &error, Effect::None);
        let _lock = Lock::take(&self.directory, by).map_err(none)?;
        files::sweep(&self.directory).map_err(none)?;
        let path = self.directory.join(key);
        match (put.mode, path.try_exists().map_err(none)?) {
            (Mode::Add, true) => return Err(there(key, HERE)),
            (Mode::Update, false) => return Err(absent(key, HERE)),
            _ => {}
        }
        let keys = self.keys_to_write().map_err(none)?;
        let sealed = sealed::seal(&keys.newest, key, &plain).map_err(none)?;
        let durable = files::replace(&path, &sealed).map_err(none)?;
        durable.map_err(|error| file(&self.told("was written to, and may forget it"), &error, Effect::Unknown))
    }

    /// # Errors
    /// `not-found`; `unavailable`, with the effect that it may have had.
    pub(super) fn remove(&self, key: &str, by: Instant) -> Result<(), Failure> {
        let none = |error: io::Error| file(&self.told("cannot be written to"), &error, Effect::None);
        if !self.directory.try_exists().map_err(none)? {
            return Err(absent(key, HERE));
        }
        let _lock = Lock::take(&self.directory, by).map_err(none)?;
        match files::remove(&self.directory.join(key)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(absent(key, HERE)),
            Err(error) => Err(none(error)),
            Ok(durable) => {
                durable.map_err(|error| file(&self.told("was written to, and may forget it"), &error, Effect::Unknown))
            }
        }
    }

    /// The names of all credentials.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        Ok(files::names(&self.directory)?.into_iter().filter(|name| is_key(name)).collect())
    }

    pub(super) fn open(&self, name: &str, bytes: &[u8], keys: Option<&Keys>) -> Result<Vec<u8>, String> {
        sealed::open(bytes, name, keys, &self.keys, self.former.as_ref())
    }

    /// The keys; made where there never were any. A file under a key that is not there any more means that somebody forgot to
    /// bring the keys: new ones would hide that.
    pub(super) fn keys_to_write(&self) -> io::Result<Keys> {
        if let Some(keys) = self.keys.read()? {
            return Ok(keys);
        }
        for name in self.names()? {
            let bytes = files::read(&self.directory.join(&name))?.unwrap_or_default();
            if let Some(id) = sealed::key_of(&bytes) {
                return Err(io::Error::other(format!(
                    "{} is not there, and `{name}` is encrypted under the key {}; bring it back",
                    self.keys.path().display(),
                    super::key_file::hex(id)
                )));
            }
        }
        self.keys.make()
    }

    fn told(&self, what: &str) -> String {
        format!("the directory of credentials {} {what}", self.directory.display())
    }
}

impl std::fmt::Debug for Volume {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Volume").field("directory", &self.directory).finish_non_exhaustive()
    }
}
