//! Who is connected to this replica, what they can run, and which leases they hold. Pure bookkeeping: no I/O, no clock.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use crate::model::{
    ids::Id,
    lifecycle::{Event, next},
    state::State,
    task::{Lease, Snapshot, Task},
};

/// What an agent says when its stream begins.
#[derive(Clone, Debug)]
pub struct Attach {
    /// The cluster's row.
    pub cluster: i64,
    /// The session's uuid.
    pub uuid: String,
    /// For people.
    pub version: String,
    /// One journal is one agent.
    pub journal: Id,
    /// The highest level of a flow that it runs.
    pub language_level: u32,
    /// Names and patterns.
    pub commands: Vec<String>,
    /// Leases that it still works under.
    pub held: Vec<Id>,
}

/// What the server tells an agent.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "as in the agent protocol")]
pub enum Order {
    Offer { number: u64, stamp: u64, lease: Arc<Lease>, first: bool },
    Settled { lease: Id, accepted: bool },
    StepSettled { lease: Id, path: String, attempt: u32, state: i32, accepted: bool },
    Seen { stamp: u64 },
    Close,
}

pub(super) struct Session {
    pub(super) cluster: i64,
    pub(super) uuid: String,
    pub(super) journal: Id,
    version: String,
    language_level: u32,
    commands: Vec<String>,
    orders: mpsc::UnboundedSender<Order>,
    limit: u64,
    stamp: u64,
    /// Offers sent or promised.
    spent: u64,
    offered: u64,
    /// Snapshots whose text this stream has had.
    known: HashSet<Id>,
    runs: HashMap<Id, bool>,
    leases: HashMap<Id, Held>,
}

/// A lease, where its task stands and since when it stands there.
pub(super) struct Held {
    pub(super) lease: Arc<Lease>,
    /// Offered, running or unknown.
    pub(super) state: State,
    /// Steps of the task may be kept.
    pub(super) stepped: bool,
    since: Instant,
}

impl Held {
    /// One that the database knows: what happened under it before is not remembered here.
    fn stored((lease, state): (Arc<Lease>, State), since: Instant) -> Self {
        Self { lease, state, stepped: true, since }
    }

    /// One that begins now. Steps of earlier attempts may be kept.
    fn offered(lease: Arc<Lease>, since: Instant) -> Self {
        let stepped = lease.task.epoch > 1;
        Self { lease, state: State::Offered, stepped, since }
    }
}

#[derive(Default)]
pub(super) struct Hub {
    sessions: HashMap<u64, Session>,
    next: u64,
    /// Leases whose agent is away.
    orphans: HashMap<Id, Held>,
    /// Clusters that may have rows in `ready`: nothing is handed over in memory before those.
    backlog: HashSet<i64>,
}

impl Session {
    fn free(&self) -> u64 {
        self.limit.saturating_sub(self.spent)
    }

    fn can_run(&mut self, snapshot: &Snapshot) -> bool {
        if let Some(known) = self.runs.get(&snapshot.id) {
            return *known;
        }
        let serves = |command: &String| self.commands.iter().any(|name| matches(name, command));
        let runs = snapshot.language_level <= self.language_level && snapshot.commands.iter().all(serves);
        self.runs.insert(snapshot.id, runs);
        runs
    }
}

/// Whether a name or a pattern such as `kubernetes.{resource}.{verb}.{version+}` covers a command.
fn matches(pattern: &str, command: &str) -> bool {
    if !pattern.contains('{') {
        return pattern == command;
    }
    let (mut parts, mut words) = (pattern.split('.'), command.split('.'));
    loop {
        match (parts.next(), words.next()) {
            (None, None) => return true,
            (Some(part), Some(_)) if part.ends_with("+}") => return true,
            (Some(part), Some(word)) if part.starts_with('{') && !word.is_empty() => {}
            (Some(part), Some(word)) if part == word => {}
            _ => return false,
        }
    }
}

impl Hub {
    pub(super) fn attach(
        &mut self,
        attach: Attach,
        orders: mpsc::UnboundedSender<Order>,
        held: Vec<(Arc<Lease>, State)>,
        now: Instant,
    ) -> u64 {
        self.next += 1;
        let leases = held
            .into_iter()
            .map(|(lease, state)| {
                self.orphans.remove(&lease.id);
                (lease.id, Held::stored((lease, state), now))
            })
            .collect();
        let session = Session {
            cluster: attach.cluster,
            uuid: attach.uuid,
            journal: attach.journal,
            version: attach.version,
            language_level: attach.language_level,
            commands: attach.commands,
            orders,
            limit: 0,
            stamp: 0,
            spent: 0,
            offered: 0,
            known: HashSet::new(),
            runs: HashMap::new(),
            leases,
        };
        self.backlog.insert(session.cluster);
        self.sessions.insert(self.next, session);
        self.next
    }

    /// The session's cluster; none when it was not here any more.
    pub(super) fn detach(&mut self, session: u64, now: Instant) -> Option<i64> {
        let session = self.sessions.remove(&session)?;
        for (id, held) in session.leases {
            self.orphans.insert(id, Held { since: now, ..held });
        }
        Some(session.cluster)
    }

    pub(super) fn disconnect(&mut self, which: impl Fn(&Session) -> bool) {
        for session in self.sessions.values_mut().filter(|session| which(session)) {
            session.limit = 0;
            // A stream that has ended is about to detach.
            let _ = session.orders.send(Order::Close);
        }
    }

    /// The cluster to claim for, when it may have waiting tasks.
    pub(super) fn credit(&mut self, session: u64, stamp: u64, limit: u64) -> Option<i64> {
        let session = self.sessions.get_mut(&session)?;
        session.stamp = stamp;
        session.limit = session.limit.max(limit);
        let _ = session.orders.send(Order::Seen { stamp });
        (session.free() > 0 && self.backlog.contains(&session.cluster)).then_some(session.cluster)
    }

    pub(super) fn inventory(&mut self, session: u64, commands: Vec<String>) -> Option<i64> {
        let session = self.sessions.get_mut(&session)?;
        session.commands = commands;
        session.runs.clear();
        self.backlog.insert(session.cluster);
        Some(session.cluster)
    }

    /// Promises a slot of a connected agent to a task that is about to be stored.
    pub(super) fn promise(&mut self, task: &Task) -> Option<(u64, Id)> {
        if self.backlog.contains(&task.cluster) {
            return None;
        }
        let cluster =
            self.sessions.iter_mut().filter(|(_, session)| session.cluster == task.cluster && session.free() > 0);
        let able = cluster.filter_map(|(number, session)| session.can_run(&task.snapshot).then_some((number, session)));
        let (number, session) = able.max_by_key(|(_, session)| session.free())?;
        session.spent += 1;
        Some((*number, session.journal))
    }

    /// Free slots of the cluster's agents, with what each can run.
    pub(super) fn free(
        &mut self,
        cluster: i64,
        snapshots: &[Arc<Snapshot>],
    ) -> Vec<(u64, Id, u64, Vec<Arc<Snapshot>>)> {
        self.sessions
            .iter_mut()
            .filter(|(_, session)| session.cluster == cluster && session.free() > 0)
            .map(|(number, session)| {
                let runs = snapshots.iter().filter(|snapshot| session.can_run(snapshot)).cloned().collect();
                (*number, session.journal, session.free(), runs)
            })
            .collect()
    }

    pub(super) fn promised(&mut self, session: u64, count: u64) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.spent += count;
        }
    }

    pub(super) fn unpromise(&mut self, session: u64, count: u64) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.spent = session.spent.saturating_sub(count);
        }
    }

    /// Sends an offer after its commit. The agent may have gone meanwhile: then its lease is an orphan.
    pub(super) fn offer(&mut self, session: u64, lease: Arc<Lease>, now: Instant) {
        let Some(session) = self.sessions.get_mut(&session) else {
            self.orphans.insert(lease.id, Held::offered(lease, now));
            return;
        };
        session.offered += 1;
        let first = session.known.insert(lease.task.snapshot.id);
        session.leases.insert(lease.id, Held::offered(Arc::clone(&lease), now));
        let _ = session.orders.send(Order::Offer { number: session.offered, stamp: session.stamp, lease, first });
    }

    pub(super) fn ack(&mut self, session: u64, lease: Id) {
        if let Some(held) = self.held(session, lease)
            && let Ok((state, _)) = next(held.state, Event::Acked)
        {
            held.state = state;
        }
    }

    pub(super) fn cluster(&self, session: u64) -> Option<i64> {
        self.sessions.get(&session).map(|session| session.cluster)
    }

    /// Ends one stream.
    pub(super) fn close(&mut self, session: u64) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.limit = 0;
            // A stream that has ended is about to detach.
            let _ = session.orders.send(Order::Close);
        }
    }

    /// A lease of this session.
    pub(super) fn held(&mut self, session: u64, lease: Id) -> Option<&mut Held> {
        self.sessions.get_mut(&session)?.leases.get_mut(&lease)
    }

    pub(super) fn take(&mut self, session: u64, lease: Id) -> Option<Held> {
        self.sessions.get_mut(&session)?.leases.remove(&lease)
    }

    /// Tells the agent that its outcome is stored, or that its lease was gone.
    pub(super) fn settle(&mut self, session: u64, lease: Id, accepted: bool) {
        self.orphans.remove(&lease);
        if let Some(session) = self.sessions.get_mut(&session) {
            session.leases.remove(&lease);
            let _ = session.orders.send(Order::Settled { lease, accepted });
        }
    }

    pub(super) fn agent_version(&self, cluster: i64) -> Option<String> {
        self.sessions.values().find(|session| session.cluster == cluster).map(|session| session.version.clone())
    }

    /// A lease of the database whose agent is not here.
    pub(super) fn orphan(&mut self, lease: (Arc<Lease>, State), since: Instant) {
        self.orphans.entry(lease.0.id).or_insert_with(|| Held::stored(lease, since));
    }

    /// Lets go of a lease that its agent does not know, and says where its task stands; none when that is not known here.
    pub(super) fn forget(&mut self, lease: Id) -> Option<State> {
        let sessions = self.sessions.values_mut().filter_map(|session| session.leases.remove(&lease));
        self.orphans.remove(&lease).into_iter().chain(sessions).next().map(|held| held.state)
    }

    /// Orphans older than `age`.
    pub(super) fn orphans(&mut self, age: Duration, now: Instant) -> Vec<Held> {
        self.orphans.extract_if(|_, orphan| now.duration_since(orphan.since) >= age).map(|(_, orphan)| orphan).collect()
    }

    /// Offers that nobody took in time.
    pub(super) fn unacked(&mut self, age: Duration, now: Instant) -> Vec<Held> {
        let late = |held: &Held| held.state == State::Offered && now.duration_since(held.since) >= age;
        let sessions = self.sessions.values_mut();
        sessions.flat_map(|session| session.leases.extract_if(|_, held| late(held)).map(|(_, held)| held)).collect()
    }

    /// Leases of connected agents that are older than `age`.
    pub(super) fn long_held(&self, age: Duration, now: Instant) -> Vec<Id> {
        let sessions = self.sessions.values();
        sessions
            .flat_map(|s| s.leases.iter().filter(|(_, held)| now.duration_since(held.since) >= age).map(|(id, _)| *id))
            .collect()
    }

    pub(super) fn is_attached(&self, lease: Id) -> bool {
        self.sessions.values().any(|session| session.leases.contains_key(&lease))
    }

    /// The uuids of the sessions that have a stream here.
    pub(super) fn session_uuids(&self) -> Vec<String> {
        self.sessions.values().map(|session| session.uuid.clone()).collect()
    }

    pub(super) fn expect_backlog(&mut self, cluster: i64) {
        self.backlog.insert(cluster);
    }

    pub(super) fn no_backlog(&mut self, cluster: i64) {
        self.backlog.remove(&cluster);
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_pattern_covers_what_its_parts_say() {
        let pattern = "kubernetes.{resource}.{verb}.{version+}";
        for (command, covered) in [
            ("kubernetes.pods.get.v1", true),
            ("kubernetes.ingresses.get.networking.k8s.io/v1", true),
            ("kubernetes.pods.get", false),
            ("helm.pods.get.v1", false),
        ] {
            assert_eq!(matches(pattern, command), covered, "{command}");
        }
        assert!(matches("helloworld", "helloworld"));
        assert!(!matches("helloworld", "helloworld.x"));
    }
}
