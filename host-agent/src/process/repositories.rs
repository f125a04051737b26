//! The repositories that are kept under names: a list and the index of each, in the agent's state. No password is in it, only
//! the name of the credential.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    Failure,
    checked::RepositoryName,
    files::{self, Private},
    steps::Keep,
};

const LIST: &str = "repositories.json";
const KEPT_MAX: usize = 100;

/// A repository that is kept under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Its address.
    pub url: String,
    /// The credential that goes along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Repositories {
    directory: PathBuf,
    kept: BTreeMap<String, Repository>,
}

impl Repositories {
    /// What an earlier agent left in the directory.
    ///
    /// # Errors
    /// What the file system says, or that the list cannot be read.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let kept = match files::read(&directory.join(LIST)) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { directory: directory.to_owned(), kept })
    }

    /// # Errors
    /// `not-found`, with the names that there are.
    pub(super) fn get(&self, name: &RepositoryName) -> Result<&Repository, Failure> {
        self.kept.get(name.as_str()).ok_or_else(|| {
            let known: Vec<_> = self.kept.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none is".to_owned() } else { format!("kept are {}", known.join(", ")) };
            let message =
                format!("no repository is kept under the name `{}` ({known}); `helm.repo_add` adds one", name.as_str());
            Failure::new("not-found", message)
        })
    }

    /// Whether another may come under this name.
    ///
    /// # Errors
    /// `exists` or `too-large`.
    pub(super) fn room_for(&self, name: &RepositoryName, url: &str, replace: bool) -> Result<(), Failure> {
        match self.kept.get(name.as_str()) {
            Some(kept) if kept.url != url && !replace => {
                let message = format!(
                    "the repository `{}` is kept already, with the address {}; choose another name, or say `replace`",
                    name.as_str(),
                    kept.url
                );
                Err(Failure::new("exists", message))
            }
            None if self.kept.len() >= KEPT_MAX => {
                Err(Failure::new("too-large", format!("{KEPT_MAX} repositories are kept, and no more")))
            }
            _ => Ok(()),
        }
    }

    /// `[{"name", "url"}]`.
    pub(super) fn list(&self) -> Vec<u8> {
        let entry = |(name, kept): (&String, &Repository)| serde_json::json!({"name": name, "url": kept.url});
        serde_json::Value::from(self.kept.iter().map(entry).collect::<Vec<_>>()).to_string().into_bytes()
    }

    /// Gives a program the index of a kept repository, where there is one.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn lend(&self, name: &RepositoryName, private: &Private) -> io::Result<()> {
        match files::read(&self.index(name)) {
            Ok(index) => private.write(&Private::index(name.as_str()), &index),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Keeps what a program fetched.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn keep(&mut self, keep: &Keep, private: &Private) -> io::Result<()> {
        let name = match keep {
            Keep::Repository { name, .. } | Keep::Index(name) => name,
        };
        files::replace(&self.index(name), &private.fetched(name)?)?;
        if let Keep::Repository { url, credential, .. } = keep {
            let mut kept = self.kept.clone();
            kept.insert(name.as_str().to_owned(), Repository { url: url.clone(), credential: credential.clone() });
            files::replace(&self.directory.join(LIST), &serde_json::to_vec_pretty(&kept).map_err(io::Error::other)?)?;
            self.kept = kept;
        }
        Ok(())
    }

    fn index(&self, name: &RepositoryName) -> PathBuf {
        self.directory.join(format!("{}-index.yaml", name.as_str()))
    }
}
