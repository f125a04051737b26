//! A private directory for one call, removed with it: what the program reads, and where it writes.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use serde_json::{Value, json};

use super::{Login, checked::RepositoryName};

/// Of one repository's index.
const INDEX_MAX_BYTES: u64 = 128 << 20;
const FOLDERS: [&str; 7] = ["home", "cache", "cache/repository", "cache/content", "config", "data", "tmp"];

/// The directory.
#[derive(Debug)]
pub(super) struct Private {
    path: PathBuf,
    uid: Option<u32>,
}

impl Private {
    /// A new one below `scratch`, which only its owner may enter.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn make(scratch: &Path, uid: Option<u32>) -> io::Result<Self> {
        let path = scratch.join(uuid::Uuid::new_v4().simple().to_string());
        let private = Self { path, uid };
        private.folder("")?;
        for folder in FOLDERS {
            private.folder(folder)?;
        }
        Ok(private)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// All that the program finds in its environment.
    pub(super) fn environment(&self, has_cluster: bool) -> Vec<(&'static str, PathBuf)> {
        let at = |name: &str| self.path.join(name);
        let mut environment = vec![
            ("HOME", at("home")),
            ("TMPDIR", at("tmp")),
            ("HELM_CACHE_HOME", at("cache")),
            ("HELM_CONFIG_HOME", at("config")),
            ("HELM_DATA_HOME", at("data")),
            ("HELM_REPOSITORY_CACHE", at("cache/repository")),
            ("HELM_CONTENT_CACHE", at("cache/content")),
            ("HELM_REPOSITORY_CONFIG", at("repositories.yaml")),
            ("HELM_REGISTRY_CONFIG", at("registry.json")),
            ("HELM_NO_PLUGINS", PathBuf::from("1")),
            ("NO_COLOR", PathBuf::from("1")),
        ];
        // Where there is no file, none of another place is looked for.
        environment.push(("KUBECONFIG", at(if has_cluster { "kubeconfig" } else { "no-kubeconfig" })));
        environment
    }

    /// Writes a file that only the program's user may read.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path.join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(bytes)?;
        self.own(&path)
    }

    /// The list of repositories, as the program reads it; the password of one goes into it.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn repositories(&self, name: &str, url: &str, login: Option<&Login>) -> io::Result<()> {
        let mut entry = json!({"name": name, "url": url});
        if let (Some(Login::Password { user, password }), Some(entry)) = (login, entry.as_object_mut()) {
            entry.insert("username".to_owned(), Value::from(user.as_str()));
            entry.insert("password".to_owned(), Value::from(password.as_str()));
        }
        let list = json!({"apiVersion": "v1", "generated": "2026-01-01T00:00:00Z", "repositories": [entry]});
        // JSON is YAML.
        self.write("repositories.yaml", list.to_string().as_bytes())
    }

    /// Who asks a registry.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn registry(&self, host: &str, login: &Login) -> io::Result<()> {
        let entry = match (login, login.encoded()) {
            (Login::Bearer(token), _) => json!({"registrytoken": token}),
            (Login::Password { .. }, encoded) => json!({"auth": encoded}),
        };
        self.write("registry.json", json!({"auths": {host: entry}}).to_string().as_bytes())
    }

    /// The file of a repository's index, where the program has it.
    pub(super) fn index(name: &str) -> String {
        format!("cache/repository/{name}-index.yaml")
    }

    /// What the program fetched of a repository. The directory is the program's: no link in it is followed.
    ///
    /// # Errors
    /// What the file system says, also of a file that is too large.
    pub(super) fn fetched(&self, name: &RepositoryName) -> io::Result<Vec<u8>> {
        read(&self.path.join(Self::index(name.as_str())))
    }

    fn folder(&self, name: &str) -> io::Result<()> {
        let path = self.path.join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        self.own(&path)
    }

    fn own(&self, path: &Path) -> io::Result<()> {
        self.uid.map_or(Ok(()), |uid| chown(path, Some(uid), Some(uid)))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!("the private directory of a program is left behind: {}: {error}", self.path.display());
        }
    }
}

/// A regular file of a bounded size.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(INDEX_MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > INDEX_MAX_BYTES) {
        return Err(io::Error::other(format!("it has more than {INDEX_MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

/// A place for private directories, without what a dead agent left there. Others may pass through it where programs run as
/// another user.
///
/// # Errors
/// What the file system says, or that the directory is somebody else's.
pub(super) fn scratch(path: &Path, has_other_user: bool) -> io::Result<()> {
    let mode = if has_other_user { 0o711 } else { 0o700 };
    match DirBuilder::new().recursive(false).mode(mode).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() || found.mode() & 0o022 != 0 {
        return Err(io::Error::other("it is no directory that only this agent writes"));
    }
    for entry in fs::read_dir(path)? {
        fs::remove_dir_all(entry?.path())?;
    }
    Ok(())
}

/// Whole or not at all.
///
/// # Errors
/// What the file system says.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("part");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(aside, path)
}
