//! The change of the key: a new one is added, every file is encrypted under it, and the older ones are forgotten. Wherever that
//! is interrupted, every file is whole and every key that one is under is there; the next run goes on.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{files, lock::Lock, sealed, volume::Volume};

/// For the lock over one file.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A change of the key that is under way.
#[derive(Debug)]
pub struct Rekey<'a> {
    volume: &'a Volume,
    left: Vec<String>,
    done: Rekeyed,
}

/// What a change of the key did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rekeyed {
    /// Files that are now under the newest key.
    pub moved: usize,
    /// Files that were.
    pub kept: usize,
    /// Files that cannot be read; they are left as they are, and so are the older keys.
    pub broken: Vec<Broken>,
    /// Older keys that are gone.
    pub forgotten: usize,
}

/// A file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The credential's key.
    pub key: String,
    /// Why.
    pub why: String,
}

impl Volume {
    /// Whether a change of the key is under way: there is more than one.
    ///
    /// # Errors
    /// Where the file of the keys cannot be read.
    pub fn is_rekeying(&self) -> io::Result<bool> {
        Ok(self.key_file().read()?.is_some_and(|keys| keys.are_several()))
    }

    /// Begins one, or goes on with the one that is under way. `new`: adds a key where there is only one.
    ///
    /// # Errors
    /// Where the directory or the file of the keys cannot be read or written.
    pub fn rekey(&self, new: bool) -> io::Result<Rekey<'_>> {
        let _lock = Lock::take(self.directory(), Instant::now() + WAIT_MAX)?;
        files::sweep(self.directory())?;
        let keys = self.keys_to_write()?;
        if new && !keys.are_several() {
            self.key_file().replace(&keys.with_another()?)?;
        }
        Ok(Rekey { volume: self, left: self.names()?, done: Rekeyed::default() })
    }
}

impl Rekey<'_> {
    /// Moves one file; false: none was left.
    ///
    /// # Errors
    /// Where the directory or the file of the keys cannot be read or written.
    pub fn step(&mut self) -> io::Result<bool> {
        let Some(name) = self.left.pop() else { return Ok(false) };
        let volume = self.volume;
        let path = volume.directory().join(&name);
        // The agent may be putting the very same one.
        let _lock = Lock::take(volume.directory(), Instant::now() + WAIT_MAX)?;
        let Some(bytes) = files::read(&path)? else { return Ok(true) };
        let keys = volume.keys_to_write()?;
        if sealed::key_of(&bytes).is_some_and(|id| id == keys.newest.id) {
            self.done.kept += 1;
            return Ok(true);
        }
        match volume.open(&name, &bytes, Some(&keys)) {
            Ok(plain) => {
                files::replace(&path, &sealed::seal(&keys.newest, &name, &plain)?)??;
                self.done.moved += 1;
            }
            Err(why) => self.done.broken.push(Broken { key: name, why }),
        }
        Ok(true)
    }

    /// Moves the rest. `forget`: takes the older keys away once no file is under one of them.
    ///
    /// # Errors
    /// As [`Rekey::step`].
    pub fn finish(mut self, forget: bool) -> io::Result<Rekeyed> {
        while self.step()? {}
        if forget && self.done.broken.is_empty() {
            let volume = self.volume;
            let _lock = Lock::take(volume.directory(), Instant::now() + WAIT_MAX)?;
            let keys = volume.keys_to_write()?;
            for name in volume.names()? {
                let bytes = files::read(&volume.directory().join(&name))?.unwrap_or_default();
                if sealed::key_of(&bytes).is_none_or(|id| id != keys.newest.id) {
                    return Err(io::Error::other(format!(
                        "`{name}` was put meanwhile under another key; run it again"
                    )));
                }
            }
            if keys.are_several() {
                let (newest, forgotten) = keys.newest_alone();
                volume.key_file().replace(&newest)?;
                self.done.forgotten = forgotten;
            }
        }
        Ok(self.done)
    }
}
