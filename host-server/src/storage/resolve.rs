//! A person says what became of a step in doubt.

use super::{
    Error, Store, both,
    outbox::{Subject, tell},
    waiting::{Ending, archive, enter, release},
};
use crate::model::{
    state::State,
    step::{STARTED, SUCCEEDED},
    task::{Lease, Timeline},
    told::{Told, last_step, of_end},
};

/// What the step did, as a person found out.
#[derive(Clone, Copy, Debug)]
pub enum Settlement<'a> {
    /// It has happened, with this output: the flow goes on behind it.
    Succeeded {
        /// JSON text.
        output: &'a str,
    },
    /// It has not happened: the step runs again.
    Rerun,
    /// It failed, and the task with it.
    Failed(Ending<'a>),
}

impl Store {
    /// Settles a task in doubt: the step at `path`, or the whole where none of its steps is known to be in doubt. The lease ends,
    /// so that a late report changes nothing. False: the task is not in doubt under this lease any more, or the step is not.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing has changed then.
    pub async fn resolve(
        &self,
        lease: &Lease,
        path: Option<&str>,
        settlement: Settlement<'_>,
        now_us: i64,
    ) -> Result<bool, Error> {
        let ((begin, lock, _), outbox) = (self.begin(), self.outbox());
        let task = &lease.task;
        let (id, cluster): (Vec<u8>, i64) = (task.id.to_vec(), task.cluster);
        both!(&self.db, pool => {
            let mut tx = pool.begin_with(begin).await?;
            let sql = format!("SELECT epoch FROM lease WHERE lease_id = ?{lock}");
            let held: Option<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(lease.id.to_vec()).fetch_optional(&mut *tx).await?;
            let sql = format!("SELECT state FROM task WHERE id = ? AND cluster = ?{lock}");
            let state: Option<i16> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(&id).bind(cluster).fetch_optional(&mut *tx).await?;
            if held.is_none() || state != Some(State::Unknown as i16) {
                return Ok(false);
            }
            let met = match settlement {
                _ if path.is_none() => {
                    let started: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM step WHERE task = ? AND cluster = ? AND state = ?")
                        .bind(&id).bind(cluster).bind(STARTED).fetch_one(&mut *tx).await?;
                    started == 0
                }
                Settlement::Succeeded { output } => {
                    let tries: Vec<i32> = sqlx::query_scalar("SELECT try FROM step WHERE task = ? AND cluster = ? AND path = ? AND state = ?")
                        .bind(&id).bind(cluster).bind(path).bind(STARTED).fetch_all(&mut *tx).await?;
                    for attempt in &tries {
                        let output = self.seal_output(&id, cluster, path.unwrap_or_default(), *attempt, Some(output))?;
                        sqlx::query("UPDATE step SET state = ?, output = ?, ended = ? WHERE task = ? AND cluster = ? AND path = ? AND try = ?")
                            .bind(SUCCEEDED).bind(output).bind(now_us).bind(&id).bind(cluster).bind(path).bind(attempt).execute(&mut *tx).await?;
                    }
                    !tries.is_empty()
                }
                Settlement::Rerun | Settlement::Failed(_) => sqlx::query("DELETE FROM step WHERE task = ? AND cluster = ? AND path = ? AND state = ?")
                    .bind(&id).bind(cluster).bind(path).bind(STARTED).execute(&mut *tx).await?.rows_affected() > 0,
            };
            if !met {
                tx.rollback().await?;
                return Ok(false);
            }
            release!(tx, lease.id);
            match settlement {
                Settlement::Failed(ending) => archive!(self, tx, outbox, ending, Subject::of_lease(lease)),
                Settlement::Succeeded { .. } | Settlement::Rerun => {
                    sqlx::query("UPDATE task SET state = 0, valid_until = NULL, reason = NULL WHERE id = ? AND cluster = ?").bind(&id).bind(cluster).execute(&mut *tx).await?;
                    let mut again = crate::model::task::Task::clone(task);
                    again.valid_until = None;
                    enter!(tx, &again, None::<i64>);
                    tell!(tx, outbox, Subject::of_lease(lease), |told| vec![Told::registered(last_step(told))]);
                }
            }
            tx.commit().await?;
            self.told(std::iter::once(task.channel.as_deref()));
            Ok(true)
        })
    }
}
