//! Where the bytes of credentials are. That one may be used was decided before its name comes here.

use std::{fmt, io, path::PathBuf};

use tokio::io::AsyncReadExt as _;

use super::{failure::Failure, secret::Secret};

const SECRET_MAX_BYTES: u64 = 16 << 10;

/// A store of credentials.
#[async_trait::async_trait]
pub trait Credentials: fmt::Debug + Send + Sync {
    /// What stands in the header for the credential: of `authorization`, such as `Bearer …`, the scheme too.
    ///
    /// # Errors
    /// `denied` where it is not there, `unavailable` where the store does not answer.
    async fn secret(&self, name: &str) -> Result<Secret, Failure>;
}

/// A store that has none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nowhere;

#[async_trait::async_trait]
impl Credentials for Nowhere {
    async fn secret(&self, name: &str) -> Result<Secret, Failure> {
        Err(Failure::new(
            "denied",
            format!(
                "the credential `{name}` is not there: this agent was given none; `--credentials DIRECTORY` names them"
            ),
        ))
    }
}

/// One file for each credential, as a mounted Secret has them; read anew each time, so that a rotated one counts at once.
#[derive(Clone, Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// Nothing is read yet.
    #[must_use]
    pub const fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    async fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let path = self.0.join(name);
        // Opening a pipe would wait for its other end.
        if !tokio::fs::metadata(&path).await?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let mut bytes = Vec::new();
        tokio::fs::File::open(&path).await?.take(SECRET_MAX_BYTES + 1).read_to_end(&mut bytes).await?;
        Ok(bytes)
    }
}

#[async_trait::async_trait]
impl Credentials for Directory {
    async fn secret(&self, name: &str) -> Result<Secret, Failure> {
        let bytes = self.read(name).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::new("denied", format!("the credential `{name}` is not there")),
            _ => Failure::new("unavailable", format!("the credential `{name}` cannot be read: {error}")),
        })?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > SECRET_MAX_BYTES) {
            let message = format!("the credential `{name}` has more than {SECRET_MAX_BYTES} bytes");
            return Err(Failure::new("unavailable", message));
        }
        Ok(Secret::new(bytes))
    }
}
