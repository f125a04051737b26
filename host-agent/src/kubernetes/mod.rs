//! The cluster's API as the agent speaks it: which kinds there are, requests under a deadline and an identity, and answers
//! of a bounded size.
//!
//! It knows no wasm and decides nothing about authority: what it is asked for was authorised by `grants`, over parts that
//! passed its shape checks. It never logs a body, and what an API server says is the caller's to mask before anyone reads it.

mod answer;
mod body;
mod bytes;
mod catalogue;
mod cluster;
mod discovery;
mod events;
mod exec;
mod failure;
mod identity;
mod kubeconfig;
mod listing;
mod nearest;
mod own;
mod request;
mod send;
pub mod tape;
mod unmanaged;
mod watch;

pub use answer::Refusal;
pub use bytes::ByteStream;
pub use catalogue::{Catalogue, Served};
pub use cluster::{Cluster, OpenError, Place};
pub use events::{Event, EventType};
pub use exec::{ExecOptions, Execution, Piece};
pub use failure::{Effect, Error, Failure};
pub use identity::Actor;
pub use kubeconfig::Kubeconfig;
pub use listing::{Listing, Page, Search};
pub use request::{Deletion, LogOptions, Propagation, Request, Writing};
pub use unmanaged::Unmanaged;
pub use watch::Watch;
