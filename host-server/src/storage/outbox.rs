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

/// Tells a task's webhook of new statuses; inside the transaction that makes them, while the task's row is still there. `$new`
/// says, from all that was told before, what is new.
macro_rules! tell {
    ($tx:expr, $outbox:expr, $subject:expr, |$told:ident| $new:expr) => {{
        let (outbox, subject): ($crate::storage::outbox::Outbox, $crate::storage::outbox::Subject<'_>) =
            ($outbox, $subject);
        if let Some(channel) = subject.channel
            && !$crate::storage::outbox::listening!($tx, std::iter::once(channel)).is_empty()
        {
            // Whoever changes a task's status holds its row from here on, so no two of them count alike.
            let sql = format!("SELECT id FROM task WHERE id = ? AND cluster = ?{}", outbox.lock);
            sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(subject.id.to_vec())
                .bind(subject.cluster)
                .fetch_optional(&mut *$tx)
                .await?;
            let rows = sqlx::query("SELECT seq, status, step, step_status, step_started, step_ended FROM webhook_delivery WHERE task = ? AND cluster = ? ORDER BY seq")
                .bind(subject.id.to_vec())
                .bind(subject.cluster)
                .fetch_all(&mut *$tx)
                .await?;
            let (mut seq, mut before) = (0_i32, Vec::with_capacity(rows.len()));
            for row in &rows {
                use sqlx::Row as _;
                seq = row.try_get(0)?;
                before.push($crate::model::told::Told {
                    status: row.try_get(1)?,
                    step: row.try_get(2)?,
                    step_status: row.try_get(3)?,
                    started: row.try_get(4)?,
                    ended: row.try_get(5)?,
                });
            }
            let $told: &[$crate::model::told::Told] = &before;
            let new: Vec<$crate::model::told::Told> = $new;
            if !new.is_empty() {
                let mut query = sqlx::QueryBuilder::new($crate::storage::outbox::INSERT);
                query.push_values(&new, |mut b, told| {
                    seq += 1;
                    $crate::storage::outbox::push_told!(b, outbox.now, subject, channel, seq, told);
                });
                query.build().execute(&mut *$tx).await?;
            }
        }
    }};
}
pub(super) use {listening, push_told, tell};

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
