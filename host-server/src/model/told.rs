//! What a task's webhook is told of: the status rows that the API shows, each at the moment in which it comes about.

use super::{
    state::State,
    step::{FAILED, RECORDED, STARTED, StepRow},
    task::Timeline,
};

const REGISTERED: i16 = 0;
const SENT: i16 = 1;
const PROCESSING: i16 = 2;

/// One status; times in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The task's, as the API's integer.
    pub status: i16,
    /// Index of the top-level step that it is about.
    pub step: i32,
    /// That step's: 2 while it runs, 4 or 8 when it has ended; the task's where it is about no step.
    pub step_status: i16,
    /// When the step began.
    pub started: Option<i64>,
    /// When the step ended.
    pub ended: Option<i64>,
}

impl Told {
    /// It waits for an agent.
    #[must_use]
    pub fn registered(step: i32) -> Self {
        Self { status: REGISTERED, step, step_status: REGISTERED, started: None, ended: None }
    }

    /// An agent has it.
    #[must_use]
    pub fn sent(created: i64, sent: i64) -> Self {
        Self { status: SENT, step: 0, step_status: SENT, started: Some(created), ended: Some(sent) }
    }

    /// It stands in a state that is about no step alone.
    #[must_use]
    pub fn stands(state: State, step: i32, ended: Option<i64>) -> Self {
        Self { status: state.status(), step, step_status: state.status(), started: None, ended }
    }

    fn begun(step: i32, started: i64) -> Self {
        Self { status: PROCESSING, step, step_status: PROCESSING, started: Some(started), ended: None }
    }

    fn is_of_step(&self, step: i32) -> bool {
        self.status == PROCESSING && self.step == step
    }
}

fn has_begun(told: &[Told], step: i32) -> bool {
    told.iter().any(|row| row.is_of_step(step))
}

fn has_ended(told: &[Told], step: i32) -> bool {
    told.iter().any(|row| row.is_of_step(step) && row.ended.is_some())
}

/// The last step that something was told of.
#[must_use]
pub fn last_step(told: &[Told]) -> i32 {
    told.iter().map(|row| row.step).max().unwrap_or_default()
}

/// What the report of a step adds. The end of the last step, and of one that failed, comes with the task's.
#[must_use]
pub fn of_step(told: &[Told], report: &StepRow, step_max: usize) -> Vec<Told> {
    let mut rows = Vec::new();
    if report.state == RECORDED {
        return rows;
    }
    if !has_begun(told, report.top) {
        rows.push(Told::begun(report.top, report.started));
    }
    let is_whole = report.path == report.top.to_string();
    let is_last = usize::try_from(report.top).is_ok_and(|top| top + 1 >= step_max);
    let goes_on = !matches!(report.state, STARTED | FAILED) && !is_last;
    if is_whole && goes_on && !has_ended(told, report.top) {
        let (started, ended) = (Some(report.started), report.ended);
        rows.push(Told { status: PROCESSING, step: report.top, step_status: State::Succeeded as i16, started, ended });
    }
    rows
}

/// What the end of a task adds: steps that nothing was told of yet, and the end itself.
#[must_use]
pub fn of_end(told: &[Told], timeline: &Timeline, state: State, ended: i64) -> Vec<Told> {
    let mut rows = Vec::new();
    let (mut last, mut is_settled) = (last_step(told), false);
    let ending = timeline.steps.last().map(|step| step.top);
    for step in &timeline.steps {
        let Ok(top) = i32::try_from(step.top) else { continue };
        last = last.max(top);
        if !has_begun(told, top) {
            rows.push(Told::begun(top, step.started));
        }
        let step_status = if step.ok { State::Succeeded } else { State::Failed }.status();
        let whole =
            Told { status: PROCESSING, step: top, step_status, started: Some(step.started), ended: Some(step.ended) };
        if Some(step.top) == ending && step.ok == (state == State::Succeeded) {
            is_settled = true;
            rows.push(Told { status: state.status(), ..whole });
        } else if !has_ended(told, top) {
            rows.push(whole);
        }
    }
    if !is_settled {
        rows.push(Told::stands(state, last, Some(ended)));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::{StepRow, Timeline, Told, of_end, of_step};
    use crate::model::state::State;

    fn report(path: &str, top: i32, state: i16) -> StepRow {
        StepRow {
            path: path.into(),
            attempt: 1,
            top,
            state,
            effect: 4,
            started: 30,
            ended: (state != 1).then_some(40),
            output: None,
            used: None,
        }
    }

    /// Status, step and the step's status of all that a run of two steps tells.
    fn told(reports: &[(&str, i32, i16)], state: State, in_advance: usize) -> Vec<(i16, i32, i16)> {
        let mut told = vec![Told::registered(0), Told::sent(10, 20)];
        let reports: Vec<StepRow> = reports.iter().map(|(path, top, state)| report(path, *top, *state)).collect();
        for one in reports.iter().take(in_advance) {
            told.extend(of_step(&told.clone(), one, 2));
        }
        told.extend(of_end(&told.clone(), &Timeline::of(Some(20), &reports), state, 99));
        told.iter().map(|row| (row.status, row.step, row.step_status)).collect()
    }

    #[test]
    fn each_status_is_told_once_whether_steps_were_reported_before_the_end_or_with_it() {
        for (name, reports, state, expected) in [
            (
                "two steps",
                vec![("0", 0, 2), ("1", 1, 2)],
                State::Succeeded,
                vec![(0, 0, 0), (1, 0, 1), (2, 0, 2), (2, 0, 4), (2, 1, 2), (4, 1, 4)],
            ),
            (
                "a range is one step",
                vec![("0/r[0]/p", 0, 2), ("0/r[1]/p", 0, 2), ("0", 0, 2), ("1", 1, 2)],
                State::Succeeded,
                vec![(0, 0, 0), (1, 0, 1), (2, 0, 2), (2, 0, 4), (2, 1, 2), (4, 1, 4)],
            ),
            (
                "the second step fails",
                vec![("0", 0, 2), ("1", 1, 3)],
                State::Failed,
                vec![(0, 0, 0), (1, 0, 1), (2, 0, 2), (2, 0, 4), (2, 1, 2), (8, 1, 8)],
            ),
            (
                "it is cancelled between two steps",
                vec![("0", 0, 2)],
                State::Cancelled,
                vec![(0, 0, 0), (1, 0, 1), (2, 0, 2), (2, 0, 4), (16, 0, 16)],
            ),
            ("nothing ran", vec![], State::Failed, vec![(0, 0, 0), (1, 0, 1), (8, 0, 8)]),
        ] {
            for in_advance in 0..=reports.len() {
                assert_eq!(told(&reports, state, in_advance), expected, "{name}, {in_advance} reports in advance");
            }
        }
    }

    #[test]
    fn a_step_that_begins_is_told_at_once_and_not_again_by_its_next_attempt() {
        let begun = of_step(&[], &report("1/r[0]/p", 1, 1), 2);
        assert_eq!(begun, [Told::begun(1, 30)]);
        assert_eq!(of_step(&begun, &report("1/r[1]/p", 1, 1), 2), []);
        assert_eq!(of_step(&[], &report("0/v", 0, 5), 2), [], "what was only written down is no step");
    }
}
