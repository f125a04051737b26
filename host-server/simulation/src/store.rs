//! What one replica sees of the database: the dispatcher's `Tasks`, and what people and replicas need besides.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Arguments,
    sync::Arc,
    time::Duration,
};

use claiflow_server::{
    dispatch::Tasks,
    model::{
        ids::Id,
        log::LogRow,
        nouns::ClusterRules,
        state::State,
        step::StepRow,
        task::{Finish, Lease, Place, RequestKey, Snapshot, Task, Wish},
    },
    storage::{AgentRow, Cause, Claim, Ending, Error, InventoryRow, Kept, Leased, Settlement, Wished},
};
use tokio::time::Instant;

use crate::{
    database::Database,
    power::Power,
    tables::Tables,
    trace::{Trace, short},
};

/// A replica that was not seen for so long is not alive; a lead ends after this time.
const TTL: Duration = Duration::from_secs(4);
/// How often a task that is between two places is looked at again.
const TRIES: u32 = 8;

#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) name: String,
    pub(crate) power: Power,
    pub(crate) database: Arc<Database>,
    pub(crate) trace: Trace,
}

impl Store {
    async fn read<T>(&self, read: impl FnOnce(&Tables) -> T) -> Result<T, Error> {
        self.database.work(&self.power, false, |tables| Ok(read(tables))).await
    }

    async fn write<T>(&self, write: impl FnOnce(&mut Tables) -> T) -> Result<T, Error> {
        self.database.work(&self.power, true, |tables| Ok(write(tables))).await
    }

    fn say(&self, words: Arguments<'_>) {
        self.trace.say(format_args!("{} {words}", self.name));
    }

    async fn wish(&self, cluster: i64, task: Id, rank: i64, wish: Wish) -> Result<Wished, Error> {
        for _ in 0..TRIES {
            let wished = self.write(|tables| tables.wish(cluster, task, rank, wish)).await?;
            self.say(format_args!("{wish:?} {}: {wished:?}", short(&task)));
            if let Some(wished) = wished {
                return Ok(wished);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(Error::Engine(Cause::WorkerCrashed))
    }

    /// A person settles a step.
    pub(crate) async fn resolve(
        &self,
        lease: &Lease,
        path: Option<&str>,
        settlement: Settlement<'_>,
        meanwhile: impl FnOnce(),
    ) -> Result<bool, Error> {
        self.write(|tables| {
            let done = tables.resolve(lease, path, settlement);
            if done {
                meanwhile();
            }
            done
        })
        .await
    }

    /// A heartbeat; which replicas are alive, and whether this one leads.
    pub(crate) async fn beat(&self, replica: Id) -> Result<(Vec<Id>, bool), Error> {
        self.database
            .work(&self.power, true, |tables| {
                let now = Instant::now();
                tables.replicas.insert(replica, now);
                let alive = tables.replicas.iter().filter(|(_, seen)| now.duration_since(**seen) < TTL);
                let alive: Vec<Id> = alive.map(|(id, _)| *id).collect();
                let is_free = tables.leader.is_none_or(|(holder, until)| holder == replica || until <= now);
                if is_free {
                    tables.leader = Some((replica, now + TTL));
                }
                Ok((alive, is_free))
            })
            .await
    }
}

#[async_trait::async_trait]
impl Tasks for Store {
    async fn create_tasks(&self, tasks: &[(Arc<Task>, Place)], _keys: &[RequestKey]) -> Result<(), Error> {
        self.database
            .work(&self.power, true, |tables| {
                let created = tables.create(tasks);
                for (task, place) in tasks {
                    let place = match place {
                        Place::Lease(lease) => format!("lease {} for {}", short(&lease.id), short(&lease.journal)),
                        Place::Ready => "ready".to_owned(),
                        Place::Later(due) => format!("later {due}"),
                    };
                    self.say(format_args!("creates {} as {place}: {created:?}", short(&task.id)));
                }
                created
            })
            .await
    }

    async fn is_stored(&self, _cluster: i64, task: Id) -> Result<bool, Error> {
        self.read(|tables| tables.live.contains_key(&task) || tables.history.contains_key(&task)).await
    }

    async fn snapshot(&self, id: &[u8]) -> Result<Option<Arc<Snapshot>>, Error> {
        self.read(|tables| tables.snapshots.get(id).cloned()).await
    }

    async fn clusters_with_ready(&self) -> Result<Vec<i64>, Error> {
        self.read(Tables::clusters_with_ready).await
    }

    async fn needs(&self, cluster: i64, limit: Option<i64>) -> Result<Vec<Vec<u8>>, Error> {
        self.read(|tables| tables.needs(cluster, limit)).await
    }

    async fn cluster_rules(&self, _cluster: i64) -> Result<ClusterRules, Error> {
        self.read(|tables| tables.rules).await
    }

    async fn claim(
        &self,
        claim: &Claim<'_>,
        lease_id: &(dyn Fn() -> Id + Send + Sync),
    ) -> Result<Vec<Arc<Lease>>, Error> {
        self.write(|tables| {
            let leases = tables.claim(claim, lease_id);
            for lease in &leases {
                let (task, attempt, epoch) = (short(&lease.task.id), lease.task.attempt, lease.task.epoch);
                let (id, journal) = (short(&lease.id), short(&lease.journal));
                self.say(format_args!("claims {task} attempt {attempt} epoch {epoch} lease {id} for {journal}"));
            }
            leases
        })
        .await
    }

    async fn finish(&self, ends: &[Finish]) -> Result<HashMap<Id, State>, Error> {
        self.write(|tables| {
            let accepted = tables.finish(ends);
            for end in ends {
                let (state, took) =
                    (State::of(end.state).word(), accepted.get(&end.lease.id).map(|state| state.word()));
                let (task, lease) = (short(&end.lease.task.id), short(&end.lease.id));
                let why = end.error.as_deref().unwrap_or_default();
                self.say(format_args!("finishes {task} lease {lease} as {state}: {took:?} {why}"));
            }
            accepted
        })
        .await
    }

    async fn requeue(&self, lease: &Lease, spent: bool, due: Option<i64>) -> Result<bool, Error> {
        self.write(|tables| {
            let done = tables.requeue(lease, spent, due);
            let (task, id) = (short(&lease.task.id), short(&lease.id));
            self.say(format_args!("requeues {task} lease {id} spent {spent} due {due:?}: {done}"));
            done
        })
        .await
    }

    async fn mark_unknown(&self, lease: &Lease, reason: &str) -> Result<bool, Error> {
        self.write(|tables| {
            let done = tables.mark_unknown(lease);
            self.say(format_args!(
                "marks {} lease {} unknown: {done} {reason}",
                short(&lease.task.id),
                short(&lease.id)
            ));
            done
        })
        .await
    }

    async fn keep_step(&self, lease: &Lease, step: &StepRow) -> Result<Kept, Error> {
        self.write(|tables| {
            let kept = tables.keep_step(lease, step);
            let (task, id) = (short(&lease.task.id), short(&lease.id));
            self.say(format_args!("keeps {task} step {} {} lease {id}: {kept:?}", step.path, step.word()));
            kept
        })
        .await
    }

    async fn steps(&self, task: &[u8], _cluster: i64) -> Result<Vec<StepRow>, Error> {
        self.read(|tables| tables.steps_of(task)).await
    }

    async fn leases_of(&self, cluster: i64, journal: Id) -> Result<Vec<Leased>, Error> {
        self.read(|tables| tables.leased(|_, held| held.journal == journal && held.cluster == cluster)).await
    }

    async fn leases_at(&self, replica: Id) -> Result<Vec<(i64, Id)>, Error> {
        self.read(|tables| tables.leases_at(replica)).await
    }

    async fn lease(&self, cluster: i64, lease: Id) -> Result<Option<Leased>, Error> {
        self.read(|tables| tables.leased(|id, held| *id == lease && held.cluster == cluster).pop()).await
    }

    async fn lease_of(&self, cluster: i64, task: Id) -> Result<Option<Leased>, Error> {
        self.read(|tables| tables.leased(|_, held| held.task == task && held.cluster == cluster).pop()).await
    }

    async fn leases_past(&self, _now_us: i64) -> Result<Vec<Leased>, Error> {
        // No agent of the first version takes part.
        Ok(Vec::new())
    }

    async fn cancel(&self, cluster: i64, task: Id, rank: i64, _ending: Ending<'_>) -> Result<Wished, Error> {
        self.wish(cluster, task, rank, Wish::Cancel).await
    }

    async fn pause(&self, cluster: i64, task: Id, rank: i64) -> Result<Wished, Error> {
        self.wish(cluster, task, rank, Wish::Pause).await
    }

    async fn resume(&self, task: &Task) -> Result<Wished, Error> {
        self.write(|tables| {
            let wished = tables.resume(task);
            self.say(format_args!("resumes {}: {wished:?}", short(&task.id)));
            wished
        })
        .await
    }

    async fn due(&self, now_us: i64) -> Result<BTreeSet<i64>, Error> {
        self.write(|tables| tables.due(now_us)).await
    }

    async fn expire(&self, _error: &str, now_us: i64) -> Result<u64, Error> {
        self.write(|tables| tables.expire(now_us)).await
    }

    async fn agent(&self, cluster: i64, journal: Id) -> Result<Option<AgentRow>, Error> {
        self.read(|tables| tables.agents.get(&(cluster, journal)).cloned()).await
    }

    async fn agent_attached(
        &self,
        cluster: i64,
        journal: Id,
        session: &str,
        replica: Id,
        _now_us: i64,
    ) -> Result<(), Error> {
        self.write(|tables| {
            self.say(format_args!("has the agent {}", short(&journal)));
            let row = AgentRow {
                cluster,
                journal: journal.to_vec(),
                session: session.to_owned(),
                replica: replica.to_vec(),
                detached: None,
                silent_us: 0,
            };
            tables.agents.insert((cluster, journal), row);
        })
        .await
    }

    async fn agent_detached(&self, cluster: i64, journal: Id, session: &str, now_us: i64) -> Result<(), Error> {
        self.write(|tables| {
            self.say(format_args!("has not the agent {} any more", short(&journal)));
            let row = tables.agents.get_mut(&(cluster, journal));
            if let Some(row) = row.filter(|row| row.session == session && row.detached.is_none()) {
                row.detached = Some(now_us);
            }
        })
        .await
    }

    async fn agents_silent(&self, alive: &[Id], passed_us: i64) -> Result<(), Error> {
        self.write(|tables| tables.agents_silent(alive, passed_us)).await
    }

    async fn agents_unknown(&self, now_us: i64) -> Result<u64, Error> {
        self.write(|tables| tables.agents_unknown(now_us)).await
    }

    async fn agents_suspect(&self, silent_us: i64) -> Result<Vec<AgentRow>, Error> {
        self.read(|tables| {
            let suspect = tables.agents.values().filter(|agent| agent.silent_us >= silent_us);
            suspect.filter(|agent| tables.holds(agent)).cloned().collect()
        })
        .await
    }

    async fn purge_agents(&self, silent_us: i64) -> Result<u64, Error> {
        self.write(|tables| {
            let of = |agent: &AgentRow, tables: &Tables| agent.silent_us >= silent_us && !tables.holds(agent);
            let gone: Vec<_> =
                tables.agents.iter().filter(|(_, agent)| of(agent, tables)).map(|(key, _)| *key).collect();
            gone.iter().for_each(|key| drop(tables.agents.remove(key)));
            gone.len() as u64
        })
        .await
    }

    async fn keep_inventory(&self, _row: &InventoryRow) -> Result<bool, Error> {
        Ok(false)
    }

    async fn touch_sessions(&self, _uuids: &[String], _now_us: i64) -> Result<(), Error> {
        Ok(())
    }

    async fn purge_sessions(&self, _before_us: i64) -> Result<u64, Error> {
        Ok(0)
    }

    async fn purge_requests(&self, _before_us: i64) -> Result<u64, Error> {
        Ok(0)
    }

    async fn keep_lines(&self, _lines: &[(Id, i64, LogRow)]) -> Result<(), Error> {
        Ok(())
    }

    async fn next_for_former(
        &self,
        _cluster: i64,
        _snapshots: &[Id],
        _except: &[Id],
        _limit: usize,
    ) -> Result<Vec<Id>, Error> {
        Ok(Vec::new())
    }

    async fn prolong_sessions(&self, _uuids: &[String], _until_us: i64, _now_us: i64) -> Result<(), Error> {
        Ok(())
    }
}
