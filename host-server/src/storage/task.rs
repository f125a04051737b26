//! The writes of a task's life: create, claim, finish, give back. Each is one transaction for many tasks.

use std::{collections::HashMap, sync::Arc};

use sqlx::Row as _;

use super::limits::{Limits, cluster_gate};
use super::{
    Db, Error, Store,
    audit::push_audit,
    both, cut,
    former::push_former,
    outbox::{INSERT as TELL, Subject, listening, push_told, tell_each},
    pieces::padded,
    sealed::{ERROR, INPUTS, RESULT, TIMELINE},
    waiting::{self, archive},
};
use crate::model::{
    audit::Audit,
    ids::Id,
    lifecycle::settled,
    options::Options,
    state::State,
    task::{Finish, Holder, Lease, Place, RequestKey, Snapshot, Task, Timeline, Wish},
    told::{Told, of_end},
};

/// Snapshots kept in memory at most.
const SNAPSHOTS: usize = 10_000;

/// What a live task is made from.
pub(crate) const LIVE_COLUMNS: &str = "t.id, t.cluster, t.uuid, t.snapshot, t.name, t.summary, t.inputs, t.channel, t.priority, t.attempt, t.epoch, \
     t.state, t.created, t.valid_until, t.run_timeout_ms, t.started, t.labels, t.traceparent, t.created_by, t.request_id";

/// Which waiting tasks are taken, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The cluster's row.
    pub cluster: i64,
    /// What the agent can run.
    pub snapshots: &'a HashMap<Id, Arc<Snapshot>>,
    /// Tasks at most.
    pub limit: usize,
    /// The agent.
    pub holder: &'a Holder,
    /// Microseconds since 1970.
    pub now_us: i64,
    /// Tasks that may run at once on the cluster.
    pub cluster_limit: Option<u32>,
}

/// What of a final task is sealed.
pub(super) struct SealedEnd {
    pub(super) inputs: String,
    pub(super) timeline: String,
    pub(super) result: Option<String>,
    pub(super) error: Option<String>,
}

impl SealedEnd {
    pub(super) fn bytes(&self) -> usize {
        self.inputs.len() + self.timeline.len() + self.result.as_ref().map_or(0, String::len)
    }
}

/// A multi-row statement for either engine; several where the rows do not fit one. `$bytes`: the text that a row brings.
macro_rules! insert {
    ($tx:expr, $head:expr, $rows:expr, $bytes:expr, |$b:ident, $row:pat_param| $push:expr) => {{
        for piece in $crate::storage::pieces::pieces($rows, $bytes) {
            let mut query = sqlx::QueryBuilder::new($head);
            query.push_values(piece, |mut $b, $row| {
                $push;
            });
            query.build().execute(&mut *$tx).await?;
        }
    }};
}

/// Leases that begin now.
macro_rules! insert_leases {
    ($tx:expr, $leases:expr) => {
        insert!(
            $tx,
            "INSERT INTO lease (lease_id, task, cluster, epoch, journal, created, kind, deadline) ",
            $leases.as_slice(),
            |_| 0,
            |b, lease| b
                .push_bind(lease.id.to_vec())
                .push_bind(lease.task.id.to_vec())
                .push_bind(lease.task.cluster)
                .push_bind(lease.task.epoch)
                .push_bind(lease.journal.to_vec())
                .push_bind(lease.created)
                .push_bind(lease.kind as i16)
                .push_bind(lease.ends_by())
        )
    };
}

/// Who counts under which limits, from now on.
macro_rules! insert_slots {
    ($tx:expr, $leases:expr) => {{
        let slots: Vec<(String, Id)> =
            $leases.iter().flat_map(|lease| lease.task.gates().into_iter().map(|gate| (gate.name, lease.id))).collect();
        insert!($tx, "INSERT INTO slot (gate, lease_id) ", slots.as_slice(), |_| 0, |b, (gate, lease)| b
            .push_bind(gate.clone())
            .push_bind(lease.to_vec()));
    }};
}

/// A live task from its row; either engine's.
macro_rules! task_of {
    ($row:expr, $cluster:expr, $snapshot:expr) => {
        Task {
            id: $row.try_get::<Vec<u8>, _>("id")?.try_into().unwrap_or_default(),
            cluster: $cluster,
            uuid: $row.try_get("uuid")?,
            snapshot: $snapshot,
            name: $row.try_get("name")?,
            summary: $row.try_get("summary")?,
            inputs: $row.try_get("inputs")?,
            channel: $row.try_get("channel")?,
            priority: $row.try_get("priority")?,
            attempt: $row.try_get("attempt")?,
            epoch: $row.try_get("epoch")?,
            created: $row.try_get("created")?,
            request: None,
            valid_until: $row.try_get("valid_until")?,
            run_timeout_ms: $row.try_get("run_timeout_ms")?,
            started: $row.try_get("started")?,
            labels: $row.try_get("labels")?,
            traceparent: $row.try_get("traceparent")?,
            created_by: $row.try_get("created_by")?,
            audit: None,
            request_id: $row.try_get("request_id")?,
        }
    };
}

/// What the webhooks of new tasks are told: whose it is, which webhook, its number, and what.
fn first_told(tasks: &[(Arc<Task>, Place)], listens: impl Fn(&str) -> bool) -> Vec<(Subject<'_>, &str, i32, Told)> {
    let mut rows = Vec::new();
    for (task, place) in tasks {
        let Some(channel) = task.channel.as_deref().filter(|channel| listens(channel)) else { continue };
        let subject = Subject::of_task(task);
        rows.push((subject, channel, 1, Told::registered(0)));
        if let Place::Lease(lease) = place {
            let subject = Subject { journal: Some(lease.journal), ..subject };
            rows.push((subject, channel, 2, Told::sent(task.created, lease.created)));
        }
    }
    rows
}

/// What ends tasks, by the ids of their leases. Keys of two columns are never listed: MariaDB's optimizer takes longer over
/// such a list than the rest of the transaction takes.
struct Ending {
    begin: &'static str,
    /// Behind the read of the leases that are valid.
    lock: &'static str,
    /// What goes before a list of leases, and what behind it.
    steps: (&'static str, &'static str),
    rows: &'static [(&'static str, &'static str)],
}

impl Ending {
    const fn of(db: &Db) -> &'static Self {
        match db {
            Db::Maria(_) => &Self {
                begin: "BEGIN",
                lock: " FOR UPDATE",
                steps: (
                    "DELETE step FROM lease JOIN step ON step.task = lease.task AND step.cluster = lease.cluster WHERE lease.lease_id IN (",
                    "",
                ),
                rows: &[(
                    "DELETE lease, task FROM lease JOIN task ON task.id = lease.task AND task.cluster = lease.cluster WHERE lease.lease_id IN (",
                    "",
                )],
            },
            Db::Sqlite(_) => &Self {
                begin: "BEGIN IMMEDIATE",
                lock: "",
                steps: (
                    "DELETE FROM step WHERE (task, cluster) IN (SELECT task, cluster FROM lease WHERE lease_id IN (",
                    ")",
                ),
                rows: &[
                    (
                        "DELETE FROM task WHERE (id, cluster) IN (SELECT task, cluster FROM lease WHERE lease_id IN (",
                        ")",
                    ),
                    ("DELETE FROM lease WHERE lease_id IN (", ""),
                ],
            },
        }
    }

    /// The statements in their order, each with its leases.
    fn deletes<'a>(
        &self,
        counted: &'a [Id],
        stepped: &'a [Id],
        all: &'a [Id],
    ) -> impl Iterator<Item = (&'static str, &'static str, &'a [Id])> {
        let slots = ("DELETE FROM slot WHERE lease_id IN (", "", counted);
        let steps = (self.steps.0, self.steps.1, stepped);
        [slots, steps].into_iter().chain(self.rows.iter().map(move |(head, tail)| (*head, *tail, all)))
    }
}

macro_rules! push_list {
    ($query:expr, $ids:expr) => {{
        let mut list = $query.separated(", ");
        for id in $crate::storage::pieces::padded($ids) {
            list.push_bind(id.to_vec());
        }
        $query.push(")");
    }};
}
pub(super) use insert;
pub(crate) use {push_list, task_of};

impl Store {
    /// Keeps what tasks run. A repeated one is a no-op.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn keep_snapshot(&self, snapshot: &Snapshot) -> Result<(), Error> {
        let sql = match &self.db {
            Db::Maria(_) => {
                "INSERT IGNORE INTO snapshot (id, template_uuid, flow, step_max, language_level, commands, options) VALUES (?, ?, ?, ?, ?, ?, ?)"
            }
            Db::Sqlite(_) => {
                "INSERT OR IGNORE INTO snapshot (id, template_uuid, flow, step_max, language_level, commands, options) VALUES (?, ?, ?, ?, ?, ?, ?)"
            }
        };
        let commands = serde_json::to_string(&snapshot.commands).unwrap_or_default();
        both!(&self.db, pool => {
            sqlx::query(sql)
            .bind(snapshot.id.to_vec()).bind(&snapshot.template_uuid).bind(&snapshot.flow)
            .bind(i32::try_from(snapshot.step_max).unwrap_or(i32::MAX)).bind(i32::try_from(snapshot.language_level).unwrap_or(i32::MAX))
            .bind(commands).bind(&snapshot.options_text).execute(pool).await?;
            Ok(())
        })
    }

    /// A snapshot by its id, from memory where it was read before.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn snapshot(&self, id: &[u8]) -> Result<Option<Arc<Snapshot>>, Error> {
        let Ok(id) = Id::try_from(id) else { return Ok(None) };
        if let Some(known) = self.snapshots.lock().get(&id) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(snapshot) = self.read_snapshot(id).await?.map(Arc::new) else { return Ok(None) };
        let mut known = self.snapshots.lock();
        if known.len() >= SNAPSHOTS {
            known.clear();
        }
        known.insert(id, Arc::clone(&snapshot));
        Ok(Some(snapshot))
    }

    async fn read_snapshot(&self, id: Id) -> Result<Option<Snapshot>, Error> {
        both!(&self.db, pool => {
            let row = sqlx::query("SELECT template_uuid, flow, step_max, language_level, commands, options FROM snapshot WHERE id = ?")
                .bind(id.to_vec()).fetch_optional(pool).await?;
            let Some(row) = row else { return Ok(None) };
            let options_text: Option<String> = row.try_get(5)?;
            Ok(Some(Snapshot {
                id,
                template_uuid: row.try_get(0)?,
                flow: row.try_get(1)?,
                step_max: usize::try_from(row.try_get::<i32, _>(2)?).unwrap_or_default(),
                language_level: u32::try_from(row.try_get::<i32, _>(3)?).unwrap_or_default(),
                commands: serde_json::from_str(&row.try_get::<String, _>(4)?).unwrap_or_default(),
                // They were checked before the snapshot was stored.
                options: options_text.as_deref().and_then(|text| Options::parse(text).ok()).unwrap_or_default(),
                options_text,
            }))
        })
    }

    /// Stores tasks, each with its lease, as `ready` or for later, in one commit; and the keys of the requests that brought them.
    ///
    /// # Errors
    /// [`Error::Duplicate`] when one of the callers' own uuids or keys exists; nothing is stored then.
    pub async fn create_tasks(&self, tasks: &[(Arc<Task>, Place)], keys: &[RequestKey]) -> Result<(), Error> {
        let inputs = tasks.iter().map(|(task, _)| self.seal_of_task(INPUTS, &task.id, task.cluster, &task.inputs));
        let rows =
            tasks.iter().zip(inputs).map(|(row, inputs)| Ok((row, inputs?))).collect::<Result<Vec<_>, Error>>()?;
        let outbox = self.outbox();
        both!(&self.creates, pool => {
            let mut tx = pool.begin().await?;
            insert!(tx, "INSERT INTO idempotency (caller, digest, request, id, created) ", keys, |_| 0, |b, key|
                b.push_bind(key.caller.clone()).push_bind(key.digest.to_vec()).push_bind(key.request.to_vec()).push_bind(key.id.to_vec()).push_bind(key.created));
            let aliases: Vec<_> = tasks.iter().filter_map(|(task, _)| Some((task, task.request?))).collect();
            insert!(tx, "INSERT INTO alias (cluster, uuid, id, request) ", aliases.as_slice(), |_| 0, |b, (task, request)|
                b.push_bind(task.cluster).push_bind(task.uuid.clone()).push_bind(task.id.to_vec()).push_bind(request.to_vec()));
            insert!(tx, "INSERT INTO task (id, cluster, uuid, snapshot, name, summary, inputs, channel, priority, state, epoch, valid_until, run_timeout_ms, started, labels, traceparent, created_by, created, request_id) ", rows.as_slice(), |(_, inputs)| inputs.len(), |b, ((task, place), inputs)| {
                let state = if matches!(place, Place::Later(_)) { State::Scheduled } else { State::Ready };
                b.push_bind(task.id.to_vec()).push_bind(task.cluster).push_bind(task.uuid.clone()).push_bind(task.snapshot.id.to_vec())
                    .push_bind(task.name.clone()).push_bind(task.summary.clone()).push_bind(inputs.clone()).push_bind(task.channel.clone())
                    .push_bind(task.priority).push_bind(state as i16).push_bind(i64::from(matches!(place, Place::Lease(_))))
                    .push_bind(task.valid_until).push_bind(task.run_timeout_ms).push_bind(task.started).push_bind(task.labels.clone())
                    .push_bind(task.traceparent.clone()).push_bind(task.created_by.clone()).push_bind(task.created).push_bind(task.request_id.clone())
            });
            let leases: Vec<_> = tasks.iter().filter_map(|(_, place)| if let Place::Lease(lease) = place { Some(Arc::clone(lease)) } else { None }).collect();
            insert_leases!(tx, leases);
            let ready: Vec<_> = tasks.iter().filter(|(_, place)| matches!(place, Place::Ready)).map(|(task, _)| task).collect();
            insert!(tx, "INSERT INTO ready (cluster, `rank`, id, need, valid_until) ", ready.as_slice(), |_| 0, |b, task|
                b.push_bind(task.cluster).push_bind(task.rank()).push_bind(task.id.to_vec()).push_bind(task.snapshot.id.to_vec()).push_bind(task.valid_until));
            let later: Vec<_> = tasks.iter().filter_map(|(task, place)| if let Place::Later(due) = place { Some((task, *due)) } else { None }).collect();
            insert!(tx, "INSERT INTO later (due, cluster, id, `rank`, need, valid_until) ", later.as_slice(), |_| 0, |b, (task, due)|
                b.push_bind(*due).push_bind(task.cluster).push_bind(task.id.to_vec()).push_bind(task.rank()).push_bind(task.snapshot.id.to_vec()).push_bind(task.valid_until));
            let mut audits: Vec<&Arc<Audit>> = tasks.iter().filter_map(|(task, _)| task.audit.as_ref()).collect();
            audits.dedup_by(|one, other| Arc::ptr_eq(one, other));
            insert!(tx, "INSERT INTO audit (at, caller, operation, resource_type, resource_uuid, cluster_uuid, address, request_id, digest_before, digest_after, code, detail) ", audits.as_slice(), |audit| audit.detail.as_ref().map_or(0, String::len), |b, audit|
                push_audit!(b, audit));
            if tasks.iter().any(|(task, _)| task.channel.is_some()) {
                let found = listening!(tx, tasks.iter().filter_map(|(task, _)| task.channel.as_deref()));
                let told = first_told(tasks, |channel| found.contains(channel));
                insert!(tx, TELL, told.as_slice(), |_| 0, |b, (subject, channel, seq, told)| push_told!(b, outbox.now, subject, channel, *seq, told));
            }
            tx.commit().await?;
            self.told(tasks.iter().map(|(task, _)| task.channel.as_deref()));
            Ok(())
        })
    }

    /// The request's digest and the id behind a uuid that a caller chose.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn alias(&self, cluster: i64, uuid: &str) -> Result<Option<(Vec<u8>, Vec<u8>)>, Error> {
        both!(&self.db, pool => Ok(sqlx::query_as::<_, (Vec<u8>, Vec<u8>)>("SELECT id, request FROM alias WHERE cluster = ? AND uuid = ?")
            .bind(cluster).bind(uuid).fetch_optional(pool).await?))
    }

    /// Which snapshots have tasks waiting, per cluster: one loose scan that serves what a hint missed.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn clusters_with_ready(&self) -> Result<Vec<i64>, Error> {
        both!(&self.db, pool => Ok(sqlx::query_scalar("SELECT DISTINCT cluster FROM ready").fetch_all(pool).await?))
    }

    /// The snapshots of a cluster's waiting tasks: of the first `limit` in their order, or of all where `limit` is none.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn needs(&self, cluster: i64, limit: Option<i64>) -> Result<Vec<Vec<u8>>, Error> {
        let sql = match limit {
            Some(_) => {
                "SELECT DISTINCT need FROM (SELECT need FROM ready WHERE cluster = ? ORDER BY `rank`, id LIMIT ?) AS first"
            }
            None => "SELECT DISTINCT need FROM ready WHERE cluster = ? AND ? IS NULL",
        };
        both!(&self.db, pool => Ok(sqlx::query_scalar(sql).bind(cluster).bind(limit).fetch_all(pool).await?))
    }

    /// Takes up to `limit` waiting tasks of a cluster that run one of `snapshots`, and leases them to `journal`. Tasks that
    /// a limit holds back stay where they are; `cluster_limit` is the cluster's own.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing is taken then.
    pub async fn claim(
        &self,
        claim: &Claim<'_>,
        lease_id: &(dyn Fn() -> Id + Send + Sync),
    ) -> Result<Vec<Arc<Lease>>, Error> {
        let Claim { cluster, snapshots, limit, holder, now_us, cluster_limit } = *claim;
        let (journal, kind) = (holder.journal(), holder.kind());
        // On SQLite the second claimer waits for the first one's commit and reads what is left.
        let (begin, lock_row, lock) = self.begin();
        let ignore = match &self.db {
            Db::Maria(_) => "INSERT IGNORE INTO gate (name) ",
            Db::Sqlite(_) => "INSERT OR IGNORE INTO gate (name) ",
        };
        let outbox = self.outbox();
        both!(&self.db, pool => {
            let mut tx = pool.begin_with(begin).await?;
            let mut limits = Limits::of(cluster, cluster_limit, snapshots.values());
            if !limits.names().is_empty() {
                // Each limit is a row that its claimers lock, in one order: so nobody counts while another adds. Rows are made only
                // where they are missing: an insert that meets one locks it halfway, and two claimers would block each other.
                let mut found = 0;
                while found < limits.names().len() {
                    let mut query = sqlx::QueryBuilder::new("SELECT name FROM gate WHERE name IN (");
                    let mut list = query.separated(", ");
                    for name in limits.names() {
                        list.push_bind(name);
                    }
                    query.push(") ORDER BY name").push(lock_row);
                    found = query.build().fetch_all(&mut *tx).await?.len();
                    if found < limits.names().len() {
                        let mut query = sqlx::QueryBuilder::new(ignore);
                        query.push_values(limits.names(), |mut b, name| { b.push_bind(name); });
                        query.build().execute(&mut *tx).await?;
                    }
                }
                let mut query = sqlx::QueryBuilder::new("SELECT gate, COUNT(*) FROM slot WHERE gate IN (");
                let mut list = query.separated(", ");
                for name in limits.names() {
                    list.push_bind(name);
                }
                query.push(") GROUP BY gate");
                for row in query.build().fetch_all(&mut *tx).await? {
                    limits.taken(&row.try_get::<String, _>(0)?, row.try_get(1)?);
                }
            }
            let open: Vec<Id> = snapshots.values().filter(|snapshot| limits.is_open(snapshot)).map(|snapshot| snapshot.id).collect();
            if open.is_empty() {
                return Ok(vec![]);
            }
            let mut query = sqlx::QueryBuilder::new("SELECT id, `rank`, need FROM ready WHERE cluster = ");
            query.push_bind(cluster).push(" AND need IN (");
            push_list!(query, open.iter());
            if let Holder::Former { except, .. } = holder {
                push_former!(query, except);
            }
            query.push(" AND (valid_until IS NULL OR valid_until > ").push_bind(now_us);
            query.push(") ORDER BY `rank`, id LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX)).push(lock);
            let found = query.build().fetch_all(&mut *tx).await?;
            let mut keys = Vec::new();
            for row in &found {
                let need: Vec<u8> = row.try_get(2)?;
                if snapshots.get(need.as_slice()).is_some_and(|snapshot| limits.take(snapshot)) {
                    keys.push((row.try_get::<Vec<u8>, _>(0)?, row.try_get::<i64, _>(1)?));
                }
            }
            if keys.is_empty() {
                return Ok(vec![]);
            }
            let mut query = sqlx::QueryBuilder::new("DELETE FROM ready WHERE cluster = ");
            query.push_bind(cluster).push(" AND (");
            for (index, (id, rank)) in padded(keys.iter()).into_iter().enumerate() {
                query.push(if index == 0 { "(id = " } else { " OR (id = " });
                query.push_bind(id.clone()).push(" AND `rank` = ").push_bind(*rank).push(")");
            }
            query.push(")");
            query.build().execute(&mut *tx).await?;
            let mut query = sqlx::QueryBuilder::new("UPDATE task SET epoch = epoch + 1, started = COALESCE(started, ");
            query.push_bind(now_us).push(") WHERE cluster = ").push_bind(cluster).push(" AND id IN (");
            push_list!(query, keys.iter().map(|(id, _)| id));
            query.build().execute(&mut *tx).await?;
            let mut query = sqlx::QueryBuilder::new(format!("SELECT {LIVE_COLUMNS} FROM task t WHERE cluster = "));
            query.push_bind(cluster).push(" AND id IN (");
            push_list!(query, keys.iter().map(|(id, _)| id));
            let rows = query.build().fetch_all(&mut *tx).await?;
            let mut leases = Vec::new();
            for row in &rows {
                let snapshot: Vec<u8> = row.try_get("snapshot")?;
                let Some(snapshot) = snapshots.get(snapshot.as_slice()).map(Arc::clone) else { continue };
                let task = match self.open_task(task_of!(row, cluster, snapshot)) {
                    Ok(task) => Arc::new(task),
                    // Another server has the key already, so nothing is wrong with the task.
                    Err(error) if error.lacks_key() => return Err(error),
                    Err(error) => {
                        // It would be met first, and in vain, by every claim.
                        let error = format!("unreadable: {error}");
                        let ending = waiting::Ending { state: State::Failed, error: &error, timeline: r#"{"steps":[]}"#, now_us };
                        let id: Vec<u8> = row.try_get("id")?;
                        let (uuid, channel): (String, Option<String>) = (row.try_get("uuid")?, row.try_get("channel")?);
                        let subject = Subject { id: &id, cluster, uuid: &uuid, channel: channel.as_deref(), journal: None };
                        archive!(self, tx, outbox, ending, subject);
                        continue;
                    }
                };
                leases.push(Arc::new(Lease { id: lease_id(), journal, created: now_us, kind, task }));
            }
            leases.sort_by_key(|lease| (lease.task.rank(), lease.task.id));
            insert_leases!(tx, leases);
            insert_slots!(tx, leases);
            let on_cluster: Vec<_> = leases.iter().filter(|_| cluster_limit.is_some()).collect();
            insert!(tx, "INSERT INTO slot (gate, lease_id) ", on_cluster.as_slice(), |_| 0, |b, lease|
                b.push_bind(cluster_gate(cluster)).push_bind(lease.id.to_vec()));
            let taken = leases.iter().map(|lease| (Subject::of_lease(lease), &lease.task));
            tell_each!(tx, outbox, taken, |_, task| vec![Told::sent(task.created, now_us)]);
            tx.commit().await?;
            self.told(leases.iter().map(|lease| lease.task.channel.as_deref()));
            Ok(leases)
        })
    }

    /// Moves tasks to the history, fenced by their lease ids. Answers the leases that were still valid, and how each task ended:
    /// a cancel that was committed before wins.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing has changed then.
    pub async fn finish(&self, ends: &[Finish]) -> Result<HashMap<Id, State>, Error> {
        let (sql, outbox) = (Ending::of(&self.db), self.outbox());
        both!(&self.finishes, pool => {
            let mut tx = pool.begin_with(sql.begin).await?;
            let mut query = sqlx::QueryBuilder::new("SELECT lease_id, wish FROM lease WHERE lease_id IN (");
            push_list!(query, ends.iter().map(|end| end.lease.id));
            query.push(sql.lock);
            let rows = query.build().fetch_all(&mut *tx).await?;
            let mut open: HashMap<Id, bool> = HashMap::with_capacity(rows.len());
            for row in &rows {
                let lease = row.try_get::<Vec<u8>, _>(0)?.try_into().unwrap_or_default();
                open.insert(lease, row.try_get::<i16, _>(1)? == Wish::Cancel as i16);
            }
            let valid: Vec<Id> = open.keys().copied().collect();
            // An outcome that an agent repeated may be in the batch twice: its first report is the one that counts.
            let ended = |end| {
                let end: &Finish = end;
                let cancelled = open.remove(&end.lease.id)?;
                Some((end, settled(State::of(end.state), cancelled)))
            };
            let accepted: Vec<(&Finish, State)> = ends.iter().filter_map(ended).collect();
            if accepted.is_empty() {
                return Ok(HashMap::new());
            }
            let ended = accepted.iter().map(|ended| (Subject::of_lease(&ended.0.lease), ended));
            tell_each!(tx, outbox, ended, |told, (end, state)| {
                let timeline = serde_json::from_str::<Timeline>(&end.timeline).unwrap_or_default();
                of_end(told, &timeline, *state, end.ended)
            });
            let stepped: Vec<Id> = accepted.iter().filter(|(end, _)| end.stepped).map(|(end, _)| end.lease.id).collect();
            let counted: Vec<Id> = accepted.iter().filter(|(end, _)| end.counted).map(|(end, _)| end.lease.id).collect();
            for (head, tail, leases) in sql.deletes(&counted, &stepped, &valid).filter(|(.., leases)| !leases.is_empty()) {
                let mut query = sqlx::QueryBuilder::new(head);
                push_list!(query, leases.iter());
                query.push(tail);
                query.build().execute(&mut *tx).await?;
            }
            let rows = accepted.iter().map(|(end, state)| Ok((*end, *state, self.seal_end(end, *state)?))).collect::<Result<Vec<_>, Error>>()?;
            insert!(tx, "INSERT INTO history (id, cluster, uuid, snapshot, name, summary, inputs, channel, priority, state, attempt, labels, created_by, started, created, ended, timeline, result, error, request_id) ", rows.as_slice(), |(.., sealed)| sealed.bytes(), |b, (end, state, sealed)| {
                let task = &end.lease.task;
                b.push_bind(task.id.to_vec()).push_bind(task.cluster).push_bind(task.uuid.clone()).push_bind(task.snapshot.id.to_vec())
                    .push_bind(task.name.clone()).push_bind(task.summary.clone()).push_bind(sealed.inputs.clone()).push_bind(task.channel.clone())
                    .push_bind(task.priority).push_bind(*state as i16).push_bind(task.attempt).push_bind(task.labels.clone())
                    .push_bind(task.created_by.clone()).push_bind(task.started).push_bind(task.created).push_bind(end.ended)
                    .push_bind(sealed.timeline.clone()).push_bind(sealed.result.clone()).push_bind(sealed.error.clone()).push_bind(task.request_id.clone())
            });
            tx.commit().await?;
            self.told(accepted.iter().map(|(end, _)| end.lease.task.channel.as_deref()));
            Ok(accepted.into_iter().map(|(end, state)| (end.lease.id, state)).collect())
        })
    }

    fn seal_end(&self, end: &Finish, state: State) -> Result<SealedEnd, Error> {
        let task = &end.lease.task;
        let seal = |column, text: &str| self.seal_of_task(column, &task.id, task.cluster, text);
        let result = end.result.as_ref().filter(|_| state == State::Succeeded);
        Ok(SealedEnd {
            inputs: seal(INPUTS, &task.inputs)?,
            timeline: seal(TIMELINE, &end.timeline)?,
            result: result.map(|result| seal(RESULT, result)).transpose()?,
            error: end.error_for(state).map(|error| seal(ERROR, cut(&error))).transpose()?,
        })
    }
}
