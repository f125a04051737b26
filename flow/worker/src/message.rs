//! What parent and worker say to each other: JSON behind a 4-byte big-endian length.

use serde::{Deserialize, Serialize};

/// One request at most, bytes. Its values are limited before they are escaped.
pub(crate) const REQUEST_BYTES: usize = 128 << 20;
/// The program and the values of one request at most, bytes.
pub(crate) const VALUES_BYTES: usize = 48 << 20;
/// The text that one expression may give, bytes.
pub(crate) const OUTPUT_BYTES: usize = 1 << 20;
/// One answer at most, bytes: the escaped output and what is around it.
pub(crate) const ANSWER_BYTES: usize = 6 * OUTPUT_BYTES + 1024;

/// What a worker writes when it is ready.
pub(crate) const READY: u8 = b'R';

#[derive(Serialize, Deserialize)]
pub(crate) struct Request {
    /// Comes back with the answer.
    pub(crate) id: u64,
    pub(crate) program: String,
    /// Its `.`, as text that jaq reads.
    pub(crate) input: String,
    /// Names with their `$`, values as text that jaq reads.
    pub(crate) variables: Vec<(String, String)>,
    /// Only parse and compile.
    pub(crate) check: bool,
}

impl Request {
    pub(crate) fn fits(&self) -> bool {
        let variables: usize = self.variables.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.program.len() + self.input.len() + variables <= VALUES_BYTES
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) id: u64,
    /// Text that jaq wrote, or a sentence for the author of the expression.
    pub(crate) outcome: Result<String, String>,
}

/// A message with its length in front.
///
/// # Errors
/// The length does not fit.
pub(crate) fn framed(message: &impl Serialize) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = u32::try_from(frame.len() - 4).map_err(std::io::Error::other)?;
    if let Some(start) = frame.first_chunk_mut() {
        *start = length.to_be_bytes();
    }
    Ok(frame)
}
