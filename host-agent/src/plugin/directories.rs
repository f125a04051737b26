//! The plugin directories as one list. An earlier directory wins where two have the same file; one that cannot be read is not an
//! empty one, so it keeps what it showed last.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::source;

/// All of them, in the order in which they win.
pub(super) struct Directories {
    all: Vec<Directory>,
    /// Stems that are in two directories, and that was said.
    doubled: BTreeSet<String>,
}

struct Directory {
    path: PathBuf,
    files: BTreeMap<String, PathBuf>,
    swap: Option<PathBuf>,
    is_lost: bool,
}

/// A file, and whether there is a reason to look at it besides its own change.
pub(super) struct Listed {
    pub(super) path: PathBuf,
    /// A ConfigMap's mount was swapped.
    pub(super) is_swapped: bool,
    /// Its directory cannot be read now: what serves goes on.
    pub(super) is_lost: bool,
}

impl Directories {
    pub(super) fn new(paths: &[PathBuf]) -> Self {
        let all = paths.iter().map(|path| Directory {
            path: path.clone(),
            files: BTreeMap::new(),
            swap: None,
            is_lost: false,
        });
        Self { all: all.collect(), doubled: BTreeSet::new() }
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.all.iter().map(|directory| directory.path.as_path())
    }

    /// What is there now, by stem.
    pub(super) fn list(&mut self) -> BTreeMap<String, Listed> {
        let mut listed = BTreeMap::new();
        for directory in &mut self.all {
            let is_swapped = directory.look();
            for (stem, path) in &directory.files {
                if listed.contains_key(stem) {
                    if self.doubled.insert(stem.clone()) {
                        tracing::warn!(plugin = stem, file = %path.display(), "an earlier directory has a plugin of this name; this one is ignored");
                    }
                    continue;
                }
                listed.insert(stem.clone(), Listed { path: path.clone(), is_swapped, is_lost: directory.is_lost });
            }
        }
        listed
    }
}

impl Directory {
    /// Reads the directory again; whether its mount was swapped.
    fn look(&mut self) -> bool {
        let shown = self.path.display();
        match source::list(&self.path) {
            Ok(files) => {
                if std::mem::take(&mut self.is_lost) {
                    tracing::info!(directory = %shown, "the plugin directory is back");
                }
                self.files = files;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_lost, true) {
                    tracing::error!(directory = %shown, "the plugin directory cannot be read: {error}");
                }
                return false;
            }
        }
        let swap = source::swap_target(&self.path);
        let is_swapped = swap != self.swap;
        self.swap = swap;
        is_swapped
    }
}
