//! Where a case plays: servers, agents and a database on loopback, with a line between any two of them.

use std::{
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use super::{
    agent::Agent,
    board::Board,
    dice::Dice,
    disk::Disk,
    effects::{Mark, marks},
    interrupted,
    line::Line,
    load::{self, EVERY, Load},
    rest::Caller,
    server::{Engine, Server},
    watch,
};
use crate::cluster_of_two::{Built, CLUSTER, TOKEN};

/// Whatever a case waits for comes within this time, or it fails.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(20);

/// One case's world. Its processes end with it.
pub(super) struct Stage<'a> {
    pub(super) built: &'a Built,
    pub(super) home: PathBuf,
    pub(super) dice: Dice,
    pub(super) engine: Engine<'a>,
    pub(super) servers: Vec<Server>,
    pub(super) agents: Vec<Agent>,
    pub(super) board: Arc<Board>,
    /// Under the database, where the case needs one that can be full.
    pub(super) disk: Option<Disk>,
    threads: Vec<JoinHandle<()>>,
    /// When what the case disturbed was put right.
    pub(super) healed: Option<Instant>,
}

impl<'a> Stage<'a> {
    /// One server that knows the cluster and the templates, and is watched; no agent.
    pub(super) fn open(
        built: &'a Built,
        home: PathBuf,
        engine: Engine<'a>,
        disk: Option<Disk>,
        dice: Dice,
    ) -> Result<Self> {
        let mut stage = Self {
            built,
            home,
            dice,
            engine,
            servers: Vec::new(),
            agents: Vec::new(),
            board: Arc::new(Board::new()),
            disk,
            threads: Vec::new(),
            healed: None,
        };
        stage.engine.prepare()?;
        stage.server()?;
        stage.cluster(CLUSTER, TOKEN)?;
        for flow in EVERY {
            stage.caller().store("/api/v1/template", &load::template(*flow))?;
        }
        Ok(stage)
    }

    /// Starts one more server on the same database, and watches it; its number.
    pub(super) fn server(&mut self) -> Result<usize> {
        let number = self.servers.len();
        let mut server = Server::new(number, &self.home, &self.engine)?;
        server.start(self.built, &[])?;
        self.threads.push(watch::start(number, server.caller.clone(), &self.board)?);
        self.servers.push(server);
        self.ready(number)?;
        Ok(number)
    }

    /// Waits until a server is ready.
    pub(super) fn ready(&self, number: usize) -> Result<()> {
        let server = self.servers.get(number).context("no such server")?;
        self.wait("the server is ready", || Ok(matches!(server.caller.get("/readyz"), Ok((200, _)))))
    }

    /// Waits until a server says that it is not ready, and why.
    pub(super) fn not_ready(&self, number: usize, why: &str) -> Result<()> {
        let server = self.servers.get(number).context("no such server")?;
        self.wait("the server says why it is not ready", || {
            Ok(matches!(server.caller.get("/readyz"), Ok((503, said)) if said.to_string().contains(why)))
        })
    }

    /// Whether the database is one that several servers can share, with a clock of its own.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.engine, Engine::Maria { .. })
    }

    /// Kills a server and starts it again, after `away`.
    pub(super) fn restart_server(&mut self, number: usize, away: Duration) -> Result<()> {
        self.server_mut(number)?.kill()?;
        self.sleep(away)?;
        let built = self.built;
        self.server_mut(number)?.start(built, &[])?;
        self.ready(number)
    }

    pub(super) fn server_mut(&mut self, number: usize) -> Result<&mut Server> {
        self.servers.get_mut(number).context("no such server")
    }

    /// The first server, as people call it.
    pub(super) fn caller(&self) -> Caller {
        self.servers.first().map_or_else(|| Caller::new(0), |server| server.caller.clone())
    }

    /// Declares a cluster with its token.
    pub(super) fn cluster(&self, uuid: &str, token: &str) -> Result<()> {
        let caller = self.caller();
        caller.store("/api/v1/cluster", &json!({"uuid": uuid, "name": uuid}))?;
        caller.store("/api/v1/cluster_token", &json!({"name": "faults", "cluster_uuid": uuid, "token": token}))?;
        Ok(())
    }

    /// Starts an agent of the first cluster at the first server, and waits until it is connected; its number.
    pub(super) fn agent(&mut self) -> Result<usize> {
        self.agent_of(CLUSTER, TOKEN, 0, &[])
    }

    /// Starts an agent of a cluster at a server, with more variables, and waits until it is connected; its number.
    pub(super) fn agent_of(
        &mut self,
        cluster: &str,
        token: &str,
        server: usize,
        variables: &[(&str, String)],
    ) -> Result<usize> {
        let number = self.agents.len();
        let grpc = self.servers.get(server).context("no such server")?.grpc;
        let agent = Agent::start(self.built, &self.home, number, Line::to(grpc)?, cluster, token, variables)?;
        self.agents.push(agent);
        self.connected(number, 1)?;
        Ok(number)
    }

    /// Waits until an agent has been connected so many times.
    pub(super) fn connected(&self, agent: usize, times: usize) -> Result<()> {
        let agent = self.agents.get(agent).context("no such agent")?;
        self.wait("the agent is connected", || Ok(agent.connections() >= times)).with_context(|| agent.last_words())
    }

    pub(super) fn agent_mut(&mut self, number: usize) -> Result<&mut Agent> {
        self.agents.get_mut(number).context("no such agent")
    }

    /// Kills an agent and starts it again with the same state directory; waits until it is connected.
    pub(super) fn restart_agent(&mut self, number: usize) -> Result<()> {
        let before = self.agent_mut(number)?.connections();
        self.agent_mut(number)?.kill()?;
        let built = self.built;
        self.agent_mut(number)?.start_again(built)?;
        self.connected(number, before + 1)
    }

    /// Begins to post tasks.
    pub(super) fn post(&mut self, load: &Load) -> Result<()> {
        let servers: Vec<Caller> = self.servers.iter().map(|server| server.caller.clone()).collect();
        self.threads.extend(load::start(load, &mut self.dice, &servers, &self.board)?);
        Ok(())
    }

    /// The effect log of all agents.
    pub(super) fn marks(&self) -> Vec<Mark> {
        self.agents.iter().flat_map(|agent| marks(&agent.name, &agent.said())).collect()
    }

    /// Waits until the effect log shows what is wanted.
    pub(super) fn effects(&self, what: &str, wanted: impl Fn(&[Mark]) -> bool) -> Result<()> {
        self.wait(what, || Ok(wanted(&self.marks())))
    }

    /// Waits until so many tasks have ended.
    pub(super) fn ends(&self, count: usize) -> Result<()> {
        self.wait("tasks end", || Ok(self.board.ends() >= count))
    }

    /// What the case disturbed is right again: from here on the time to recover counts.
    pub(super) fn heal(&mut self) {
        self.healed = Some(Instant::now());
    }

    /// Waits until something holds, or says what did not.
    pub(super) fn wait(&self, what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !holds()? {
            ensure!(
                Instant::now() < deadline,
                "{what}: not within {} s; open tasks: {:?}",
                PATIENCE.as_secs(),
                self.board.open(&[])
            );
            self.sleep(LOOK)?;
        }
        Ok(())
    }

    /// Lets time pass, unless somebody wants to leave.
    pub(super) fn sleep(&self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        loop {
            if interrupted() {
                bail!("interrupted");
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(Duration::from_millis(100)));
        }
    }

    /// Reports that the servers refused as stale; 0 for one that is away.
    pub(super) fn stale_refused(&self) -> u64 {
        self.servers.iter().map(|server| server.caller.counter("claiflow_stale_reports_total")).sum()
    }

    /// Looks at every task once more, at every server that is there, and ends all threads.
    pub(super) fn close(&mut self) -> Result<()> {
        for server in self.servers.iter().filter(|server| server.is_there()) {
            watch::once(server.number, &server.caller, &self.board)?;
        }
        self.end_threads();
        Ok(())
    }

    fn end_threads(&mut self) {
        self.board.end();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                eprintln!("a thread of the case panicked");
            }
        }
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        self.end_threads();
    }
}
