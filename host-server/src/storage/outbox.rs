//! The outbox: what a task's webhook is to be told, written in the transaction that changes the task. A task without a webhook costs
//! no statement.

use super::{Db, Store};
use crate::model::{
    ids::Id,
    task::{Lease, Task},
};

/// Whose statuses they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) id: &'a [u8],
    pub(super) cluster: i64,
    /// As callers name the task.
    pub(super) uuid: &'a str,
    /// A webhook's uuid.
    pub(super) channel: Option<&'a str>,
    /// Of the agent that has it.
    pub(super) journal: Option<Id>,
}

impl<'a> Subject<'a> {
    pub(super) fn of_task(task: &'a Task) -> Self {
        Self { id: &task.id, cluster: task.cluster, uuid: &task.uuid, channel: task.channel.as_deref(), journal: None }
    }

    pub(super) fn of_lease(lease: &'a Lease) -> Self {
        Self { journal: Some(lease.journal), ..Self::of_task(&lease.task) }
    }
}

/// What the statements of the outbox need to know of the engine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outbox {
    /// The database's time, an expression: replicas compare times that they wrote.
    pub(super) now: &'static str,
    /// Behind the read of a task that others wait for.
    pub(super) lock: &'static str,
}

pub(super) const INSERT: &str = "INSERT INTO webhook_delivery (webhook, task, cluster, service_uuid, seq, status, step, step_status, step_started, step_ended, journal, due, created) ";

/// One row of the outbox, in the order of [`INSERT`].
macro_rules! push_told {
    ($b:expr, $now:expr, $subject:expr, $channel:expr, $seq:expr, $told:expr) => {
        $b.push_bind($channel.to_string())
            .push_bind($subject.id.to_vec())
            .push_bind($subject.cluster)
            .push_bind($subject.uuid.to_string())
            .push_bind($seq)
            .push_bind($told.status)
            .push_bind($told.step)
            .push_bind($told.step_status)
            .push_bind($told.started)
            .push_bind($told.ended)
            .push_bind($subject.journal.map(|journal| journal.to_vec()))
            .push($now)
            .push($now)
    };
}

/// Which of these webhooks exist; inside a transaction.
macro_rules! listening {
    ($tx:expr, $channels:expr) => {{
        let channels: std::collections::BTreeSet<&str> = $channels.collect();
        let mut query = sqlx::QueryBuilder::new("SELECT uuid FROM webhook WHERE uuid IN (");
        let mut list = query.separated(", ");
        for channel in $crate::storage::pieces::padded(channels) {
            list.push_bind(channel.to_owned());
        }
        query.push(")");
        let rows = query.build().fetch_all(&mut *$tx).await?;
        let mut found = std::collections::BTreeSet::new();
        for row in &rows {
            found.insert(sqlx::Row::try_get::<String, _>(row, 0)?);
        }
        found
    }};
}

/// Tasks whose statuses are read by one statement. Ids and clusters are listed apart, so that it looks for their product.
pub(super) const TOGETHER: usize = 16;

/// Tells the webhooks of several tasks of new statuses; inside the transaction that makes them, while the tasks' rows are still there.
/// `$subjects` are pairs of a [`Subject`] and a reference to what `$new` needs to say, from all that was told of the task before, what
/// is new.
macro_rules! tell_each {
    ($tx:expr, $outbox:expr, $subjects:expr, |$told:pat_param, $item:pat_param| $new:expr) => {{
        use $crate::storage::outbox;
        let outbox: outbox::Outbox = $outbox;
        let mut subjects: Vec<(outbox::Subject<'_>, _)> = $subjects.into_iter().collect();
        subjects.retain(|(subject, _)| subject.channel.is_some());
        if !subjects.is_empty() {
            let found = outbox::listening!($tx, subjects.iter().filter_map(|(subject, _)| subject.channel));
            subjects.retain(|(subject, _)| subject.channel.is_some_and(|channel| found.contains(channel)));
        }
        for subjects in subjects.chunks(outbox::TOGETHER) {
            if !outbox.lock.is_empty() {
                // Whoever changes a task's status holds its row from here on, so no two of them count alike.
                let sql = format!("SELECT id FROM task WHERE id = ? AND cluster = ?{}", outbox.lock);
                for (subject, _) in subjects {
                    sqlx::query(sqlx::AssertSqlSafe(sql.as_str()))
                        .bind(subject.id.to_vec())
                        .bind(subject.cluster)
                        .fetch_optional(&mut *$tx)
                        .await?;
                }
            }
            let mut query = sqlx::QueryBuilder::new(
                "SELECT task, cluster, seq, status, step, step_status, step_started, step_ended FROM webhook_delivery WHERE task IN (",
            );
            let mut list = query.separated(", ");
            for (subject, _) in $crate::storage::pieces::padded(subjects.iter()) {
                list.push_bind(subject.id.to_vec());
            }
            query.push(") AND cluster IN (");
            let mut list = query.separated(", ");
            for (subject, _) in $crate::storage::pieces::padded(subjects.iter()) {
                list.push_bind(subject.cluster);
            }
            let rows = query.push(") ORDER BY seq").build().fetch_all(&mut *$tx).await?;
            let mut before = std::collections::HashMap::<(Vec<u8>, i64), (i32, Vec<$crate::model::told::Told>)>::new();
            for row in &rows {
                use sqlx::Row as _;
                let (seq, told) = before.entry((row.try_get(0)?, row.try_get(1)?)).or_default();
                *seq = row.try_get(2)?;
                told.push($crate::model::told::Told {
                    status: row.try_get(3)?,
                    step: row.try_get(4)?,
                    step_status: row.try_get(5)?,
                    started: row.try_get(6)?,
                    ended: row.try_get(7)?,
                });
            }
            let mut rows = Vec::with_capacity(subjects.len());
            for (subject, item) in subjects {
                let (seq, told) = before.entry((subject.id.to_vec(), subject.cluster)).or_default();
                let $item = *item;
                let $told: &[$crate::model::told::Told] = told;
                let new: Vec<$crate::model::told::Told> = $new;
                for one in new {
                    *seq += 1;
                    told.push(one);
                    rows.push((*subject, subject.channel.unwrap_or_default(), *seq, one));
                }
            }
            $crate::storage::task::insert!($tx, outbox::INSERT, rows.as_slice(), |_| 0, |b, (subject, channel, seq, told)| {
                outbox::push_told!(b, outbox.now, subject, channel, *seq, told)
            });
        }
    }};
}

/// [`tell_each`] of one task.
macro_rules! tell {
    ($tx:expr, $outbox:expr, $subject:expr, |$told:pat_param| $new:expr) => {
        $crate::storage::outbox::tell_each!($tx, $outbox, [($subject, &())], |$told, ()| $new)
    };
}
pub(super) use {listening, push_told, tell, tell_each};

impl Store {
    pub(super) fn outbox(&self) -> Outbox {
        let (_, lock, _) = self.begin();
        Outbox { now: Db::now(&self.db), lock }
    }

    /// After a commit that may have told something: the delivery looks at once.
    pub(super) fn told<'a>(&self, mut channels: impl Iterator<Item = Option<&'a str>>) {
        if channels.any(|channel| channel.is_some()) {
            self.told.notify_one();
        }
    }

    /// Waits until this process wrote something into the outbox. What others wrote is found by looking.
    pub async fn something_told(&self) {
        self.told.notified().await;
    }
}
