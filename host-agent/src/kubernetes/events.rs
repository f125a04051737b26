//! A watch's stream of lines, each one event.

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Error, Failure, Refusal, Unmanaged,
    body::{BODY_MAX_BYTES, Incoming, Unread},
};

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// It is there.
    Added,
    /// It changed.
    Modified,
    /// It is gone; the object is as it was last.
    Deleted,
}

impl EventType {
    /// As the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What became of the object.
    pub event: EventType,
    /// The object, not masked yet, without who manages its fields.
    pub object: Value,
}

/// What a line says.
pub(super) enum Line {
    Event(Event),
    /// Nothing before this version will come again.
    Bookmark(String),
}

#[derive(Deserialize)]
struct Said {
    r#type: String,
    object: Unmanaged,
}

/// Reads one line.
///
/// # Errors
/// The `Status` of an event of type `ERROR`; `unavailable` for what is no event.
pub(super) fn read(line: &[u8]) -> Result<Line, Error> {
    let Said { r#type, object: Unmanaged(object) } = serde_json::from_slice(line)
        .map_err(|error| Failure::new("unavailable", format!("the API server sent what is no event: {error}")))?;
    let event = match r#type.as_str() {
        "ADDED" => EventType::Added,
        "MODIFIED" => EventType::Modified,
        "DELETED" => EventType::Deleted,
        "BOOKMARK" => return Ok(Line::Bookmark(version(&object).unwrap_or_default().to_owned())),
        "ERROR" => return Err(Error::Refused(Box::new(Refusal::of(object, false)))),
        _ => return Err(Failure::new("unavailable", "the API server sent an event of an unknown type").into()),
    };
    Ok(Line::Event(Event { event, object }))
}

/// `metadata.resourceVersion`.
pub(super) fn version(object: &Value) -> Option<&str> {
    object.pointer("/metadata/resourceVersion").and_then(Value::as_str).filter(|version| !version.is_empty())
}

/// Lines of a body as they come. What is not read waits in the connection, not here.
pub(super) struct Lines {
    body: Incoming,
    read: BytesMut,
    /// So much of `read` holds no line end.
    searched: usize,
}

impl Lines {
    pub(super) fn of(body: Incoming) -> Self {
        Self { body, read: BytesMut::new(), searched: 0 }
    }

    /// A line that is here already.
    pub(super) fn ready(&mut self) -> Option<Bytes> {
        loop {
            let rest = self.read.get(self.searched..).unwrap_or_default();
            let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.read.len();
                return None;
            };
            let line = self.read.split_to(self.searched + length + 1).freeze();
            self.searched = 0;
            if !line.trim_ascii().is_empty() {
                return Some(line);
            }
        }
    }

    /// The next line; none at the end, where a torn one is dropped. Nothing is lost where the future is dropped.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Unread> {
        loop {
            if let Some(line) = self.ready() {
                return Ok(Some(line));
            }
            if self.read.len() > BODY_MAX_BYTES {
                return Err(Unread::TooLarge(BODY_MAX_BYTES));
            }
            match self.body.piece().await? {
                Some(piece) => self.read.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }

    /// Bytes that wait here.
    pub(super) fn held(&self) -> usize {
        self.read.len()
    }
}

#[cfg(test)]
mod tests {
    use kube::client::Body;

    use super::{Line, Lines, read};

    #[tokio::test]
    async fn lines_are_cut_where_they_end_and_a_torn_one_is_dropped() {
        let mut lines = Lines::of(Body::from(b"one\n\ntwo\r\nthr".to_vec()).into());
        assert_eq!(lines.next().await.unwrap().unwrap(), "one\n");
        assert_eq!(lines.ready().unwrap(), "two\r\n");
        assert!(lines.next().await.unwrap().is_none());
    }

    #[test]
    fn an_error_event_is_the_refusal_that_it_holds() {
        let line = br#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}"#;
        let Err(error) = read(line) else { panic!("it is an error") };
        let failure = error.failure(|status| status);
        assert_eq!((failure.code, failure.message.as_str()), ("gone", "too old"));
        let bookmark = br#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}"#;
        assert!(matches!(read(bookmark), Ok(Line::Bookmark(version)) if version == "7"));
        for wrong in [&b"{"[..], br#"{"type":"NEW","object":{}}"#, br#"{"object":{}}"#] {
            assert!(read(wrong).is_err());
        }
    }
}
