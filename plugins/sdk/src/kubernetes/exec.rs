//! Programs in containers: needs `capabilities = ["kubernetes-exec"]`, and a grant of `create` on `pods/exec`.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{
    Api, ExecOptions,
    options::text,
    read,
    stream::{PIECE_BYTES, milliseconds},
};
use crate::{Applied, Error, outside::kubernetes as outside};

/// A piece of what a program writes. Nothing promises UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Of its error output.
    pub is_error: bool,
    /// Empty when nothing came in time.
    pub data: Vec<u8>,
}

/// A program that runs in a container. Dropping it does not end the program.
pub struct Execution {
    inner: outside::Execution,
}

impl<T: DeserializeOwned> Api<T> {
    /// Starts a program in a pod's container; an empty `container` is the annotated default, else the first.
    ///
    /// # Errors
    /// As [`Api::get`]; without an answer it may have been started.
    pub fn exec(
        &self,
        pod: &str,
        container: &str,
        command: &[String],
        options: &ExecOptions,
    ) -> Result<Execution, Error> {
        Ok(Execution { inner: outside::exec(&self.object(pod)?, container, command, &text(options)?)? })
    }
}

impl Execution {
    /// Writes to the program's input.
    ///
    /// # Errors
    /// `invalid` where it has none; `failed` where it does not read any more.
    pub fn write(&self, data: &[u8]) -> Result<(), Error> {
        self.inner.write(data)
    }

    /// Ends the program's input.
    pub fn close_input(&self) {
        self.inner.close_stdin();
    }

    /// What it wrote next, waiting at most so long for it; none once it wrote all.
    ///
    /// # Errors
    /// `unavailable` where the connection is lost: the program may go on.
    pub fn read(&self, timeout: Duration) -> Result<Option<Output>, Error> {
        let piece = self.inner.read(PIECE_BYTES, milliseconds(timeout))?;
        Ok(piece.map(|(stream, data)| Output { is_error: stream == "stderr", data }))
    }

    /// How it ended, once [`read`](Self::read) gave none: why it failed, or none where it did not.
    ///
    /// # Errors
    /// `unavailable` where nobody knows.
    pub fn failure(&self) -> Result<Option<String>, Error> {
        let status = self.inner.status()?;
        let status: Status =
            read(&status, || "the end of the program".to_owned()).map_err(|error| error.applied(Applied::Yes))?;
        Ok(match status {
            Status { error: Some(error), .. } => Some(error),
            Status { exit: Some(0) | None, .. } => None,
            Status { exit: Some(code), .. } => Some(format!("command terminated with exit code {code}")),
        })
    }
}

/// `{"exit":0}` or `{"error":"…"}`.
#[derive(Deserialize)]
struct Status {
    exit: Option<i64>,
    error: Option<String>,
}
