//! One entry of the journal. Fields that a later agent adds are passed over.

use bytes::Bytes;
use prost::Message as _;

use super::format;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(super) enum Kind {
    Unknown = 0,
    /// A lease is held; the body names the task.
    Taken = 1,
    /// A step with an effect is about to start.
    Started = 2,
    /// A step ended.
    Ended = 3,
    /// The run ended.
    Outcome = 4,
    /// The end of a step is not reported again.
    Settled = 5,
    /// Nothing is reported under the lease again.
    Gone = 6,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Record {
    #[prost(enumeration = "Kind", tag = "1")]
    pub(super) kind: i32,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) lease: Vec<u8>,
    /// Of the step.
    #[prost(string, tag = "3")]
    pub(super) path: String,
    #[prost(uint64, tag = "4")]
    pub(super) epoch: u64,
    #[prost(bytes = "vec", tag = "5")]
    pub(super) body: Vec<u8>,
}

impl Record {
    /// The record in a frame's payload; none when it is not understood.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        Self::decode(payload).ok().filter(|record| record.kind() != Kind::Unknown)
    }

    /// As it stands in the file.
    pub(super) fn frame(&self) -> Bytes {
        format::frame(&self.encode_to_vec())
    }
}

/// The frame of a report.
pub(super) fn frame(kind: Kind, lease: &[u8], path: &str, body: Vec<u8>) -> Bytes {
    Record { kind: kind.into(), lease: lease.to_vec(), path: path.to_owned(), epoch: 0, body }.frame()
}
