//! Several server processes on one database.

use super::ids::Id;

/// One replica's lead in a kind of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The kind of work.
    pub name: String,
    /// The replica.
    pub holder: Id,
    /// Greater with each holder.
    pub epoch: i64,
}

/// A replica, as it stands in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Random, made at its start.
    pub id: Id,
    /// Where its agents' port is reached, `host:port`; empty where it said none.
    pub address: String,
}

/// What replicas tell each other. Hints only: what is missed stands in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// Tasks of a cluster wait, by its row.
    Waiting(i64),
    /// Somebody wishes that a task ends, pauses or goes on: its cluster's row and its id. What is wished stands in the database.
    Wish(i64, Id),
    /// A cluster was deleted: its row and its uuid.
    ClusterDeleted(i64, String),
    /// A session was revoked, by its uuid.
    SessionRevoked(String),
}

impl PeerEvent {
    /// The cluster whose agents alone it concerns; none: it concerns everyone.
    #[must_use]
    pub fn cluster(&self) -> Option<i64> {
        match self {
            Self::Waiting(cluster) | Self::Wish(cluster, _) => Some(*cluster),
            Self::ClusterDeleted(..) | Self::SessionRevoked(_) => None,
        }
    }
}

/// How far this replica's clock is from the database's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// Ours less the database's, microseconds.
    pub us: i64,
    /// What the way to the database may have added or taken, microseconds.
    pub error_us: i64,
}

/// Two replicas may write times that differ by twice this.
const OFFSET_MAX_US: i64 = 1_000_000;

impl Offset {
    /// From a question that was asked at `sent_us` and answered at `back_us` by our clock, with the database's time.
    #[must_use]
    pub fn measured(sent_us: i64, back_us: i64, database_us: i64) -> Self {
        let way = back_us.saturating_sub(sent_us);
        Self { us: sent_us.saturating_add(way / 2).saturating_sub(database_us), error_us: (way / 2).abs() }
    }

    /// Whether the clocks surely differ by more than a second.
    #[must_use]
    pub fn is_too_far(&self) -> bool {
        self.us.saturating_abs().saturating_sub(self.error_us) > OFFSET_MAX_US
    }
}

#[cfg(test)]
mod tests {
    use super::Offset;

    #[test]
    fn a_clock_is_too_far_only_when_the_way_does_not_explain_it() {
        for (sent, back, database, us, is_too_far) in [
            (10_000_000, 10_001_000, 10_000_500, 0, false),
            (10_000_000, 10_000_000, 11_000_000, -1_000_000, false),
            (10_000_000, 10_000_000, 11_000_001, -1_000_001, true),
            (12_000_000, 12_000_000, 10_000_000, 2_000_000, true),
            (10_000_000, 16_000_000, 10_000_000, 3_000_000, false),
        ] {
            let offset = Offset::measured(sent, back, database);
            assert_eq!((offset.us, offset.is_too_far()), (us, is_too_far), "{sent} {back} {database}");
        }
    }
}
