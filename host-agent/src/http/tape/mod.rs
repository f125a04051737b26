//! Requests over HTTP, written down or answered in the place of servers.
//!
//! A [`Client`](super::Client) with a tape is asked like any other: grants are judged before. A recorder hears what a plugin says and
//! is answered, never the credential that the host puts between. Where there is no tape, nothing of this runs.

mod content;
mod exchange;
mod overheard;
mod player;
mod recorder;

use std::sync::Arc;

pub use content::Content;
pub use exchange::{Answered, Exchange, Failed, Gave, Told};
pub(super) use overheard::Overheard;
pub use player::Player;
pub(super) use recorder::Ear;
pub use recorder::{Recorded, Recorder};

/// What stands behind a client.
#[derive(Clone, Debug)]
pub enum Tape {
    /// Servers answer, and it is written down.
    Recorder(Arc<Recorder>),
    /// What was written down is answered; nothing is resolved, connected to or sent.
    Player(Arc<Player>),
}
