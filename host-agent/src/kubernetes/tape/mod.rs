//! Requests that were authorised, written down or answered in the place of an API server.
//!
//! A [`Cluster`](super::Cluster) with a tape behind it is asked like any other: grants are judged before, masks cut after. So
//! what replays a recording proves the grant too. Where there is no tape, nothing of this runs.

mod differ;
mod exchange;
mod over;
mod player;
mod recorder;
mod told;

use std::sync::Arc;

pub use exchange::{Exchange, Executed, Gave, KindEntry, Told};
pub use player::Player;
pub(super) use recorder::Ear;
pub use recorder::{Recorded, Recorder};

/// What stands behind a cluster.
#[derive(Clone, Debug)]
pub enum Tape {
    /// The API server answers, and it is written down.
    Recorder(Arc<Recorder>),
    /// What was written down is answered; nothing is sent.
    Player(Arc<Player>),
}
