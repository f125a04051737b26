//! Steps of live tasks, each kept under the lease that reported it.

use sqlx::Row as _;

use super::{
    Error, Store, both,
    outbox::{Subject, tell},
};
use crate::model::{
    step::{Change, StepRow},
    task::Lease,
    told::of_step,
};

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is stored.
    Stored,
    /// It said nothing that was not known.
    Repeated,
    /// Something else is stored under its path and try, and stays.
    Conflict,
    /// The lease is gone; nothing has changed.
    Stale,
}

impl Store {
    /// Keeps the end of a step, or the start of one with an effect, under a valid lease.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing has changed then.
    pub async fn keep_step(&self, lease: &Lease, step: &StepRow) -> Result<Kept, Error> {
        // The lease's row is locked, so that no end of the task overtakes the step.
        let ((begin, lock, _), outbox) = (self.begin(), self.outbox());
        let (task, cluster) = (lease.task.id.to_vec(), lease.task.cluster);
        let output = self.seal_output(&task, cluster, &step.path, step.attempt, step.output.as_deref())?;
        both!(&self.db, pool => {
            let mut tx = pool.begin_with(begin).await?;
            let sql = format!("SELECT epoch FROM lease WHERE lease_id = ?{lock}");
            let valid: Option<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(lease.id.to_vec()).fetch_optional(&mut *tx).await?;
            if valid.is_none() {
                return Ok(Kept::Stale);
            }
            let row = sqlx::query("SELECT path, try AS attempt, top, state, effect, started, ended, output, used, lease_id FROM step WHERE task = ? AND cluster = ? AND path = ? AND try = ?")
                .bind(&task).bind(cluster).bind(&step.path).bind(step.attempt).fetch_optional(&mut *tx).await?;
            let change = match &row {
                None => Change::Put,
                Some(row) => {
                    let reporter: Option<Vec<u8>> = row.try_get("lease_id")?;
                    let same_lease = reporter.is_some_and(|reporter| reporter == lease.id);
                    self.open_step(&task, cluster, <StepRow as sqlx::FromRow<_>>::from_row(row)?)?.change(step, same_lease)
                }
            };
            match change {
                Change::Put => {
                    sqlx::query("REPLACE INTO step (task, cluster, path, try, top, state, effect, started, ended, output, used, lease_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
                        .bind(&task).bind(cluster).bind(&step.path).bind(step.attempt).bind(step.top).bind(step.state)
                        .bind(step.effect).bind(step.started).bind(step.ended).bind(&output).bind(&step.used).bind(lease.id.to_vec())
                        .execute(&mut *tx).await?;
                }
                Change::End => {
                    sqlx::query("UPDATE step SET state = ?, ended = ?, output = ?, used = ?, lease_id = ? WHERE task = ? AND cluster = ? AND path = ? AND try = ?")
                        .bind(step.state).bind(step.ended).bind(&output).bind(&step.used).bind(lease.id.to_vec())
                        .bind(&task).bind(cluster).bind(&step.path).bind(step.attempt).execute(&mut *tx).await?;
                }
                Change::Nothing => return Ok(Kept::Repeated),
                Change::Conflict => return Ok(Kept::Conflict),
            }
            tell!(tx, outbox, Subject::of_lease(lease), |told| of_step(told, step, lease.task.snapshot.step_max));
            tx.commit().await?;
            self.told(std::iter::once(lease.task.channel.as_deref()));
            Ok(Kept::Stored)
        })
    }

    /// The kept steps of a live task, in the order of their starts.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn steps(&self, task: &[u8], cluster: i64) -> Result<Vec<StepRow>, Error> {
        both!(&self.db, pool => {
            let steps = sqlx::query_as::<_, StepRow>("SELECT path, try AS attempt, top, state, effect, started, ended, output, used FROM step WHERE task = ? AND cluster = ? ORDER BY started, path, try")
                .bind(task.to_vec()).bind(cluster).fetch_all(pool).await?;
            steps.into_iter().map(|step| self.open_step(task, cluster, step)).collect()
        })
    }
}
