//! Who is connected to this replica, what they can run, and which leases they hold. Pure bookkeeping: no I/O, no clock.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use crate::{
    model::{
        ids::Id,
        inventory::{Inventory, covers},
        lifecycle::{Event, next},
        state::State,
        task::{Lease, Snapshot, Task},
    },
    storage::Leased,
};

/// Offers to agents that went away, which are remembered to be no more than offers.
const AWAY: usize = 10_000;

/// What an agent says when its stream begins.
#[derive(Clone, Debug)]
pub struct Attach {
    /// The cluster's row.
    pub cluster: i64,
    /// The session's uuid.
    pub uuid: String,
    /// The agent's name, for people; empty where it has none.
    pub name: String,
    /// For people.
    pub version: String,
    /// One journal is one agent.
    pub journal: Id,
    /// The highest level of a flow that it runs.
    pub language_level: u32,
    /// What it serves.
    pub inventory: Inventory,
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
    Cancel { lease: Id },
    Pause { lease: Id, paused: bool },
    Drain { reason: &'static str, reconnect_ms: u64 },
    Close,
}

/// Which agent says something, and on which stream.
pub(super) struct Speaker {
    pub(super) cluster: i64,
    pub(super) journal: Id,
    /// The session's uuid.
    pub(super) session: String,
    pub(super) name: String,
    pub(super) version: String,
}

impl Speaker {
    pub(super) fn of(attach: &Attach) -> Self {
        Self {
            cluster: attach.cluster,
            journal: attach.journal,
            session: attach.uuid.clone(),
            name: attach.name.clone(),
            version: attach.version.clone(),
        }
    }
}

pub(super) struct Session {
    pub(super) cluster: i64,
    pub(super) uuid: String,
    pub(super) journal: Id,
    name: String,
    version: String,
    language_level: u32,
    /// Names and patterns.
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
    leases: BTreeMap<Id, Held>,
}

/// A lease, where its task stands and since when it stands there.
pub(super) struct Held {
    pub(super) lease: Arc<Lease>,
    /// Offered, running or unknown.
    pub(super) state: State,
    /// Steps of the task may be kept.
    pub(super) stepped: bool,
    /// Lines that its commands wrote.
    pub(super) lines: u32,
    since: Instant,
}

impl Held {
    /// One that the database knows: what happened under it before is not remembered here.
    fn stored(leased: Leased, since: Instant) -> Self {
        Self { lease: leased.lease, state: leased.state, stepped: true, lines: 0, since }
    }

    /// One that begins now. Steps of earlier attempts may be kept.
    fn offered(lease: Arc<Lease>, since: Instant) -> Self {
        let stepped = lease.task.epoch > 1;
        Self { lease, state: State::Offered, stepped, lines: 0, since }
    }
}

#[derive(Default)]
pub(super) struct Hub {
    sessions: BTreeMap<u64, Session>,
    next: u64,
    /// Offers that nobody had taken when their agent went away.
    away: HashSet<Id>,
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
        let serves = |command: &String| self.commands.iter().any(|name| covers(name, command));
        let runs = snapshot.language_level <= self.language_level && snapshot.commands.iter().all(serves);
        self.runs.insert(snapshot.id, runs);
        runs
    }

    /// What keeps the agent from running a flow, for a person.
    fn lacks(&self, snapshot: &Snapshot) -> Option<String> {
        if snapshot.language_level > self.language_level {
            return Some(format!("no agent runs flows of language level {}", snapshot.language_level));
        }
        let serves = |command: &String| self.commands.iter().any(|name| covers(name, command));
        let missing = snapshot.commands.iter().find(|command| !serves(command))?;
        Some(format!("no agent has {missing}"))
    }
}

impl Hub {
    /// Begins a session. An earlier one of the same agent ends at once: its stream finds itself unknown here.
    pub(super) fn attach(
        &mut self,
        attach: Attach,
        orders: mpsc::UnboundedSender<Order>,
        held: Vec<Leased>,
        now: Instant,
    ) -> u64 {
        self.next += 1;
        let leases = held.into_iter().map(|leased| (leased.lease.id, Held::stored(leased, now))).collect();
        let session = Session {
            cluster: attach.cluster,
            uuid: attach.uuid,
            journal: attach.journal,
            name: attach.name,
            version: attach.version,
            language_level: attach.language_level,
            commands: attach.inventory.commands.into_iter().map(|command| command.name).collect(),
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

    /// Ends the sessions of an agent, and says how many there were.
    pub(super) fn evict(&mut self, cluster: i64, journal: Id) -> usize {
        let same = |session: &Session| session.cluster == cluster && session.journal == journal;
        let numbers: Vec<u64> =
            self.sessions.iter().filter(|(_, session)| same(session)).map(|(number, _)| *number).collect();
        for number in &numbers {
            self.close(*number);
            self.detach(*number);
        }
        numbers.len()
    }

    /// The session, if it was still here: cluster, journal and uuid.
    pub(super) fn detach(&mut self, session: u64) -> Option<(i64, Id, String)> {
        let session = self.sessions.remove(&session)?;
        if self.away.len() < AWAY {
            let offered = session.leases.values().filter(|held| held.state == State::Offered);
            self.away.extend(offered.map(|held| held.lease.id));
        }
        Some((session.cluster, session.journal, session.uuid))
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
        // Stamps ascend, so a later word replaces an earlier one: an agent that drains takes its credit back.
        session.limit = limit;
        let _ = session.orders.send(Order::Seen { stamp });
        (session.free() > 0 && self.backlog.contains(&session.cluster)).then_some(session.cluster)
    }

    /// Other commands from now on; answers who says so.
    pub(super) fn inventory(&mut self, session: u64, commands: Vec<String>) -> Option<Speaker> {
        let session = self.sessions.get_mut(&session)?;
        session.commands = commands;
        session.runs.clear();
        self.backlog.insert(session.cluster);
        Some(Speaker {
            cluster: session.cluster,
            journal: session.journal,
            session: session.uuid.clone(),
            name: session.name.clone(),
            version: session.version.clone(),
        })
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

    /// Sends an offer after its commit. The agent may have gone meanwhile: then the offer has never left.
    ///
    /// # Errors
    /// The lease that is nobody's.
    pub(super) fn offer(&mut self, session: u64, lease: Arc<Lease>, now: Instant) -> Result<(), Arc<Lease>> {
        let Some(session) = self.sessions.get_mut(&session) else { return Err(lease) };
        session.offered += 1;
        let first = session.known.insert(lease.task.snapshot.id);
        let order = Order::Offer { number: session.offered, stamp: session.stamp, lease: Arc::clone(&lease), first };
        if session.orders.send(order).is_err() {
            return Err(lease);
        }
        session.leases.insert(lease.id, Held::offered(lease, now));
        Ok(())
    }

    /// Gives an order to whoever holds a lease here.
    pub(super) fn tell(&mut self, lease: Id, order: Order) {
        for session in self.sessions.values().filter(|session| session.leases.contains_key(&lease)) {
            // A stream that has ended is about to detach; its agent hears of it on the next one.
            let _ = session.orders.send(order.clone());
        }
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

    /// Tells all agents to finish what runs and to take nothing more.
    pub(super) fn drain(&mut self, reason: &'static str, reconnect_ms: u64) {
        for session in self.sessions.values_mut() {
            session.limit = 0;
            let _ = session.orders.send(Order::Drain { reason, reconnect_ms });
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
        self.away.remove(&lease);
        if let Some(session) = self.sessions.get_mut(&session) {
            session.leases.remove(&lease);
            let _ = session.orders.send(Order::Settled { lease, accepted });
        }
    }

    pub(super) fn agent_version(&self, cluster: i64) -> Option<String> {
        self.sessions.values().find(|session| session.cluster == cluster).map(|session| session.version.clone())
    }

    /// Why no agent here takes a task of the cluster; none where one could.
    pub(super) fn why_waiting(&mut self, cluster: i64, snapshot: &Snapshot) -> Option<String> {
        let mut lacking = None;
        for session in self.sessions.values_mut().filter(|session| session.cluster == cluster) {
            if session.can_run(snapshot) {
                return None;
            }
            lacking = session.lacks(snapshot);
        }
        lacking.or_else(|| Some("no agent of the cluster is connected".into()))
    }

    pub(super) fn is_connected(&self, cluster: i64) -> bool {
        self.sessions.values().any(|session| session.cluster == cluster)
    }

    /// Where a lease that its agent does not know stood when the agent went away, as far as it is remembered.
    pub(super) fn forget(&mut self, lease: Id) -> Option<State> {
        self.away.remove(&lease).then_some(State::Offered)
    }

    pub(super) fn is_held(&self, lease: Id) -> bool {
        self.sessions.values().any(|session| session.leases.contains_key(&lease))
    }

    /// Offers that nobody took in time.
    pub(super) fn unacked(&mut self, age: Duration, now: Instant) -> Vec<Held> {
        let late = |held: &Held| held.state == State::Offered && now.duration_since(held.since) >= age;
        let sessions = self.sessions.values_mut();
        sessions.flat_map(|session| session.leases.extract_if(.., |_, held| late(held)).map(|(_, held)| held)).collect()
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
