//! Tasks: a final one becomes history with its statuses and its result, word for word; an open one waits again, or has failed.

use std::{collections::HashMap, sync::Arc};

use claiflow_flow::{Flow, Origin};
use serde_json::{Value, value::RawValue};
use sha2::{Digest as _, Sha256};

use super::{clear::Clear, resources};
use crate::model::{
    ids::{Id, hex, lookup},
    options::Options,
    original::{Ended, Odd, Record, Taken},
    state::State,
    statuses::{StatusRow, timeline_text},
    task::{Snapshot, Task, Timeline},
};

const REGISTERED: i16 = 0;
const SENT: i16 = 1;
const PROCESSING: i16 = 2;
const SUCCEEDED: i16 = State::Succeeded as i16;
const FAILED: i16 = State::Failed as i16;
/// The only kind of result that the first version kept: in the database.
const IN_DATABASE: i64 = 1;
/// A run's time, where a waiting task is run now, milliseconds.
const RUN_TIMEOUT_MS: i64 = 3_600_000;
/// Snapshots that are remembered.
const SNAPSHOTS: usize = 1_000;

/// What all tasks share.
pub(super) struct Tasks {
    pub(super) clear: Clear,
    /// Nobody works on the first version's tasks any more.
    pub(super) stopped: bool,
    /// Microseconds since 1970.
    pub(super) now_us: i64,
    /// When the first version last wrote something, microseconds since 1970.
    pub(super) last_us: i64,
    /// How long a task waits before it expires, microseconds.
    pub(super) validity_us: i64,
    /// Inputs and result of one task at most, bytes, where the target has a limit.
    pub(super) most_bytes: Option<usize>,
    /// By their ids.
    pub(super) snapshots: HashMap<Id, Arc<Snapshot>>,
}

/// What was made of a row.
pub(super) enum Made {
    /// A task of ours, and what should be said of it.
    Task(Taken, Vec<String>),
    /// It has not ended, and somebody may still work on it.
    Open,
}

impl Tasks {
    /// A task of `cluster` with the rows that belong to it.
    ///
    /// # Errors
    /// [`Odd`]: it cannot be taken over.
    pub(super) fn make(
        &mut self,
        record: &Record,
        cluster: i64,
        statuses: &[Record],
        results: &[Record],
    ) -> Result<Made, Odd> {
        let mut remarks = vec![];
        let uuid = resources::uuid(record, "uuid", &mut remarks)?;
        let mut rows = statuses.iter().map(status).collect::<Result<Vec<_>, _>>()?;
        rows.sort_by_key(|row| (row.created, row.step_seq, row.status));
        let created = record.time("created")?.or(rows.first().map(|row| row.created)).or(record.time("pdate")?);
        let created = created.ok_or_else(|| Odd("`created` is no time".into()))?;
        if rows.is_empty() {
            rows.push(StatusRow {
                step_seq: 0,
                status: REGISTERED,
                started: None,
                ended: None,
                message: None,
                created,
                used: None,
            });
        }
        let last = rows.last().cloned().ok_or_else(|| Odd("it has no status".into()))?;
        let is_final = matches!(last.status, SUCCEEDED | FAILED);
        if !is_final && !self.stopped {
            return Ok(Made::Open);
        }
        let snapshot = self.snapshot(record)?;
        let (name, summary) = resources::words(record, &snapshot.template_uuid, &mut remarks)?;
        let result = self.result(results, &mut remarks)?;
        let inputs = self.inputs(record, &mut remarks)?;
        let bytes = inputs.len() + result.as_ref().map_or(0, |(text, _)| text.len());
        if let Some(most) = self.most_bytes.filter(|most| bytes > *most) {
            return Err(Odd(format!(
                "its inputs and its result have {bytes} bytes; {most} fit MariaDB: import into SQLite, or shorten them"
            )));
        }
        let (id, channel) = (id_of(created, &uuid), channel(record, &mut remarks)?);
        let priority = record.number("priority")?.unwrap_or_default();
        let priority = i32::try_from(priority.clamp(i64::from(i32::MIN), i64::from(i32::MAX))).unwrap_or_default();
        let started = rows.iter().find(|row| row.status != REGISTERED).map(|row| row.created);
        let mut ended = Ended {
            id,
            cluster,
            uuid,
            snapshot: snapshot.id,
            name,
            summary,
            inputs,
            channel,
            priority,
            state: last.status,
            created,
            started,
            // The result's time is shown too, and is this one.
            ended: last.ended.unwrap_or(last.created).max(last.created),
            timeline: String::new(),
            result: None,
            error: None,
        };
        match last.status {
            SUCCEEDED => {
                if let Some((text, at)) = result {
                    (ended.result, ended.ended) = (Some(text), at.unwrap_or(ended.ended));
                }
            }
            FAILED => {
                let message = last.message.clone().filter(|message| !message.is_empty());
                ended.error = Some(
                    message.unwrap_or_else(|| "it failed on the first version's server, which did not say why".into()),
                );
                if result.is_some() {
                    remarks.push("it failed and has a result, which no call shows".into());
                    ended.result = result.map(|(text, _)| text);
                }
            }
            REGISTERED if created.saturating_add(self.validity_us) >= self.last_us => {
                if let Err(mistakes) = Flow::parse(&snapshot.flow, Origin::Stored) {
                    let why = mistakes.first().map(|mistake| mistake.message.clone()).unwrap_or_default();
                    self.close(&mut ended, &mut rows, State::Failed, format!("its flow cannot run: {why}"));
                } else {
                    return Ok(Made::Task(Taken::Waits(Arc::new(self.waiting(ended, snapshot))), remarks));
                }
            }
            REGISTERED => {
                let words = "expired: no agent of the first version took it within its validity".to_owned();
                self.close(&mut ended, &mut rows, State::Expired, words);
            }
            status => {
                let word = match status {
                    SENT => "was sent to an agent".to_owned(),
                    PROCESSING => "was being processed".to_owned(),
                    other => {
                        remarks.push(format!("its last status, {other}, has no known meaning"));
                        format!("had the status {other}")
                    }
                };
                let words =
                    format!("unknown: it {word} when the first version's server was stopped; what it did is not known");
                self.close(&mut ended, &mut rows, State::Failed, words);
            }
        }
        ended.timeline = timeline_text(&Timeline { rows, ..Timeline::default() });
        Ok(Made::Task(Taken::Ended(Box::new(ended), snapshot), remarks))
    }

    /// Ends a task that had not ended, with a status row that says so.
    fn close(&self, task: &mut Ended, rows: &mut Vec<StatusRow>, state: State, words: String) {
        let last = rows.last();
        let created = self.now_us.max(last.map_or(0, |row| row.created.saturating_add(1)));
        rows.push(StatusRow {
            step_seq: last.map_or(0, |row| row.step_seq),
            status: state.status(),
            started: None,
            ended: Some(created),
            message: Some(words.clone()),
            created,
            used: None,
        });
        (task.state, task.ended, task.error) = (state as i16, created, Some(words));
    }

    fn waiting(&self, task: Ended, snapshot: Arc<Snapshot>) -> Task {
        Task {
            id: task.id,
            cluster: task.cluster,
            uuid: task.uuid,
            snapshot,
            name: task.name,
            summary: task.summary,
            inputs: task.inputs,
            channel: task.channel,
            priority: task.priority,
            attempt: 1,
            epoch: 0,
            created: task.created,
            request: Some(no_request()),
            valid_until: Some(self.now_us.saturating_add(self.validity_us)),
            run_timeout_ms: RUN_TIMEOUT_MS,
            started: None,
            labels: None,
            traceparent: None,
            created_by: None,
            audit: None,
            request_id: None,
        }
    }

    /// The text of the newest result, and its time.
    fn result(&self, results: &[Record], remarks: &mut Vec<String>) -> Result<Option<(String, Option<i64>)>, Odd> {
        let mut newest: Option<(String, Option<i64>)> = None;
        for record in results {
            if record.number("save_type")?.is_some_and(|kind| kind != IN_DATABASE) {
                remarks.push("its result's `save_type` is not 1; its text is taken over as it is".into());
            }
            let Some(text) = self.clear.text(record, "result")? else { continue };
            let at = record.time("created")?;
            if newest.is_some() {
                remarks.push("it has several results; the newest is taken over".into());
            }
            if newest.as_ref().is_none_or(|(_, before)| *before <= at) {
                newest = Some((text, at));
            }
        }
        Ok(newest)
    }

    /// JSON text.
    fn inputs(&self, record: &Record, remarks: &mut Vec<String>) -> Result<String, Odd> {
        let Some(text) = self.clear.text(record, "inputs")?.filter(|text| !text.trim().is_empty()) else {
            return Ok("{}".into());
        };
        if RawValue::from_string(text.clone()).is_ok() {
            return Ok(text);
        }
        remarks.push("its inputs are no JSON; they are taken over as a JSON string".into());
        Ok(Value::from(text).to_string())
    }

    /// What it ran: shared by the tasks of one version of a template.
    fn snapshot(&mut self, record: &Record) -> Result<Arc<Snapshot>, Odd> {
        let template_uuid = record.text_or_empty("template_uuid")?;
        if template_uuid.len() > 32 || !template_uuid.is_ascii() {
            return Err(Odd("`template_uuid` is not a text of up to 32 ASCII characters".into()));
        }
        let flow = record.text_or_empty("flow")?;
        let said = record.number("step_max")?.and_then(|steps| usize::try_from(steps).ok());
        let parsed = Flow::parse(&flow, Origin::Stored).ok();
        let step_max = said.or(parsed.as_ref().map(Flow::step_max)).unwrap_or_default();
        let mut id = Snapshot::id_of(&template_uuid, &flow, None);
        if parsed.as_ref().map(Flow::step_max) != Some(step_max) {
            // The number that was stored with the task is shown, whatever the text says.
            let digest = Sha256::digest([&id[..], &step_max.to_be_bytes()].concat());
            id = digest.get(..16).and_then(|bytes| bytes.try_into().ok()).unwrap_or(id);
        }
        if let Some(known) = self.snapshots.get(&id) {
            return Ok(Arc::clone(known));
        }
        let snapshot = Arc::new(Snapshot {
            id,
            template_uuid,
            flow,
            step_max,
            language_level: parsed.as_ref().map_or(0, Flow::language_level),
            commands: parsed.map(|flow| flow.commands().into_iter().collect()).unwrap_or_default(),
            options: Options::default(),
            options_text: None,
        });
        if self.snapshots.len() >= SNAPSHOTS {
            self.snapshots.clear();
        }
        self.snapshots.insert(id, Arc::clone(&snapshot));
        Ok(snapshot)
    }
}

fn status(record: &Record) -> Result<StatusRow, Odd> {
    let number = |column: &str| record.number(column);
    Ok(StatusRow {
        step_seq: number("step_seq")?.and_then(|step| u32::try_from(step).ok()).unwrap_or_default(),
        status: number("status")?
            .and_then(|status| i16::try_from(status).ok())
            .ok_or_else(|| Odd("a status is no number".into()))?,
        started: record.time("started")?,
        ended: record.time("ended")?,
        message: record.text("message")?,
        created: record.time("created")?.ok_or_else(|| Odd("a status has no time".into()))?,
        used: None,
    })
}

fn channel(record: &Record, remarks: &mut Vec<String>) -> Result<Option<String>, Odd> {
    let Some(text) = record.text("subscribed_channel")?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let uuid = lookup(&text);
    if uuid.is_empty() || uuid.len() > 32 {
        remarks.push("its `subscribed_channel` is no webhook's uuid and was left out".into());
        return Ok(None);
    }
    Ok(Some(uuid))
}

/// What no request that comes again is: a caller's uuid that was taken over is taken.
pub(super) fn no_request() -> [u8; 32] {
    Sha256::digest("a task of the first version").into()
}

/// The same id whenever a task is taken over: it begins with the millisecond of the task's creation, as ids do, and the rest
/// is a digest of its uuid.
fn id_of(created_us: i64, uuid: &str) -> Id {
    let digest = hex(&Sha256::digest(format!("claiflow import {uuid}")));
    let ms = created_us.div_euclid(1_000).clamp(0, (1 << 48) - 1);
    // Version 7, and the variant's two bits as `8`.
    let text = format!("{ms:012x}7{}8{}", digest.get(..3).unwrap_or("000"), digest.get(3..18).unwrap_or_default());
    crate::model::ids::unhex(&text).unwrap_or_default()
}
