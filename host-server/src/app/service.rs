//! Tasks, which the API calls services: created on one cluster or many, and read.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use claiflow_flow::Origin;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{
    App, Error,
    audit::row,
    cluster::no_cluster,
    request::request_key,
    rights::{Noun, within},
    schema::InputSchema,
    template::{check_flow, check_options},
    text::{Labels, labels_text, name, summary},
};
use crate::{
    dispatch::NewTask,
    metrics::Statement,
    model::{
        audit::Audit,
        duration::{self, micros},
        ids::{hex, lookup, time, unhex, uuid_text},
        list::TaskListing,
        people::{Asked, Scope},
        state::State,
        step::StepRow,
        task::{Snapshot, Task, View},
    },
    storage,
};

/// How long a template's checked form is used before its row is read again: a shell may have changed it.
const PREPARED_LIFE: Duration = Duration::from_secs(1);
/// A run's time where neither the task nor its template says it.
const RUN_TIMEOUT: Duration = Duration::from_secs(3_600);
/// The longest run.
const RUN_TIMEOUT_MOST: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Clusters of one request.
const FAN_OUT_MAX: usize = 10_000;
/// A task's inputs at most, as JSON text.
const INPUTS_BYTES: usize = 1 << 20;
/// Inputs of one request, counted once for each cluster.
const FAN_OUT_BYTES: usize = 64 << 20;
/// Filters that no index serves see tasks of this time, unless the caller says which.
const WINDOW_US: i64 = 24 * 3_600_000_000;

/// What a caller asks for.
#[derive(Debug, Default, serde::Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Create {
    pub uuid: Option<String>,
    pub name: Option<String>,
    pub summary: Option<String>,
    pub template_uuid: String,
    pub cluster_uuids: Vec<String>,
    pub inputs: Map<String, Value>,
    pub channel: Option<String>,
    pub priority: i32,
    /// It waits until this time, microseconds since 1970.
    pub run_at: Option<i64>,
    /// Its first start happens before this time, or never.
    pub deadline: Option<i64>,
    /// A Go duration; the template's or the usual one when absent.
    pub run_timeout: Option<String>,
    pub labels: Option<Labels>,
    /// Of the request, as the header says it.
    #[serde(skip)]
    pub traceparent: Option<String>,
    /// Of the request, as the header says it or as the server made it.
    #[serde(skip)]
    pub request_id: Option<String>,
    /// The header `Idempotency-Key`.
    #[serde(skip)]
    pub key: Option<String>,
    /// Who asks, and may only name what is in their scope; none: the server itself.
    #[serde(skip)]
    pub asked: Option<Asked>,
}

/// What creating a task must know of a cluster.
#[derive(Clone, Debug)]
pub struct KnownCluster {
    id: i64,
    uuid: String,
    /// A pause or a limit holds its tasks back.
    in_turn: bool,
    read: Instant,
}

/// A template, checked and ready to make tasks from.
pub struct Prepared {
    snapshot: Arc<Snapshot>,
    name: String,
    summary: Option<String>,
    schema: Option<InputSchema>,
    read: Instant,
}

/// A task with what its answer needs.
pub struct Shown {
    /// The task.
    pub view: View,
    /// What it runs.
    pub snapshot: Arc<Snapshot>,
    /// Kept steps, while it is live.
    pub steps: Vec<StepRow>,
}

impl App {
    /// Creates a task on each cluster, on all or on none.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown template or cluster, [`Error::Invalid`] for inputs, [`Error::Conflict`],
    /// [`Error::Refused`] for what is out of the caller's scope.
    pub async fn create_tasks(&self, create: Create) -> Result<Vec<Shown>, Error> {
        if let Some(asked) = &create.asked {
            let clusters = create.cluster_uuids.iter().map(String::as_str);
            within(&asked.caller, clusters, Some(&create.template_uuid))?;
        }
        let prepared = self.prepare(&create.template_uuid).await?;
        if create.cluster_uuids.is_empty() {
            return Err(Error::Malformed("`cluster_uuids` names no cluster".into()));
        }
        if create.cluster_uuids.len() > FAN_OUT_MAX {
            return Err(Error::Malformed(format!("`cluster_uuids` names more than {FAN_OUT_MAX} clusters")));
        }
        let (task_name, task_summary) = (name(create.name.clone())?, summary(create.summary.clone())?);
        let channel = channel(create.channel.clone())?;
        let inputs = Value::Object(create.inputs.clone());
        if let Some(schema) = &prepared.schema {
            let errors = schema.mistakes(&inputs);
            if !errors.is_empty() {
                return Err(Error::Invalid {
                    detail: format!("the inputs do not fit the schema of template `{}`", create.template_uuid),
                    errors,
                });
            }
        }
        let run_timeout_ms = run_timeout_ms(create.run_timeout.as_deref(), &prepared.snapshot)?;
        let labels = labels_text(create.labels.clone())?;
        let id = self.source.id();
        let own = create.uuid.as_deref().map(|uuid| uuid_text("uuid", uuid)).transpose().map_err(Error::Malformed)?;
        let digest: [u8; 32] = Sha256::digest(serde_json::to_vec(&create).unwrap_or_default()).into();
        let request = own.as_ref().map(|_| digest);
        let uuid = own.unwrap_or_else(|| hex(&id));
        let created = self.source.now_us();
        let key = request_key(&create, digest, id, created)?;
        let due = create.run_at.filter(|due| *due > created);
        let valid_until = match create.deadline {
            Some(deadline) => deadline,
            None => due.unwrap_or(created).saturating_add(micros(self.recent_settings().await?.validity)),
        };
        let audit = create.asked.as_ref().map(|asked| Arc::new(creation(asked, &create, &uuid, digest, created)));
        let created_by = create.asked.as_ref().map(|asked| asked.caller.name.chars().take(255).collect::<String>());
        let inputs = inputs.to_string();
        check_size(inputs.len(), create.cluster_uuids.len())?;
        let mut tasks: Vec<(NewTask, String)> = Vec::with_capacity(create.cluster_uuids.len());
        for cluster_uuid in &create.cluster_uuids {
            let cluster = self.known_cluster(cluster_uuid).await?;
            if tasks.iter().any(|(new, _)| new.task.cluster == cluster.id) {
                continue;
            }
            let task = Task {
                id,
                cluster: cluster.id,
                uuid: uuid.clone(),
                snapshot: Arc::clone(&prepared.snapshot),
                name: task_name.clone().unwrap_or_else(|| prepared.name.clone()),
                summary: task_summary.clone().or_else(|| prepared.summary.clone()),
                inputs: inputs.clone(),
                channel: channel.clone(),
                priority: create.priority,
                attempt: 1,
                epoch: 1,
                created,
                request,
                valid_until: Some(valid_until),
                run_timeout_ms,
                started: None,
                labels: labels.clone(),
                traceparent: create.traceparent.clone(),
                created_by: created_by.clone(),
                audit: audit.clone(),
                request_id: create.request_id.clone(),
            };
            let in_turn = cluster.in_turn || !task.gates().is_empty();
            tasks.push((NewTask { task: Arc::new(task), due, in_turn }, cluster.uuid));
        }
        // A request that comes again is answered as it was, whatever time it is meanwhile and whoever has gone.
        if let Some(again) = self.asked_before(&tasks, key.as_ref()).await? {
            return Ok(again);
        }
        if create.deadline.is_some() && valid_until <= due.unwrap_or(created) {
            return Err(Error::Malformed("`deadline` must be later than now and than `run_at`".into()));
        }
        for (new, cluster_uuid) in &tasks {
            self.can_run(&new.task, cluster_uuid).await?;
        }
        let rows = tasks.iter().map(|(new, _)| new.clone()).collect();
        match self.dispatch.create(rows, key.clone()).await {
            // The same request was in the lane at the same time.
            Err(storage::Error::Duplicate) => {
                let again = self.asked_before(&tasks, key.as_ref()).await?;
                return again.ok_or_else(|| storage::Error::Duplicate.into());
            }
            stored => stored?,
        }
        self.metrics.tasks_created.inc_by(tasks.len() as u64);
        tracing::info!(
            task.uuid = uuid,
            task.template = prepared.snapshot.template_uuid,
            task.count = tasks.len(),
            "tasks were created"
        );
        Ok(tasks.into_iter().map(|(new, cluster_uuid)| created_view(&new, cluster_uuid)).collect())
    }

    /// Refuses a task that no connected agent can run, where its template says so.
    async fn can_run(&self, task: &Task, cluster_uuid: &str) -> Result<(), Error> {
        if !task.snapshot.options.needs_agent {
            return Ok(());
        }
        let Some(reason) = self.dispatch.why_waiting(task.cluster, &task.snapshot) else { return Ok(()) };
        // What the agents of another replica serve is not known here.
        if !self.dispatch.is_connected(task.cluster) && self.store.is_cluster_connected(task.cluster).await? {
            return Ok(());
        }
        Err(Error::Invalid {
            detail: format!(
                "cluster `{cluster_uuid}` cannot run template `{}` now: {reason}",
                task.snapshot.template_uuid
            ),
            errors: vec![],
        })
    }

    async fn prepare(&self, uuid: &str) -> Result<Arc<Prepared>, Error> {
        let cached = self.prepared.lock().get(uuid).cloned();
        if let Some(prepared) = &cached
            && prepared.read.elapsed() < PREPARED_LIFE
        {
            return Ok(Arc::clone(prepared));
        }
        let row = self.template(uuid).await?;
        // A shell bypasses every check, so the row is checked here again, as stored text.
        let stored = |error| of_stored(error, uuid);
        let flow = check_flow(&row.flow, Origin::Stored).map_err(stored)?;
        let schema = InputSchema::compile(row.inputs.as_deref().unwrap_or("{}")).map_err(stored)?;
        let options = check_options(row.options.as_deref()).map_err(stored)?;
        let snapshot = Snapshot {
            id: Snapshot::id_of(&row.uuid, &row.flow, row.options.as_deref()),
            template_uuid: row.uuid.clone(),
            flow: row.flow,
            step_max: flow.step_max(),
            language_level: flow.language_level(),
            commands: flow.commands().into_iter().collect(),
            options,
            options_text: row.options,
        };
        if cached.is_none_or(|cached| cached.snapshot.id != snapshot.id) {
            self.store.keep_snapshot(&snapshot).await?;
        }
        let prepared = Arc::new(Prepared {
            snapshot: Arc::new(snapshot),
            name: row.name,
            summary: row.summary,
            schema,
            read: Instant::now(),
        });
        let mut all = self.prepared.lock();
        if all.len() > 10_000 {
            all.clear();
        }
        all.insert(uuid.to_owned(), Arc::clone(&prepared));
        Ok(prepared)
    }

    /// What creating a task must know of a declared cluster; read again after a second, since another replica may change it.
    async fn known_cluster(&self, uuid: &str) -> Result<KnownCluster, Error> {
        let text = lookup(uuid);
        if let Some(known) = self.clusters.lock().get(&text)
            && known.read.elapsed() < PREPARED_LIFE
        {
            return Ok(known.clone());
        }
        let row = self.cluster(&text).await?;
        let in_turn = row.paused || row.concurrency.is_some();
        let known = KnownCluster { id: row.id, uuid: row.uuid.clone(), in_turn, read: Instant::now() };
        self.clusters.lock().insert(row.uuid, known.clone());
        Ok(known)
    }

    /// One task of a cluster, by the uuid that its creation answered.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn task(&self, cluster_uuid: &str, uuid: &str) -> Result<Shown, Error> {
        let missing = || Error::NotFound(format!("there is no task `{uuid}` on cluster `{cluster_uuid}`"));
        let cluster_uuid = lookup(cluster_uuid);
        // Stored uuids of the first version may be any text; what has the form of an id is looked for as one first.
        let own = lookup(uuid);
        if let Some(id) = unhex(&own) {
            // A deleted cluster's history stays readable.
            let read = self.metrics.database.time(Statement::Read, self.store.task_of(&cluster_uuid, id));
            if let Some(shown) = self.shown(read.await?).await? {
                return Ok(shown);
            }
        }
        let cluster = self.store.cluster(&cluster_uuid).await?.ok_or_else(missing)?;
        let (id, _) = self.store.alias(cluster.id, &own).await?.ok_or_else(missing)?;
        self.shown(self.store.task(cluster.id, &id).await?).await?.ok_or_else(missing)
    }

    pub(super) async fn shown(&self, view: Option<View>) -> Result<Option<Shown>, Error> {
        let Some(view) = view else { return Ok(None) };
        let steps = if view.ended.is_none() { self.store.steps(&view.id, view.cluster).await? } else { vec![] };
        let Some(snapshot) = self.store.snapshot(&view.snapshot).await? else { return Ok(None) };
        Ok(Some(Shown { view, snapshot, steps }))
    }

    /// A page of tasks; `scope` is what a caller may name, and `listing` keeps to it.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown cluster, [`Error::Invalid`] when the window holds too many tasks.
    pub async fn tasks(
        &self,
        scope: &Scope,
        cluster_uuid: Option<&str>,
        mut listing: TaskListing,
    ) -> Result<TaskPage, Error> {
        if let Some(uuid) = cluster_uuid {
            if !scope.has_cluster(uuid) {
                return Err(no_cluster(uuid));
            }
            listing.cluster = Some(self.cluster(uuid).await?.id);
        }
        self.serve(&mut listing).await?;
        let begins = listing.created_after.max(listing.filter.created().from);
        if listing.needs_window() && begins.is_none() {
            let ends = [listing.created_before, listing.filter.created().to].into_iter().flatten().min();
            listing.created_after = Some(ends.unwrap_or_else(|| self.source.now_us()).saturating_sub(WINDOW_US));
        }
        let read = self.metrics.database.time(Statement::Read, self.store.tasks(&listing));
        let views = read.await.map_err(|error| match error {
            storage::Error::TooSlow => too_slow(&listing),
            other => other.into(),
        })?;
        let mut tasks = Vec::with_capacity(views.len());
        for view in views {
            let Some(snapshot) = self.store.snapshot(&view.snapshot).await? else { continue };
            let steps = if view.ended.is_none() { self.store.steps(&view.id, view.cluster).await? } else { vec![] };
            tasks.push(Shown { view, snapshot, steps });
        }
        Ok(TaskPage { tasks, created_after: listing.created_after })
    }

    /// Puts what an index serves in the place of equalities.
    async fn serve(&self, listing: &mut TaskListing) -> Result<(), Error> {
        if let (None, Some(uuid)) = (listing.cluster, listing.filter.equal("cluster_uuid")) {
            // A deleted cluster's tasks are searched like others.
            listing.cluster = match self.cluster(uuid).await {
                Ok(cluster) => Some(cluster.id),
                Err(Error::NotFound(_)) => None,
                Err(error) => return Err(error),
            };
        }
        if let Some(uuid) = listing.filter.equal("uuid") {
            listing.ids = self.store.ids_of(uuid).await?;
        }
        Ok(())
    }
}

/// A page of tasks, and the window that it was confined to.
pub struct TaskPage {
    /// The tasks.
    pub tasks: Vec<Shown>,
    /// Where the window begins, microseconds since 1970.
    pub created_after: Option<i64>,
}

/// The row of the audit trail that is written with the tasks of a request.
fn creation(asked: &Asked, create: &Create, uuid: &str, digest: [u8; 32], at: i64) -> Audit {
    let clusters = create.cluster_uuids.len();
    Audit {
        resource_uuid: uuid.to_owned(),
        cluster_uuid: create.cluster_uuids.first().filter(|_| clusters == 1).map(|uuid| lookup(uuid)),
        digest_after: Some(hex(&digest)),
        detail: Some(format!("template {} on {clusters} cluster(s)", create.template_uuid)),
        ..row(asked, at, Some(Noun::Service))
    }
}

/// A webhook's uuid, hyphens dropped; an empty one counts as none.
fn channel(given: Option<String>) -> Result<Option<String>, Error> {
    let Some(text) = given.filter(|text| !text.is_empty()) else { return Ok(None) };
    let uuid = lookup(&text);
    if uuid.len() > 32 || !uuid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte)) {
        return Err(Error::Malformed("`subscribed_channel` is a webhook's uuid, 32 characters at most".into()));
    }
    Ok(Some(uuid))
}

/// How long a run may take, in milliseconds.
fn run_timeout_ms(given: Option<&str>, snapshot: &Snapshot) -> Result<i64, Error> {
    let given = given.filter(|text| !text.is_empty()).map(duration::parse).transpose();
    let given = given.map_err(|message| Error::Malformed(format!("`run_timeout`: {message}")))?;
    let timeout = given.or(snapshot.options.run_timeout).unwrap_or(RUN_TIMEOUT);
    if timeout.is_zero() || timeout > RUN_TIMEOUT_MOST {
        return Err(Error::Malformed("`run_timeout` is longer than 0 and at most 720h".into()));
    }
    Ok(micros(timeout) / 1_000)
}

fn check_size(inputs: usize, clusters: usize) -> Result<(), Error> {
    let too_large = |message: String| {
        Err(Error::Invalid { detail: "the inputs are too large".into(), errors: vec![("/inputs".into(), message)] })
    };
    if inputs > INPUTS_BYTES {
        return too_large(format!("they have {inputs} bytes; at most {INPUTS_BYTES} are allowed"));
    }
    if inputs.saturating_mul(clusters) > FAN_OUT_BYTES {
        return too_large(format!(
            "{inputs} bytes on {clusters} clusters are more than {FAN_OUT_BYTES} in one request; name fewer clusters"
        ));
    }
    Ok(())
}

/// A template that a shell has stored is at fault, not the request.
fn of_stored(error: Error, uuid: &str) -> Error {
    match error {
        Error::Invalid { detail, errors } => {
            Error::Invalid { detail: format!("template `{uuid}` cannot run as it is stored: {detail}"), errors }
        }
        other => other,
    }
}

fn too_slow(listing: &TaskListing) -> Error {
    let edge = |us: Option<i64>, open: &str| us.map_or_else(|| open.to_owned(), |us| time(us).to_rfc3339());
    let bounds = listing.filter.created();
    let from = edge(listing.created_after.max(bounds.from), "the first task");
    let to = edge([listing.created_before, bounds.to].into_iter().flatten().min(), "now");
    Error::Invalid {
        detail: format!(
            "too many tasks were created from {from} to {to} to be searched in time; narrow the window with `created_after` and `created_before`"
        ),
        errors: vec![],
    }
}

/// A task as its creation shows it.
fn created_view(new: &NewTask, cluster_uuid: String) -> Shown {
    let task = &new.task;
    let state = if new.due.is_some() { State::Scheduled } else { State::Ready };
    let view = View {
        id: task.id.to_vec(),
        cluster: task.cluster,
        cluster_uuid,
        uuid: task.uuid.clone(),
        snapshot: task.snapshot.id.to_vec(),
        name: task.name.clone(),
        summary: task.summary.clone(),
        inputs: task.inputs.clone(),
        channel: task.channel.clone(),
        priority: task.priority,
        attempt: 1,
        state: state as i16,
        cancel_requested: false,
        labels: task.labels.clone(),
        created_by: task.created_by.clone(),
        created: task.created,
        started: None,
        leased: None,
        ended: None,
        timeline: None,
        result: None,
        error: None,
        request_id: task.request_id.clone(),
    };
    Shown { view, snapshot: Arc::clone(&task.snapshot), steps: vec![] }
}
