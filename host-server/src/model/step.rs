//! Steps of live tasks: what is kept of them, and what a report adds to it.

use super::lifecycle::Doubt;

/// A step of a live task; states and effects are numbered as in the agent protocol.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
#[allow(missing_docs, reason = "columns; times in microseconds since 1970")]
pub struct StepRow {
    pub path: String,
    pub attempt: i32,
    pub top: i32,
    pub state: i16,
    pub effect: i16,
    pub started: i64,
    pub ended: Option<i64>,
    pub output: Option<String>,
    pub used: Option<String>,
}

/// What the calls of a step used, as its agent counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Used {
    /// Processor time, microseconds.
    pub cpu_us: u64,
    /// From start to end, microseconds.
    pub wall_us: u64,
    /// The most memory of one call, with what the host held for it.
    pub memory_bytes: u64,
    /// Calls into the host.
    pub host_calls: u32,
}

impl Used {
    /// As it is kept with a step.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// As it is kept with a step.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// Both together: memory is that of the larger one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            cpu_us: self.cpu_us.saturating_add(other.cpu_us),
            wall_us: self.wall_us.saturating_add(other.wall_us),
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
            host_calls: self.host_calls.saturating_add(other.host_calls),
        }
    }
}

/// The state of a step whose end is not known.
pub const STARTED: i16 = 1;
/// The state of a step that went well.
pub const SUCCEEDED: i16 = 2;
/// The state of a step that failed.
pub const FAILED: i16 = 3;
/// The effect of a step that must not happen twice.
pub const NEVER: i16 = 4;
/// The state of what was written down when it was first evaluated, and of notes.
pub const RECORDED: i16 = 5;
/// Effects that may happen twice: `read` and `idempotent`. One that was not named counts as the strictest.
const REPEATABLE: std::ops::RangeInclusive<i16> = 1..=2;
/// The effect that can be asked for.
const READ: i16 = 1;
const VERIFY: i16 = 3;

/// What is not known after an attempt that was lost, by the steps that are kept of it.
#[must_use]
pub fn doubt(kept: &[StepRow]) -> Doubt {
    kept.iter().map(StepRow::doubt).max().unwrap_or(Doubt::None)
}

/// Whether something else than `read` had started.
#[must_use]
pub fn touched(kept: &[StepRow]) -> bool {
    kept.iter().any(|step| step.state != RECORDED && step.effect != READ)
}

/// What a report does to the row that is kept under the same path and try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The report becomes the row.
    Put,
    /// The row gets its end.
    End,
    /// The report says nothing more than the row.
    Nothing,
    /// The report contradicts the row, which stays.
    Conflict,
}

impl StepRow {
    /// The word that the API shows for its state.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.state {
            STARTED => "started",
            SUCCEEDED => "succeeded",
            FAILED => "failed",
            RECORDED => "recorded",
            _ => "skipped",
        }
    }

    /// Whether its effect may have happened and nobody knows, and who could be asked.
    #[must_use]
    pub fn doubt(&self) -> Doubt {
        match (self.state, self.effect) {
            (STARTED, effect) if REPEATABLE.contains(&effect) => Doubt::None,
            (STARTED, VERIFY) => Doubt::Ask,
            (STARTED, _) => Doubt::Never,
            _ => Doubt::None,
        }
    }

    /// What `report` adds to this row. `same_lease`: both came under one lease.
    ///
    /// Times are the server's own and are not compared. What an earlier lease finished well is never replaced; anything
    /// else of an earlier lease gives way to the lease that holds now.
    #[must_use]
    pub fn change(&self, report: &Self, same_lease: bool) -> Change {
        let same_end = self.state == report.state && self.top == report.top && self.output == report.output;
        match (self.state, report.state) {
            (STARTED, STARTED) if self.top == report.top && self.effect == report.effect => Change::Nothing,
            (STARTED, STARTED) if same_lease => Change::Conflict,
            (STARTED, STARTED) => Change::Put,
            (STARTED, _) => Change::End,
            (SUCCEEDED, STARTED) => Change::Nothing,
            (_, STARTED) if same_lease => Change::Nothing,
            (_, STARTED) => Change::Put,
            _ if same_end => Change::Nothing,
            (SUCCEEDED, _) => Change::Conflict,
            _ if same_lease => Change::Conflict,
            _ => Change::Put,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Doubt, FAILED, STARTED, SUCCEEDED, StepRow, doubt, touched};

    fn row(state: i16, output: &str) -> StepRow {
        StepRow {
            path: "0".into(),
            attempt: 1,
            top: 0,
            state,
            effect: 4,
            started: 5,
            ended: (state != STARTED).then_some(9),
            output: (!output.is_empty()).then(|| output.to_owned()),
            used: None,
        }
    }

    #[test]
    fn a_report_changes_a_row_once() {
        for (kept, report, same_lease, other_lease) in [
            (row(STARTED, ""), row(STARTED, ""), Change::Nothing, Change::Nothing),
            (row(STARTED, ""), StepRow { effect: 1, ..row(STARTED, "") }, Change::Conflict, Change::Put),
            (row(STARTED, ""), row(SUCCEEDED, "1"), Change::End, Change::End),
            (row(STARTED, ""), row(FAILED, ""), Change::End, Change::End),
            (row(SUCCEEDED, "1"), row(STARTED, ""), Change::Nothing, Change::Nothing),
            (row(SUCCEEDED, "1"), row(SUCCEEDED, "1"), Change::Nothing, Change::Nothing),
            (row(SUCCEEDED, "1"), row(SUCCEEDED, "2"), Change::Conflict, Change::Conflict),
            (row(SUCCEEDED, "1"), row(FAILED, ""), Change::Conflict, Change::Conflict),
            (row(FAILED, ""), row(STARTED, ""), Change::Nothing, Change::Put),
            (row(FAILED, ""), row(FAILED, ""), Change::Nothing, Change::Nothing),
            (row(FAILED, ""), row(SUCCEEDED, "1"), Change::Conflict, Change::Put),
        ] {
            assert_eq!(kept.change(&report, true), same_lease, "{kept:?}\n{report:?}");
            assert_eq!(kept.change(&report, false), other_lease, "{kept:?}\n{report:?}");
        }
    }

    #[test]
    fn times_of_a_repeated_report_do_not_matter() {
        let later = StepRow { started: 6, ended: Some(12), ..row(SUCCEEDED, "1") };
        assert_eq!(row(SUCCEEDED, "1").change(&later, true), Change::Nothing);
    }

    #[test]
    fn only_a_started_step_with_an_effect_is_in_doubt() {
        for (state, effect, expected) in [
            (STARTED, 0, Doubt::Never),
            (STARTED, 1, Doubt::None),
            (STARTED, 2, Doubt::None),
            (STARTED, 3, Doubt::Ask),
            (STARTED, 4, Doubt::Never),
            (SUCCEEDED, 4, Doubt::None),
        ] {
            assert_eq!(StepRow { effect, ..row(state, "") }.doubt(), expected, "{state} {effect}");
        }
        let kept = |effects: &[i16]| {
            effects.iter().map(|effect| StepRow { effect: *effect, ..row(STARTED, "") }).collect::<Vec<_>>()
        };
        for (effects, strictest, is_touched) in [
            (vec![], Doubt::None, false),
            (vec![1, 1], Doubt::None, false),
            (vec![1, 2], Doubt::None, true),
            (vec![3, 4, 1], Doubt::Never, true),
        ] {
            assert_eq!((doubt(&kept(&effects)), touched(&kept(&effects))), (strictest, is_touched), "{effects:?}");
        }
    }
}
