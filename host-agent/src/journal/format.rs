//! The bytes of a journal: a header of magic, version and checksum, then frames of length, checksum and payload. Numbers are
//! little-endian; the checksum is CRC-32 (IEEE) over the length and the payload, so that no run of zeros is a frame.

use bytes::{BufMut as _, Bytes, BytesMut};

/// The body of one report, bytes.
pub(super) const RECORD_MAX: usize = 20 << 20;
/// The magic, the version and their checksum.
pub(super) const HEADER_BYTES: usize = 16;
/// A body's record has little more than the body.
const PAYLOAD_MAX: usize = RECORD_MAX + (1 << 20);
const MAGIC: [u8; 8] = *b"claiflow";
const VERSION: u32 = 1;

/// A journal that this agent cannot read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the journal has version {0} and this agent reads up to version {VERSION}: \
     start an agent that is at least as new as the one that wrote it, or give another --state"
)]
pub struct Newer(u32);

/// How a content ends where it does not end with a whole frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// A write was cut off.
    Torn {
        /// Bytes that are dropped.
        bytes: usize,
    },
    /// Something else than was written.
    Corrupt {
        /// Offset.
        at: usize,
        /// Bytes from there to the end.
        bytes: usize,
    },
}

/// What a file begins with.
pub(super) fn header() -> Bytes {
    let mut header = BytesMut::with_capacity(HEADER_BYTES);
    header.put_slice(&MAGIC);
    header.put_u32_le(VERSION);
    header.put_u32_le(crc32fast::hash(&header));
    header.freeze()
}

/// A payload with its length and checksum.
pub(super) fn frame(payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(payload.len() + 8);
    // Reports have a limit far below.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    frame.put_u32_le(length);
    frame.put_u32_le(checksum(length, payload));
    frame.put_slice(payload);
    frame.freeze()
}

fn checksum(length: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// A frame as it stands, and its payload.
pub(super) type Frame<'a> = (&'a [u8], &'a [u8]);

/// Reads frames one by one.
pub(super) struct Frames<'a> {
    rest: &'a [u8],
    bytes: usize,
    /// Of the header.
    damaged: bool,
}

impl<'a> Frames<'a> {
    /// Checks the header.
    ///
    /// # Errors
    /// [`Newer`] when a later agent wrote the content.
    pub(super) fn open(content: &'a [u8]) -> Result<Self, Newer> {
        let bytes = content.len();
        let whole = Self { rest: content, bytes, damaged: bytes > 0 };
        let Some(([magic @ .., v0, v1, v2, v3, c0, c1, c2, c3], rest)) = content.split_first_chunk::<HEADER_BYTES>()
        else {
            return Ok(whole);
        };
        let version = u32::from_le_bytes([*v0, *v1, *v2, *v3]);
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(magic);
        hasher.update(&version.to_le_bytes());
        if *magic != MAGIC || hasher.finalize() != u32::from_le_bytes([*c0, *c1, *c2, *c3]) {
            return Ok(whole);
        }
        if version > VERSION {
            return Err(Newer(version));
        }
        Ok(Self { rest, bytes, damaged: false })
    }

    /// The next frame; none at the end.
    ///
    /// # Errors
    /// [`Damage`] where no whole frame follows. It stays there.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame<'a>>, Damage> {
        if self.damaged {
            let torn = self.bytes < HEADER_BYTES;
            return Err(if torn { self.torn() } else { self.corrupt(0) });
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let Some(([l0, l1, l2, l3, c0, c1, c2, c3], after)) = self.rest.split_first_chunk::<8>() else {
            return Err(self.torn());
        };
        let length = u32::from_le_bytes([*l0, *l1, *l2, *l3]);
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        if size > PAYLOAD_MAX {
            return Err(self.corrupt(0));
        }
        let Some((payload, rest)) = after.split_at_checked(size) else { return Err(self.torn()) };
        if checksum(length, payload) != u32::from_le_bytes([*c0, *c1, *c2, *c3]) {
            // A file may have grown, and not been filled, before power was lost.
            let torn = rest.is_empty() || self.rest.iter().all(|byte| *byte == 0);
            return Err(if torn { self.torn() } else { self.corrupt(0) });
        }
        let frame = self.rest.get(..size + 8).unwrap_or_default();
        self.rest = rest;
        Ok(Some((frame, payload)))
    }

    /// The damage of a content that is not understood from `back` bytes before here.
    pub(super) fn corrupt(&self, back: usize) -> Damage {
        let bytes = self.rest.len() + back;
        Damage::Corrupt { at: self.bytes - bytes, bytes }
    }

    fn torn(&self) -> Damage {
        Damage::Torn { bytes: self.rest.len() }
    }
}
