//! The status rows that the first version showed, made from what is kept: 0, then 1 when sent, then two per top-level
//! step; the last row is where the task stands.

use super::{
    state::State,
    step::{RECORDED, STARTED, SUCCEEDED, StepRow, Used},
    task::{StepTime, Timeline, View},
};

const REGISTERED: i16 = 0;
const SENT: i16 = 1;
const PROCESSING: i16 = 2;

/// One thing that happened; times in microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs, reason = "the columns of the first version")]
pub struct StatusRow {
    pub step_seq: u32,
    pub status: i16,
    pub started: Option<i64>,
    pub ended: Option<i64>,
    pub message: Option<String>,
    pub created: i64,
    pub used: Option<Used>,
}

impl Timeline {
    /// When each top-level step ran, by the reports of it and of what is inside it. One that has not ended is left out.
    #[must_use]
    pub fn of(sent: Option<i64>, reports: &[StepRow]) -> Self {
        let mut steps: Vec<StepTime> = Vec::new();
        for report in reports.iter().filter(|report| !matches!(report.state, STARTED | RECORDED)) {
            let (Ok(top), Some(ended)) = (u32::try_from(report.top), report.ended) else { continue };
            let ok = report.state == SUCCEEDED;
            let used = report.used.as_deref().and_then(Used::read);
            match steps.iter_mut().find(|step| step.top == top) {
                Some(step) => {
                    step.started = step.started.min(report.started);
                    step.ended = step.ended.max(ended);
                    step.ok &= ok;
                    step.used = step.used.into_iter().chain(used).reduce(Used::and);
                }
                None => steps.push(StepTime { top, started: report.started, ended, ok, message: String::new(), used }),
            }
        }
        steps.sort_by_key(|step| step.top);
        Self { sent, steps, rows: vec![] }
    }
}

/// All rows of a task, the oldest first. `kept`: what is stored of its steps while it is live.
#[must_use]
pub fn rows(view: &View, kept: &[StepRow]) -> Vec<StatusRow> {
    let stored = view.timeline.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let timeline: Timeline = stored.unwrap_or_else(|| Timeline::of(view.leased, kept));
    if !timeline.rows.is_empty() {
        return timeline.rows;
    }
    let mut rows = vec![at(0, REGISTERED, view.created)];
    if let Some(sent) = timeline.sent {
        rows.push(StatusRow { started: Some(view.created), ended: Some(sent), ..at(0, SENT, sent) });
    }
    let state = State::of(view.state);
    let mut settled = false;
    let last = timeline.steps.last().map(|step| step.top);
    for step in &timeline.steps {
        rows.push(begun(step.top, step.started));
        let ends_task = view.ended.is_some() && Some(step.top) == last && step.ok == (state == State::Succeeded);
        settled |= ends_task;
        let status = if ends_task { state.status() } else { PROCESSING };
        let message = if ends_task { view.error.clone() } else { None };
        rows.push(StatusRow {
            started: Some(step.started),
            ended: Some(step.ended),
            message: message.or_else(|| Some(step.message.clone())),
            used: step.used,
            ..at(step.top, status, step.ended)
        });
    }
    let running = kept.iter().filter(|step| step.state == STARTED).filter_map(|step| {
        let top = u32::try_from(step.top).ok()?;
        (last.is_none_or(|last| top > last)).then(|| begun(top, step.started))
    });
    if view.timeline.is_none() {
        rows.extend(running);
    }
    let stands = match state {
        State::Running | State::Offered => return rows,
        // Registered again after an attempt that was lost.
        State::Ready | State::Paused | State::Scheduled => rows.len() > 1,
        _ => !settled,
    };
    if stands {
        let top = rows.last().map_or(0, |row| row.step_seq);
        let newest = rows.iter().map(|row| row.created).max().unwrap_or(view.created);
        let created = view.ended.unwrap_or(newest).max(newest);
        rows.push(StatusRow { ended: view.ended, message: view.error.clone(), ..at(top, state.status(), created) });
    }
    rows
}

/// As it is stored with a final task.
#[must_use]
pub fn timeline_text(timeline: &Timeline) -> String {
    serde_json::to_string(timeline).unwrap_or_else(|_| "{\"steps\":[]}".into())
}

fn at(step_seq: u32, status: i16, created: i64) -> StatusRow {
    StatusRow { step_seq, status, started: None, ended: None, message: None, created, used: None }
}

fn begun(top: u32, started: i64) -> StatusRow {
    StatusRow { started: Some(started), message: Some(String::new()), ..at(top, PROCESSING, started) }
}

#[cfg(test)]
mod tests {
    use super::{StepRow, Timeline, View, rows};

    /// A row of a task with this state; `timeline` when it is final.
    fn view(state: i16, leased: Option<i64>, timeline: Option<Timeline>) -> View {
        View {
            id: vec![1; 16],
            cluster: 1,
            cluster_uuid: "0".repeat(32),
            uuid: "1".repeat(32),
            snapshot: vec![2; 16],
            name: "n".into(),
            summary: None,
            inputs: "{}".into(),
            channel: None,
            priority: 0,
            attempt: 1,
            state,
            cancel_requested: false,
            labels: None,
            created_by: None,
            created: 10,
            started: None,
            leased,
            ended: timeline.as_ref().map(|_| 99),
            timeline: timeline.map(|timeline| serde_json::to_string(&timeline).unwrap()),
            result: None,
            error: (state > 4).then(|| "why".to_owned()),
            request_id: None,
        }
    }

    /// Path, top-level index, state (1 started, 2 succeeded, 3 failed).
    fn steps(of: &[(&str, i32, i16)]) -> Vec<StepRow> {
        let row = |(index, (path, top, state)): (i64, &(&str, i32, i16))| StepRow {
            path: (*path).to_owned(),
            attempt: 1,
            top: *top,
            state: *state,
            effect: 4,
            started: 30 + index * 10,
            ended: (*state != 1).then_some(35 + index * 10),
            output: None,
            used: (*state != 1).then(|| r#"{"cpu_us":10,"wall_us":20,"memory_bytes":300,"host_calls":1}"#.to_owned()),
        };
        (0..).zip(of).map(row).collect()
    }

    #[test]
    fn the_rows_of_a_live_task_say_what_happened() {
        for (name, state, leased, kept, expected) in [
            ("it waits", 0, None, vec![], vec![(0, 0)]),
            ("it was sent", 2, Some(20), vec![], vec![(0, 0), (0, 1)]),
            ("its first step runs", 2, Some(20), vec![("0", 0, 1)], vec![(0, 0), (0, 1), (0, 2)]),
            (
                "its second step runs",
                2,
                Some(20),
                vec![("0", 0, 2), ("1", 1, 1)],
                vec![(0, 0), (0, 1), (0, 2), (0, 2), (1, 2)],
            ),
            ("it waits again after a lost attempt", 0, None, vec![("0", 0, 2)], vec![(0, 0), (0, 2), (0, 2), (0, 0)]),
            (
                "the effect of its second step is in doubt",
                64,
                Some(20),
                vec![("0", 0, 2), ("1", 1, 1)],
                vec![(0, 0), (0, 1), (0, 2), (0, 2), (1, 2), (1, 64)],
            ),
            ("it is in doubt, and no step is kept", 64, Some(20), vec![], vec![(0, 0), (0, 1), (0, 64)]),
        ] {
            assert_eq!(pairs(&view(state, leased, None), &steps(&kept)), expected, "{name}");
        }
    }

    #[test]
    fn the_rows_of_a_final_task_end_with_its_state() {
        for (name, state, reports, expected) in [
            ("one step", 4, vec![("0", 0, 2)], vec![(0, 0), (0, 1), (0, 2), (0, 4)]),
            ("two steps", 4, vec![("0", 0, 2), ("1", 1, 2)], vec![(0, 0), (0, 1), (0, 2), (0, 2), (1, 2), (1, 4)]),
            (
                "a range is one step, whatever runs in it",
                4,
                vec![("0/r[0]/p", 0, 2), ("0/r[1]/p", 0, 2), ("0", 0, 2)],
                vec![(0, 0), (0, 1), (0, 2), (0, 4)],
            ),
            (
                "a failure in step 2",
                8,
                vec![("0", 0, 2), ("1", 1, 3)],
                vec![(0, 0), (0, 1), (0, 2), (0, 2), (1, 2), (1, 8)],
            ),
            (
                "a failure inside a range",
                8,
                vec![("0", 0, 2), ("1/r[0]/p", 1, 2), ("1/r[1]/p", 1, 3)],
                vec![(0, 0), (0, 1), (0, 2), (0, 2), (1, 2), (1, 8)],
            ),
            ("it failed between two steps", 8, vec![("0", 0, 2)], vec![(0, 0), (0, 1), (0, 2), (0, 2), (0, 8)]),
            ("it failed before its first step", 8, vec![], vec![(0, 0), (0, 1), (0, 8)]),
            ("cancelled in a step", 16, vec![("0", 0, 3)], vec![(0, 0), (0, 1), (0, 2), (0, 16)]),
            ("cancelled between two steps", 16, vec![("0", 0, 2)], vec![(0, 0), (0, 1), (0, 2), (0, 2), (0, 16)]),
        ] {
            let view = view(state, None, Some(Timeline::of(Some(20), &steps(&reports))));
            assert_eq!(pairs(&view, &[]), expected, "{name}");
            let rows = rows(&view, &[]);
            let message = rows.last().and_then(|row| row.message.clone()).unwrap_or_default();
            assert_eq!(message, if state == 4 { "" } else { "why" }, "{name}");
        }
    }

    #[test]
    fn a_task_that_nobody_took_ends_without_being_sent() {
        let view = view(32, None, Some(Timeline::default()));
        assert_eq!(pairs(&view, &[]), [(0, 0), (0, 32)]);
    }

    #[test]
    fn a_range_lasts_from_its_first_inner_start_to_its_own_end() {
        let timeline = Timeline::of(None, &steps(&[("0/r[0]/p", 0, 2), ("0/r[1]/p", 0, 2), ("0", 0, 2)]));
        assert_eq!(timeline.steps.iter().map(|step| (step.started, step.ended)).collect::<Vec<_>>(), [(30, 55)]);
    }

    /// Step and status of each row, which must be in the order of their times.
    fn pairs(view: &View, kept: &[StepRow]) -> Vec<(u32, i16)> {
        let rows = rows(view, kept);
        assert!(rows.is_sorted_by_key(|row| row.created), "{rows:?}");
        rows.iter().map(|row| (row.step_seq, row.status)).collect()
    }
}
