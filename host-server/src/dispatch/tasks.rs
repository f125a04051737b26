//! What the dispatcher asks of a store. A trait, so that the same dispatcher runs over a simulated one.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    model::{
        ids::Id,
        log::LogRow,
        nouns::ClusterRules,
        state::State,
        step::StepRow,
        task::{Finish, Lease, Place, RequestKey, Snapshot, Task},
    },
    storage::{AgentRow, Claim, Ending, Error, InventoryRow, Kept, Leased, Store, TASK_BYTES, Wished},
};

/// See the module. Every method is one transaction; [`Error`] says that nothing is known of it, or that it was refused.
#[async_trait::async_trait]
#[allow(missing_docs, reason = "each is documented where `Store` implements it")]
pub trait Tasks: Send + Sync + 'static {
    /// The inputs and the result of one task together at most, bytes.
    fn task_bytes(&self) -> usize {
        TASK_BYTES
    }

    async fn create_tasks(&self, tasks: &[(Arc<Task>, Place)], keys: &[RequestKey]) -> Result<(), Error>;
    async fn is_stored(&self, cluster: i64, task: Id) -> Result<bool, Error>;
    async fn snapshot(&self, id: &[u8]) -> Result<Option<Arc<Snapshot>>, Error>;
    async fn clusters_with_ready(&self) -> Result<Vec<i64>, Error>;
    async fn needs(&self, cluster: i64, limit: Option<i64>) -> Result<Vec<Vec<u8>>, Error>;
    async fn cluster_rules(&self, cluster: i64) -> Result<ClusterRules, Error>;
    async fn claim(
        &self,
        claim: &Claim<'_>,
        lease_id: &(dyn Fn() -> Id + Send + Sync),
    ) -> Result<Vec<Arc<Lease>>, Error>;
    async fn finish(&self, ends: &[Finish]) -> Result<HashMap<Id, State>, Error>;
    async fn requeue(&self, lease: &Lease, spent: bool, due: Option<i64>) -> Result<bool, Error>;
    async fn mark_unknown(&self, lease: &Lease, reason: &str) -> Result<bool, Error>;
    async fn keep_step(&self, lease: &Lease, step: &StepRow) -> Result<Kept, Error>;
    async fn steps(&self, task: &[u8], cluster: i64) -> Result<Vec<StepRow>, Error>;
    async fn leases_of(&self, cluster: i64, journal: Id) -> Result<Vec<Leased>, Error>;
    async fn leases_at(&self, replica: Id) -> Result<Vec<(i64, Id)>, Error>;
    async fn lease(&self, cluster: i64, lease: Id) -> Result<Option<Leased>, Error>;
    async fn lease_of(&self, cluster: i64, task: Id) -> Result<Option<Leased>, Error>;
    async fn leases_past(&self, now_us: i64) -> Result<Vec<Leased>, Error>;
    async fn cancel(&self, cluster: i64, task: Id, rank: i64, ending: Ending<'_>) -> Result<Wished, Error>;
    async fn pause(&self, cluster: i64, task: Id, rank: i64) -> Result<Wished, Error>;
    async fn resume(&self, task: &Task) -> Result<Wished, Error>;
    async fn due(&self, now_us: i64) -> Result<BTreeSet<i64>, Error>;
    async fn expire(&self, error: &str, now_us: i64) -> Result<u64, Error>;
    async fn agent(&self, cluster: i64, journal: Id) -> Result<Option<AgentRow>, Error>;
    async fn agent_attached(
        &self,
        cluster: i64,
        journal: Id,
        session: &str,
        replica: Id,
        now_us: i64,
    ) -> Result<(), Error>;
    async fn agent_detached(&self, cluster: i64, journal: Id, session: &str, now_us: i64) -> Result<(), Error>;
    async fn agents_silent(&self, alive: &[Id], passed_us: i64) -> Result<(), Error>;
    async fn agents_unknown(&self, now_us: i64) -> Result<u64, Error>;
    async fn agents_suspect(&self, silent_us: i64) -> Result<Vec<AgentRow>, Error>;
    async fn purge_agents(&self, silent_us: i64) -> Result<u64, Error>;
    async fn keep_inventory(&self, row: &InventoryRow) -> Result<bool, Error>;
    async fn touch_sessions(&self, uuids: &[String], now_us: i64) -> Result<(), Error>;
    async fn purge_sessions(&self, before_us: i64) -> Result<u64, Error>;
    async fn purge_requests(&self, before_us: i64) -> Result<u64, Error>;
    async fn keep_lines(&self, lines: &[(Id, i64, LogRow)]) -> Result<(), Error>;
    async fn next_for_former(
        &self,
        cluster: i64,
        snapshots: &[Id],
        except: &[Id],
        limit: usize,
    ) -> Result<Vec<Id>, Error>;
    async fn prolong_sessions(&self, uuids: &[String], until_us: i64, now_us: i64) -> Result<(), Error>;
}

#[async_trait::async_trait]
impl Tasks for Store {
    fn task_bytes(&self) -> usize {
        self.task_bytes()
    }

    async fn create_tasks(&self, tasks: &[(Arc<Task>, Place)], keys: &[RequestKey]) -> Result<(), Error> {
        self.create_tasks(tasks, keys).await
    }

    async fn is_stored(&self, cluster: i64, task: Id) -> Result<bool, Error> {
        Ok(self.task(cluster, &task).await?.is_some())
    }

    async fn snapshot(&self, id: &[u8]) -> Result<Option<Arc<Snapshot>>, Error> {
        self.snapshot(id).await
    }

    async fn clusters_with_ready(&self) -> Result<Vec<i64>, Error> {
        self.clusters_with_ready().await
    }

    async fn needs(&self, cluster: i64, limit: Option<i64>) -> Result<Vec<Vec<u8>>, Error> {
        self.needs(cluster, limit).await
    }

    async fn cluster_rules(&self, cluster: i64) -> Result<ClusterRules, Error> {
        self.cluster_rules(cluster).await
    }

    async fn claim(
        &self,
        claim: &Claim<'_>,
        lease_id: &(dyn Fn() -> Id + Send + Sync),
    ) -> Result<Vec<Arc<Lease>>, Error> {
        self.claim(claim, lease_id).await
    }

    async fn finish(&self, ends: &[Finish]) -> Result<HashMap<Id, State>, Error> {
        self.finish(ends).await
    }

    async fn requeue(&self, lease: &Lease, spent: bool, due: Option<i64>) -> Result<bool, Error> {
        self.requeue(lease, spent, due).await
    }

    async fn mark_unknown(&self, lease: &Lease, reason: &str) -> Result<bool, Error> {
        self.mark_unknown(lease, reason).await
    }

    async fn keep_step(&self, lease: &Lease, step: &StepRow) -> Result<Kept, Error> {
        self.keep_step(lease, step).await
    }

    async fn steps(&self, task: &[u8], cluster: i64) -> Result<Vec<StepRow>, Error> {
        self.steps(task, cluster).await
    }

    async fn leases_of(&self, cluster: i64, journal: Id) -> Result<Vec<Leased>, Error> {
        self.leases_of(cluster, journal).await
    }

    async fn leases_at(&self, replica: Id) -> Result<Vec<(i64, Id)>, Error> {
        self.leases_at(replica).await
    }

    async fn lease(&self, cluster: i64, lease: Id) -> Result<Option<Leased>, Error> {
        self.lease(cluster, lease).await
    }

    async fn lease_of(&self, cluster: i64, task: Id) -> Result<Option<Leased>, Error> {
        self.lease_of(cluster, task).await
    }

    async fn leases_past(&self, now_us: i64) -> Result<Vec<Leased>, Error> {
        self.leases_past(now_us).await
    }

    async fn cancel(&self, cluster: i64, task: Id, rank: i64, ending: Ending<'_>) -> Result<Wished, Error> {
        self.cancel(cluster, task, rank, ending).await
    }

    async fn pause(&self, cluster: i64, task: Id, rank: i64) -> Result<Wished, Error> {
        self.pause(cluster, task, rank).await
    }

    async fn resume(&self, task: &Task) -> Result<Wished, Error> {
        self.resume(task).await
    }

    async fn due(&self, now_us: i64) -> Result<BTreeSet<i64>, Error> {
        self.due(now_us).await
    }

    async fn expire(&self, error: &str, now_us: i64) -> Result<u64, Error> {
        self.expire(error, now_us).await
    }

    async fn agent(&self, cluster: i64, journal: Id) -> Result<Option<AgentRow>, Error> {
        self.agent(cluster, journal).await
    }

    async fn agent_attached(
        &self,
        cluster: i64,
        journal: Id,
        session: &str,
        replica: Id,
        now_us: i64,
    ) -> Result<(), Error> {
        self.agent_attached(cluster, journal, session, replica, now_us).await
    }

    async fn agent_detached(&self, cluster: i64, journal: Id, session: &str, now_us: i64) -> Result<(), Error> {
        self.agent_detached(cluster, journal, session, now_us).await
    }

    async fn agents_silent(&self, alive: &[Id], passed_us: i64) -> Result<(), Error> {
        self.agents_silent(alive, passed_us).await
    }

    async fn agents_unknown(&self, now_us: i64) -> Result<u64, Error> {
        self.agents_unknown(now_us).await
    }

    async fn agents_suspect(&self, silent_us: i64) -> Result<Vec<AgentRow>, Error> {
        self.agents_suspect(silent_us).await
    }

    async fn purge_agents(&self, silent_us: i64) -> Result<u64, Error> {
        self.purge_agents(silent_us).await
    }

    async fn keep_inventory(&self, row: &InventoryRow) -> Result<bool, Error> {
        self.keep_inventory(row).await
    }

    async fn touch_sessions(&self, uuids: &[String], now_us: i64) -> Result<(), Error> {
        self.touch_sessions(uuids, now_us).await
    }

    async fn purge_sessions(&self, before_us: i64) -> Result<u64, Error> {
        self.purge_sessions(before_us).await
    }

    async fn purge_requests(&self, before_us: i64) -> Result<u64, Error> {
        self.purge_requests(before_us).await
    }

    async fn next_for_former(
        &self,
        cluster: i64,
        snapshots: &[Id],
        except: &[Id],
        limit: usize,
    ) -> Result<Vec<Id>, Error> {
        self.next_for_former(cluster, snapshots, except, limit).await
    }

    async fn prolong_sessions(&self, uuids: &[String], until_us: i64, now_us: i64) -> Result<(), Error> {
        self.prolong_sessions(uuids, until_us, now_us).await
    }

    async fn keep_lines(&self, lines: &[(Id, i64, LogRow)]) -> Result<(), Error> {
        self.keep_lines(lines).await
    }
}
