//! The host's interface `process`.

use super::{bindings::claiflow::plugin::process as programs, error};
use crate::Error;

pub(crate) fn start(profile: &str, args: &str, stdin: &[u8]) -> Result<Child, Error> {
    programs::start(profile, args, stdin).map(Child).map_err(error)
}

/// A program.
pub(crate) struct Child(programs::Child);

impl Child {
    /// Stream and bytes.
    pub(crate) fn read(&self, max_bytes: u32, timeout_ms: u32) -> Result<Option<(String, Vec<u8>)>, Error> {
        let chunk = self.0.read(max_bytes, timeout_ms).map_err(error)?;
        Ok(chunk.map(|chunk| (chunk.stream, chunk.data)))
    }

    pub(crate) fn wait(&self) -> Result<String, Error> {
        self.0.wait().map_err(error)
    }

    pub(crate) fn terminate(&self) {
        self.0.terminate();
    }
}
