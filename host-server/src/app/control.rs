//! What people ask of a task that lives: to end, to pause, to go on, and what became of a step in doubt.

use std::sync::Arc;

use super::{
    App, Error,
    audit::{row, task_digest},
    rights::Noun,
    service::Shown,
    text::required,
};
use crate::{
    model::{
        audit::Audit,
        ids::{Id, time},
        people::Asked,
        state::State,
        statuses::timeline_text,
        step::STARTED,
        task::{Task, Timeline, View},
    },
    storage::{Ending, Settlement, Wished},
};

/// What a person found out about a step.
#[derive(Debug, Default)]
pub struct Resolve {
    /// The step's path; may be left out where only one is in doubt.
    pub path: Option<String>,
    /// `succeeded`, `failed` or `rerun`.
    pub outcome: Option<String>,
    /// JSON text, where it succeeded.
    pub outputs: Option<String>,
    /// Required: kept with the task and in the audit trail.
    pub reason: Option<String>,
}

impl App {
    /// Cancels a task. The first commit wins: after this has answered, the task ends as cancelled, whatever its agent reports.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Stands`] for a task that is final or in doubt.
    pub async fn cancel_task(&self, cluster: &str, uuid: &str, asked: &Asked) -> Result<Shown, Error> {
        let shown = self.task(cluster, uuid).await?;
        let task = live(&shown)?;
        let wished = self.dispatch.cancel(&task, "cancelled").await?;
        self.wished(wished, &shown.view, asked).await
    }

    /// Pauses a task before its next step.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Stands`] for a task that is final or in doubt.
    pub async fn pause_task(&self, cluster: &str, uuid: &str, asked: &Asked) -> Result<Shown, Error> {
        let shown = self.task(cluster, uuid).await?;
        let task = live(&shown)?;
        let wished = self.dispatch.pause(&task).await?;
        self.wished(wished, &shown.view, asked).await
    }

    /// Lets a paused task go on.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Stands`] for a task that is not paused.
    pub async fn resume_task(&self, cluster: &str, uuid: &str, asked: &Asked) -> Result<Shown, Error> {
        let shown = self.task(cluster, uuid).await?;
        let task = live(&shown)?;
        let wished = self.dispatch.resume(&task).await?;
        self.wished(wished, &shown.view, asked).await
    }

    /// Why a task that is not final stands where it stands, as far as it is known here.
    #[must_use]
    pub fn reason(&self, shown: &Shown) -> Option<String> {
        let view = &shown.view;
        match State::of(view.state) {
            State::Unknown => view.error.clone(),
            State::Ready => self.dispatch.why_waiting(view.cluster, &shown.snapshot),
            _ => None,
        }
    }

    /// The task after a wish, which the audit trail names; or where it stands instead.
    async fn wished(&self, wished: Wished, before: &View, asked: &Asked) -> Result<Shown, Error> {
        let shown = self.task(&before.cluster_uuid, &before.uuid).await?;
        match wished {
            Wished::Done | Wished::Noted => {
                self.note(before, &shown.view, asked, None).await?;
                Ok(shown)
            }
            Wished::Stands(state) => Err(stands(&shown.view, state)),
            Wished::Gone => Err(stands(&shown.view, State::of(shown.view.state))),
        }
    }

    /// Settles a step in doubt: the flow goes on behind it, runs it again, or has failed.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Stands`] for a task that is not in doubt, [`Error::Malformed`], [`Error::Conflict`] where
    /// a report settled it meanwhile.
    pub async fn resolve_task(
        &self,
        cluster: &str,
        uuid: &str,
        resolve: Resolve,
        asked: &Asked,
    ) -> Result<Shown, Error> {
        let shown = self.task(cluster, uuid).await?;
        if State::of(shown.view.state) != State::Unknown {
            return Err(stands(&shown.view, State::of(shown.view.state)));
        }
        let outcome = required("outcome", resolve.outcome)?;
        let reason = required("reason", resolve.reason)?;
        let path = self.step_in_doubt(&shown, resolve.path)?;
        let lease = self.store.lease_of(shown.view.cluster, id_of(&shown.view)).await?;
        let lease = lease.ok_or_else(|| Error::Conflict("a report has settled the task meanwhile".into()))?.lease;
        let now_us = self.source.now_us().max(shown.view.created + 1);
        let error = format!("resolved as failed: {reason}");
        let timeline = timeline_text(&Timeline::of(Some(lease.created), &shown.steps));
        let settlement = match (outcome.as_str(), &resolve.outputs) {
            ("succeeded", _) if path.is_none() => {
                return Err(Error::Malformed(
                    "`outcome` is `failed` or `rerun`: no step of the task is known to be in doubt".into(),
                ));
            }
            ("succeeded", outputs) => Settlement::Succeeded { output: outputs.as_deref().unwrap_or("null") },
            (_, Some(_)) => return Err(Error::Malformed("`outputs` belongs to the outcome `succeeded`".into())),
            ("rerun", None) => Settlement::Rerun,
            ("failed", None) => {
                Settlement::Failed(Ending { state: State::Failed, error: &error, timeline: &timeline, now_us })
            }
            _ => return Err(Error::Malformed("`outcome` is `succeeded`, `failed` or `rerun`".into())),
        };
        if !self.store.resolve(&lease, path.as_deref(), settlement, now_us).await? {
            return Err(Error::Conflict("a report has settled the task meanwhile; read it again".into()));
        }
        let subject = path.map_or_else(|| "the task".to_owned(), |path| format!("step {path}"));
        self.dispatch.look_at(shown.view.cluster);
        let after = self.task(cluster, uuid).await?;
        self.note(&shown.view, &after.view, asked, Some(format!("{subject}: {outcome}: {reason}"))).await?;
        Ok(after)
    }

    /// The step that a person speaks of; none where the task is in doubt and no step of it is known to be.
    fn step_in_doubt(&self, shown: &Shown, path: Option<String>) -> Result<Option<String>, Error> {
        let started: Vec<&str> =
            shown.steps.iter().filter(|step| step.state == STARTED).map(|step| step.path.as_str()).collect();
        match (path, started.as_slice()) {
            (None, []) => Ok(None),
            (None, [only]) => Ok(Some((*only).to_owned())),
            (Some(path), started) if started.contains(&path.as_str()) => Ok(Some(path)),
            (_, started) => {
                Err(Error::Malformed(format!("`path` is the path of a step in doubt: {}", started.join(", "))))
            }
        }
    }

    async fn note(&self, before: &View, after: &View, asked: &Asked, detail: Option<String>) -> Result<(), Error> {
        let row = Audit {
            resource_uuid: before.uuid.clone(),
            cluster_uuid: Some(before.cluster_uuid.clone()),
            digest_before: Some(task_digest(before)),
            digest_after: Some(task_digest(after)),
            detail,
            ..row(asked, self.source.now_us(), Some(Noun::Service))
        };
        Ok(self.store.audit(&row).await?)
    }
}

fn id_of(view: &View) -> Id {
    Id::try_from(view.id.as_slice()).unwrap_or_default()
}

fn stands(view: &View, state: State) -> Error {
    let detail = match state {
        State::Unknown => {
            format!("task `{}` is unknown: a step's effect is in doubt; `resolve` says what became of it", view.uuid)
        }
        state if state.is_final() => {
            let ended = view.ended.map(|at| format!(" since {}", time(at).to_rfc3339())).unwrap_or_default();
            format!("task `{}` is {}{ended}, which is final", view.uuid, state.word())
        }
        state => format!("task `{}` is {}, where this has no meaning", view.uuid, state.word()),
    };
    Error::Stands { detail, state: state.word() }
}

/// The task behind a view, as far as a wish needs it.
fn live(shown: &Shown) -> Result<Task, Error> {
    let view = &shown.view;
    if view.ended.is_some() {
        return Err(stands(view, State::of(view.state)));
    }
    Ok(Task {
        id: id_of(view),
        cluster: view.cluster,
        uuid: view.uuid.clone(),
        snapshot: Arc::clone(&shown.snapshot),
        name: view.name.clone(),
        summary: view.summary.clone(),
        inputs: view.inputs.clone(),
        channel: view.channel.clone(),
        priority: view.priority,
        attempt: view.attempt,
        epoch: 0,
        created: view.created,
        request: None,
        valid_until: None,
        run_timeout_ms: 0,
        started: view.started,
        labels: view.labels.clone(),
        traceparent: None,
        created_by: view.created_by.clone(),
        audit: None,
        request_id: None,
    })
}
