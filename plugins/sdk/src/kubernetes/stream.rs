//! Answers that come in pieces.

use std::{collections::VecDeque, marker::PhantomData, time::Duration};

use serde::{Deserialize, de::DeserializeOwned};

use super::read;
use crate::{Error, outside::kubernetes as outside};

/// Objects, page by page: an iterator, of which the first error is the last item.
pub struct Listing<T> {
    /// None behind the last page.
    pages: Option<outside::Listing>,
    page: VecDeque<T>,
    what: String,
    /// How many may still come.
    left: Option<u32>,
}

impl<T: DeserializeOwned> Listing<T> {
    pub(super) fn new(pages: outside::Listing, what: String, most: Option<u32>) -> Self {
        Self { pages: Some(pages), page: VecDeque::new(), what, left: most }
    }

    /// The next page, or none at the end.
    fn next_page(&mut self) -> Result<Option<Vec<T>>, Error> {
        let Some(pages) = &self.pages else { return Ok(None) };
        match pages.next()? {
            Some(page) => read(&page, || format!("a page of {}", self.what)).map(Some),
            None => Ok(None),
        }
    }
}

impl<T: DeserializeOwned> Iterator for Listing<T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == Some(0) {
            self.pages = None;
            return None;
        }
        while self.page.is_empty() {
            match self.next_page() {
                Ok(Some(page)) => self.page = page.into(),
                Ok(None) => {
                    self.pages = None;
                    return None;
                }
                Err(error) => {
                    self.pages = None;
                    return Some(Err(error));
                }
            }
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        self.page.pop_front().map(Ok)
    }
}

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Event<T> {
    /// `ADDED`, `MODIFIED`, `DELETED`, or another word of the API server.
    #[serde(rename = "type")]
    pub what: String,
    /// As it is now, or was last.
    pub object: T,
}

/// Changes as they happen.
pub struct Watching<T> {
    events: outside::Watching,
    what: String,
    read_as: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Watching<T> {
    pub(super) fn new(events: outside::Watching, what: String) -> Self {
        Self { events, what, read_as: PhantomData }
    }

    /// What changed since the last time, waiting at most so long for it; empty when nothing came.
    ///
    /// # Errors
    /// `gone`: look again, and watch anew. Else as [`Api::list`](super::Api::list).
    pub fn next(&mut self, timeout: Duration) -> Result<Vec<Event<T>>, Error> {
        read(&self.events.next(milliseconds(timeout))?, || format!("a change of {}", self.what))
    }
}

/// A container's log.
pub struct Log {
    bytes: outside::ByteStream,
}

impl Log {
    pub(super) fn new(bytes: outside::ByteStream) -> Self {
        Self { bytes }
    }

    /// The next piece, waiting at most so long for it: none at the end, empty when nothing came. Nothing promises UTF-8.
    ///
    /// # Errors
    /// As [`Api::get`](super::Api::get).
    pub fn read(&mut self, timeout: Duration) -> Result<Option<Vec<u8>>, Error> {
        self.bytes.read(PIECE_BYTES, milliseconds(timeout))
    }
}

/// Bytes that are asked for at once.
pub(super) const PIECE_BYTES: u32 = 64 << 10;

pub(super) fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
