//! The plugins' effect log: the lines that `plugins/effects` leaves in its agent's log, which survives the agent.

use serde::{Deserialize, Serialize};

/// How often an effect may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Class {
    Read,
    Idempotent,
    Verify,
    Never,
}

impl Class {
    pub(super) const ALL: [Self; 4] = [Self::Read, Self::Idempotent, Self::Verify, Self::Never];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Idempotent => "idempotent",
            Self::Verify => "verify",
            Self::Never => "never",
        }
    }

    fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.word() == word)
    }

    /// Whether a lost agent may leave its task in doubt.
    pub(super) fn is_guarded(self) -> bool {
        matches!(self, Self::Verify | Self::Never)
    }
}

/// A call began, or its effect was there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The agent whose log it is.
    pub(super) agent: String,
    pub(super) done: bool,
    pub(super) class: Class,
    pub(super) key: String,
    /// What the host calls the effect: equal over the attempts of one task.
    pub(super) effect_key: String,
}

/// The marks in an agent's log, in their order. A line that was cut short by the agent's end is none.
pub(super) fn marks(agent: &str, log: &str) -> Vec<Mark> {
    let whole = log.rsplit_once('\n').map(|(whole, _)| whole).unwrap_or_default();
    whole.lines().filter_map(|line| mark(agent, line)).collect()
}

fn mark(agent: &str, line: &str) -> Option<Mark> {
    let (_, rest) = line.split_once("effect ")?;
    let mut words = rest.split_whitespace();
    let done = match words.next()? {
        "begin" => false,
        "done" => true,
        _ => return None,
    };
    let mut value = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
    let class = Class::of(&value("class")?)?;
    Some(Mark { agent: agent.to_owned(), done, class, key: value("key")?, effect_key: value("effect_key")? })
}

#[cfg(test)]
mod tests {
    use super::{Class, Mark, marks};

    #[test]
    fn marks_are_read_from_a_log_and_other_lines_are_not() {
        let log = "2026-01-01T00:00:00Z  INFO claiflow_agent::link::stream: connected server=\"127.0.0.1:1\"\n\
                   2026-01-01T00:00:01Z  INFO claiflow_agent::executor::log: effect begin class=never key=ab/a effect_key=12 task=\"ab\" fields=[]\n\
                   2026-01-01T00:00:02Z  INFO claiflow_agent::executor::log: effect done class=never key=ab/a effect_key=12 task=\"ab\" fields=[]\n\
                   2026-01-01T00:00:02Z  INFO claiflow_agent::executor::log: effect of nothing\n\
                   2026-01-01T00:00:03Z  INFO claiflow_agent::executor::log: effect begin class=read key=cd/a effect_key=1";
        let mark =
            |done| Mark { agent: "a".into(), done, class: Class::Never, key: "ab/a".into(), effect_key: "12".into() };
        assert_eq!(marks("a", log), [mark(false), mark(true)]);
    }
}
