//! Connections between agents and replicas.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use claiflow_agent::link::{Broken, Incoming, Transport};
use claiflow_proto::agent::v1::AgentMessage;
use claiflow_server::grpc::converse;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::{
    carry::{Carrier, Way},
    chance::Chance,
    power::Power,
    world::World,
};

/// Messages that a direction holds.
const MESSAGES: usize = 2;
/// Longer than any history.
const FOR_EVER: Duration = Duration::from_secs(100_000);

pub(crate) struct Net {
    state: Mutex<State>,
    chance: Chance,
}

#[derive(Default)]
struct State {
    lines: Vec<Line>,
    /// Agent and replica that do not reach each other, until then.
    apart: BTreeMap<(usize, usize), Instant>,
}

/// One connection.
#[derive(Clone)]
pub(crate) struct Line {
    agent: usize,
    replica: usize,
    pub(crate) up: Way,
    pub(crate) down: Way,
    pub(crate) cut: CancellationToken,
}

impl Line {
    /// Both ends go on without a word: no side hears that the other is gone.
    fn fall_silent(&self) {
        let until = Instant::now() + FOR_EVER;
        self.up.silent_until(until);
        self.down.silent_until(until);
    }
}

impl Net {
    pub(crate) fn new(chance: &Chance) -> Self {
        Self { state: Mutex::default(), chance: chance.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, agent: usize, replica: usize) -> Option<Line> {
        let mut state = self.lock();
        if state.apart.get(&(agent, replica)).is_some_and(|until| Instant::now() < *until) {
            return None;
        }
        let (up, down, cut) = (Way::default(), Way::default(), CancellationToken::new());
        let line = Line { agent, replica, up, down, cut };
        state.lines.retain(|line| !line.cut.is_cancelled());
        state.lines.push(line.clone());
        Some(line)
    }

    /// A connection that stands.
    pub(crate) fn any_line(&self) -> Option<Line> {
        let mut state = self.lock();
        state.lines.retain(|line| !line.cut.is_cancelled());
        self.chance.pick(&state.lines).cloned()
    }

    /// An agent and a replica lose each other until then.
    pub(crate) fn part(&self, agent: usize, replica: usize, until: Instant) {
        let mut state = self.lock();
        state.apart.insert((agent, replica), until);
        let between = |line: &&Line| line.agent == agent && line.replica == replica;
        state.lines.iter().filter(between).for_each(Line::fall_silent);
    }

    pub(crate) fn agent_died(&self, agent: usize, silently: bool) {
        self.died(|line| line.agent == agent, silently);
    }

    pub(crate) fn replica_died(&self, replica: usize, silently: bool) {
        self.died(|line| line.replica == replica, silently);
    }

    fn died(&self, of: impl Fn(&Line) -> bool, silently: bool) {
        for line in self.lock().lines.iter().filter(|line| of(line)) {
            if silently {
                line.fall_silent();
            } else {
                line.cut.cancel();
            }
        }
    }

    pub(crate) fn mend(&self) {
        let mut state = self.lock();
        state.apart.clear();
        for line in &state.lines {
            line.up.mend();
            line.down.mend();
        }
    }
}

/// How one process of an agent reaches the servers: each time another one, perhaps.
pub(crate) struct Dial {
    pub(crate) agent: usize,
    pub(crate) cluster: i64,
    pub(crate) power: Power,
    pub(crate) world: Arc<World>,
}

#[async_trait::async_trait]
impl Transport for Dial {
    fn peer(&self) -> &str {
        "simulated"
    }

    async fn open(&self, outgoing: mpsc::Receiver<AgentMessage>) -> Result<Incoming, Broken> {
        let (world, chance) = (&self.world, &self.world.chance);
        sleep(chance.millis(1, 40)).await;
        self.power.pass().await;
        let number = chance.below(world.setup.replicas);
        let away = || Broken::Other("the server is not there".to_owned());
        let replica = world.replica(number).ok_or_else(away)?;
        let line = world.net.open(self.agent, number).ok_or_else(away)?;
        let session = format!("session-{:016x}", chance.next());
        world.trace.say(format_args!("agent {} dials replica {number} as {session}", self.agent));
        let (to_server, events) = mpsc::channel(MESSAGES);
        let (to_agent, incoming) = mpsc::channel(MESSAGES);
        let answers = converse(replica.dispatch.clone(), session, self.cluster, ReceiverStream::new(events));
        let carrier = |from: &Power, to: &Power, way: &Way| Carrier {
            from: from.clone(),
            to: to.clone(),
            way: way.clone(),
            cut: line.cut.clone(),
            chance: chance.clone(),
        };
        tokio::spawn(carrier(&self.power, &replica.power, &line.up).carry(outgoing, to_server, Ok));
        tokio::spawn(carrier(&replica.power, &self.power, &line.down).carry(answers, to_agent, |answer| answer));
        Ok(Box::pin(ReceiverStream::new(incoming)))
    }
}
