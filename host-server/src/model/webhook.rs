//! Rows of webhooks and of what is sent to them.

use std::time::Duration;

/// Where statuses of tasks are sent to. It holds secrets, so nothing prints it.
#[derive(Clone, sqlx::FromRow)]
#[allow(missing_docs, reason = "columns; `headers` and `secrets` are JSON text")]
pub struct Webhook {
    pub id: i64,
    pub uuid: String,
    pub name: String,
    pub summary: Option<String>,
    pub url: String,
    pub method: String,
    pub headers: Option<String>,
    pub timeout: String,
    pub condition_validator: Option<String>,
    pub condition_filter: Option<String>,
    pub secrets: Option<String>,
    pub created: i64,
    pub updated: i64,
}

/// The validator whose filters decide; any other decides nothing.
pub const JQ: &str = "jq";

impl Webhook {
    /// The jq program that decides whether something is sent, where there is one.
    #[must_use]
    pub fn filter(&self) -> Option<&str> {
        let is_jq = self.condition_validator.as_deref() == Some(JQ);
        self.condition_filter.as_deref().filter(|filter| is_jq && !filter.trim().is_empty())
    }
}

/// What became of a delivery. The number is the stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum DeliveryState {
    /// It is sent when it is due.
    Waiting = 0,
    /// The receiver took it.
    Delivered = 1,
    /// It was refused too often; only a replay sends it again.
    Dead = 2,
    /// The webhook's filter said no.
    Filtered = 3,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Delivered, Self::Dead, Self::Filtered];

    /// The stored integer's meaning.
    #[must_use]
    pub fn of(value: i16) -> Self {
        Self::ALL.into_iter().find(|state| *state as i16 == value).unwrap_or(Self::Waiting)
    }

    /// The word that the API shows.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Filtered => "filtered",
        }
    }
}

/// One document for one webhook: what it is about, and what became of it.
#[derive(Clone, Debug, sqlx::FromRow)]
#[allow(missing_docs, reason = "columns; times in microseconds since 1970, of the database's clock")]
pub struct Delivery {
    pub id: i64,
    pub webhook: String,
    pub task: Vec<u8>,
    /// 0: it is not of a task, but was published.
    pub cluster: i64,
    pub cluster_uuid: Option<String>,
    pub service_uuid: Option<String>,
    pub seq: i32,
    pub status: i16,
    pub step: i32,
    pub step_status: i16,
    pub step_started: Option<i64>,
    pub step_ended: Option<i64>,
    pub journal: Option<Vec<u8>>,
    pub body: Option<String>,
    pub state: i16,
    pub attempts: i32,
    pub due: i64,
    pub code: Option<i16>,
    pub error: Option<String>,
    pub created: i64,
    pub tried: Option<i64>,
    pub ended: Option<i64>,
}

impl Delivery {
    /// What receivers know it by: the same at each attempt and after a replay.
    #[must_use]
    pub fn message_id(&self) -> String {
        format!("{}.{}.{}", super::ids::hex(&self.task), self.cluster, self.seq)
    }
}

/// Which deliveries a list shows.
#[derive(Clone, Debug, Default)]
pub struct DeliveryListing {
    /// Only this state.
    pub state: Option<DeliveryState>,
    /// Only of tasks with this uuid.
    pub service_uuid: Option<String>,
    /// The last row of the page before.
    pub after: Option<i64>,
    /// From the oldest to the newest.
    pub oldest_first: bool,
    /// Rows at most.
    pub limit: i64,
}

/// How long each failed attempt is waited after; behind the last one nothing is sent any more.
const PAUSES_S: [u64; 7] = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];

/// When it is tried again after so many attempts, all of which failed; none is never.
#[must_use]
pub fn pause_after(attempts: u32) -> Option<Duration> {
    let index = usize::try_from(attempts.checked_sub(1)?).ok()?;
    PAUSES_S.get(index).map(|seconds| Duration::from_secs(*seconds))
}

#[cfg(test)]
mod tests {
    use super::{Duration, pause_after};

    #[test]
    fn it_is_tried_again_on_the_schedule_and_then_never() {
        let minutes = |minutes: u64| Some(Duration::from_secs(minutes * 60));
        assert_eq!(pause_after(1), Some(Duration::from_secs(5)));
        let later = [2, 3, 4, 5, 6, 7, 8].map(pause_after);
        assert_eq!(later, [minutes(5), minutes(30), minutes(120), minutes(300), minutes(600), minutes(600), None]);
    }
}
