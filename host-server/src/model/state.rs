//! A task's states: as they are stored, as integers of the first version, and as words.

/// Where a task stands. The number is the stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum State {
    /// Waits for an agent.
    Ready = 0,
    /// An agent was offered it and has not answered.
    Offered = 1,
    /// An agent took it.
    Running = 2,
    /// Final.
    Succeeded = 4,
    /// Final.
    Failed = 8,
    /// Final: the run took longer than it may.
    TimedOut = 9,
    /// Final.
    Cancelled = 16,
    /// Final: nobody started it within its validity.
    Expired = 32,
    /// An effect is in doubt; a report or a person settles it.
    Unknown = 64,
    /// Waits until a person says that it may go on.
    Paused = 128,
    /// Waits for its time.
    Scheduled = 256,
}

impl State {
    /// Every state in which a task can be stored; whether an offer was taken is known in memory only.
    pub const STORED: [Self; 10] = [
        Self::Scheduled,
        Self::Ready,
        Self::Running,
        Self::Paused,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Cancelled,
        Self::Expired,
        Self::Unknown,
    ];

    /// The stored integer's meaning.
    #[must_use]
    pub fn of(value: i16) -> Self {
        match value {
            0 => Self::Ready,
            1 => Self::Offered,
            4 => Self::Succeeded,
            8 => Self::Failed,
            9 => Self::TimedOut,
            16 => Self::Cancelled,
            32 => Self::Expired,
            64 => Self::Unknown,
            128 => Self::Paused,
            256 => Self::Scheduled,
            _ => Self::Running,
        }
    }

    /// Whether nothing leaves it.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::TimedOut | Self::Cancelled | Self::Expired)
    }

    /// The integer that the API shows (`delivery.md`): a run that timed out has failed, and what waits is registered.
    #[must_use]
    pub fn status(self) -> i16 {
        match self {
            Self::TimedOut => Self::Failed as i16,
            Self::Paused | Self::Scheduled => Self::Ready as i16,
            other => other as i16,
        }
    }

    /// The word that the API shows.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Offered => "offered",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
            Self::Paused => "paused",
            Self::Scheduled => "scheduled",
        }
    }
}
