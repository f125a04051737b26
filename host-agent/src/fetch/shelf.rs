//! A directory of plugin files that only the agent writes, and why some are missing.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::MissedSender;

/// Files by plugin name, each with a note of where it came from.
pub struct Shelf {
    directory: PathBuf,
    missed: MissedSender,
}

impl Shelf {
    /// Makes the directory where it is not there. `missed` is shared by all shelves.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(directory: PathBuf, missed: MissedSender) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        Ok(Self { directory, missed })
    }

    /// Where the files are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether the file that came from there is here.
    pub(super) fn has(&self, name: &str, origin: &str) -> bool {
        self.file(name).is_file() && fs::read_to_string(self.note(name)).is_ok_and(|there| there == origin)
    }

    /// Puts a file there, whole or not at all.
    pub(super) fn put(&self, name: &str, origin: &str, bytes: &[u8]) -> io::Result<()> {
        let aside = self.directory.join(format!(".{name}.part"));
        fs::write(&aside, bytes)?;
        fs::File::open(&aside)?.sync_all()?;
        // Without its note a file counts as missing: it is taken away first, so that no crash leaves another file's note.
        match fs::remove_file(self.note(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::rename(&aside, self.file(name))?;
        fs::write(self.note(name), origin)?;
        self.found(name);
        Ok(())
    }

    /// Takes away what is wanted no longer.
    pub(super) fn keep_only(&self, wanted: &BTreeSet<String>) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let is_ours = path.extension().is_some_and(|extension| extension == "wasm" || extension == "from");
            if is_ours && !wanted.contains(&name) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// Says why a plugin could not be fetched; an earlier file stays.
    pub(super) fn miss(&self, name: &str, reason: &str) {
        let changed = self.missed.send_if_modified(|missed| {
            let changed = missed.get(name).is_none_or(|there| there != reason);
            if changed {
                Arc::make_mut(missed).insert(name.to_owned(), reason.to_owned());
            }
            changed
        });
        if changed {
            tracing::warn!(plugin = name, reason, "the plugin is not fetched");
        }
    }

    /// It is there, or wanted no longer.
    pub(super) fn found(&self, name: &str) {
        self.missed
            .send_if_modified(|missed| missed.contains_key(name) && Arc::make_mut(missed).remove(name).is_some());
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.wasm"))
    }

    fn note(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.from"))
    }
}
