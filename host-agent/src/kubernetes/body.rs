//! Bodies of a bounded size, read as they come.

use std::{collections::VecDeque, error::Error, future::pending};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use kube::client::Body;

use super::tape::Ear;

/// No answer is read beyond this, whoever asks.
pub(super) const BODY_MAX_BYTES: usize = 16 << 20;

/// Why a body was not read to its end.
#[derive(Debug)]
pub(super) enum Unread {
    /// It has more bytes than were allowed.
    TooLarge(usize),
    /// The connection broke.
    Broken(String),
}

/// A body that is read piece by piece.
pub(super) struct Incoming {
    source: Source,
    ear: Option<Ear>,
}

enum Source {
    Body(Body),
    /// What was recorded; a stream that had not ended then stays open.
    Played {
        pieces: VecDeque<Bytes>,
        ended: bool,
    },
}

impl From<Body> for Incoming {
    fn from(body: Body) -> Self {
        Self { source: Source::Body(body), ear: None }
    }
}

impl Incoming {
    /// One that somebody listens to.
    pub(super) fn heard(body: Body, ear: Ear) -> Self {
        Self { source: Source::Body(body), ear: Some(ear) }
    }

    /// One that was recorded.
    pub(super) fn played(pieces: VecDeque<Bytes>, ended: bool) -> Self {
        Self { source: Source::Played { pieces, ended }, ear: None }
    }

    /// What comes next; none at the end. Nothing is lost where the future is dropped.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, Unread> {
        let piece = match &mut self.source {
            Source::Body(body) => piece(body).await?,
            Source::Played { pieces, ended } => match pieces.pop_front() {
                None if *ended => None,
                None => pending().await,
                piece => piece,
            },
        };
        if let Some(ear) = &self.ear {
            piece.as_ref().map_or_else(|| ear.ended(), |piece| ear.bytes(piece));
        }
        Ok(piece)
    }
}

/// All of it, where that is at most `most` bytes.
pub(super) async fn whole(mut body: Body, most: usize) -> Result<Bytes, Unread> {
    let mut read = BytesMut::new();
    while let Some(piece) = piece(&mut body).await? {
        if read.len() + piece.len() > most {
            return Err(Unread::TooLarge(most));
        }
        read.extend_from_slice(&piece);
    }
    Ok(read.freeze())
}

/// The first `most` bytes: of an error's text nobody needs more.
pub(super) async fn beginning(mut body: Body, most: usize) -> Bytes {
    let mut read = BytesMut::new();
    while read.len() < most {
        match piece(&mut body).await {
            Ok(Some(piece)) => read.extend_from_slice(&piece),
            Ok(None) | Err(_) => break,
        }
    }
    read.freeze()
}

/// See [`Incoming::piece`].
async fn piece(body: &mut Body) -> Result<Option<Bytes>, Unread> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(error)) => return Err(Unread::Broken(chain(&error))),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// An error with what caused it. It names hosts and ports, never a body.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
