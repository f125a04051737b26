//! What an agent of the first version says of a step, and what it means for the task.

use super::{
    state::State,
    step::{FAILED, STARTED, SUCCEEDED},
};

const PROCESSING: i32 = 2;

/// A status of a top-level step, as it was sent.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// The step, counted from 0.
    pub sequence: i32,
    /// 2, 4 or 8.
    pub status: i32,
    /// A time of its end was given.
    pub ended: bool,
}

/// The step's state, and the task's where this was its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// As in `StepRow`.
    pub step: i16,
    /// The state in which the task ends.
    pub end: Option<State>,
}

impl Said {
    /// A task ends with its last step as that was sent, or with a step that failed; any other status says that it runs.
    ///
    /// # Errors
    /// A sentence about what was wrong.
    pub fn of(self, step_max: usize) -> Result<Meaning, String> {
        let Self { sequence, status, ended } = self;
        let sequence = usize::try_from(sequence).ok().filter(|sequence| *sequence < step_max).ok_or_else(|| {
            format!("`sequence` is a step of the task, from 0 to {}, not {sequence}", step_max.saturating_sub(1))
        })?;
        let last = sequence + 1 == step_max;
        let succeeded = i32::from(State::Succeeded as i16);
        let failed = i32::from(State::Failed as i16);
        match status {
            PROCESSING if !ended => Ok(Meaning { step: STARTED, end: None }),
            PROCESSING => Ok(Meaning { step: SUCCEEDED, end: None }),
            status if status == succeeded => Ok(Meaning { step: SUCCEEDED, end: last.then_some(State::Succeeded) }),
            status if status == failed => Ok(Meaning { step: FAILED, end: Some(State::Failed) }),
            other => Err(format!("`status` is 2, 4 or 8, not {other}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FAILED, Meaning, STARTED, SUCCEEDED, Said, State};

    #[test]
    fn a_status_means_what_it_always_did() {
        for (name, sequence, status, ended, step, end) in [
            ("a step begins", 0, 2, false, STARTED, None),
            ("the last step begins", 1, 2, false, STARTED, None),
            ("a step ends and another one follows", 0, 2, true, SUCCEEDED, None),
            ("a step before the last one never ends the task well", 0, 4, true, SUCCEEDED, None),
            ("the last step is as it was sent: it runs on", 1, 2, true, SUCCEEDED, None),
            ("the last step ends the task", 1, 4, true, SUCCEEDED, Some(State::Succeeded)),
            ("an end without a time is an end", 1, 4, false, SUCCEEDED, Some(State::Succeeded)),
            ("a failure ends the task wherever it is", 0, 8, true, FAILED, Some(State::Failed)),
            ("the last step fails", 1, 8, true, FAILED, Some(State::Failed)),
        ] {
            assert_eq!(Said { sequence, status, ended }.of(2), Ok(Meaning { step, end }), "{name}");
        }
    }

    #[test]
    fn what_means_nothing_is_told() {
        for (sequence, status, word) in
            [(-1, 2, "`sequence`"), (2, 2, "`sequence`"), (0, 0, "`status`"), (0, 1, "`status`"), (0, 64, "`status`")]
        {
            let said = Said { sequence, status, ended: true }.of(2).unwrap_err();
            assert!(said.contains(word), "{said}");
        }
        assert!(Said { sequence: 0, status: 4, ended: true }.of(0).is_err(), "a task without steps");
    }
}
