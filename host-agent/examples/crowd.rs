//! Many agents in one process, for benchmarks: each with its own connection, journal id and cluster, and one command that
//! costs nothing. `cargo xtask bench delivery` starts it.

#![allow(clippy::print_stdout, reason = "a program")]

use std::{io, sync::Arc, time::Duration};

use claiflow_agent::{
    control::Orders,
    executor::{
        Executor,
        commands::{
            CallDone, CallFailed, CommandCall, CommandEntry, Commands, Declared, Effect, Inventory, Server, Usage,
            Verified,
        },
    },
    journal::{Disk, Journal},
    link::{self, Ambient, Grpc, Link},
    metrics::Metrics,
};
use claiflow_flow_worker::Pool;
use clap::Parser;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Connects many agents to a server and keeps them until it is ended.
#[derive(Parser)]
struct Arguments {
    /// host:port.
    #[arg(long)]
    server: String,
    /// How many.
    #[arg(long, default_value_t = 1_000)]
    agents: u32,
    /// The first agent's cluster: its uuid is this number; the next agent's is one greater.
    #[arg(long, default_value_t = 1)]
    first: u32,
    /// All of them speak for the first cluster.
    #[arg(long)]
    together: bool,
    /// The clusters' token.
    #[arg(long)]
    token: String,
    /// Tasks at once, of each.
    #[arg(long, default_value_t = 16)]
    slots: usize,
}

/// One command, `helloworld`, which answers at once.
struct Greeter(watch::Sender<Arc<Inventory>>);

impl Greeter {
    fn new() -> Self {
        let command = CommandEntry {
            name: "helloworld".into(),
            pattern: false,
            plugin: "greeter".into(),
            summary: String::new(),
            inputs_schema: String::new(),
            outputs_schema: String::new(),
            effect: "read".into(),
        };
        Self(watch::Sender::new(Arc::new(Inventory { commands: vec![command], plugins: vec![] })))
    }
}

#[async_trait::async_trait]
impl Commands for Greeter {
    fn server_of(&self, command: &str) -> Option<Server> {
        (command == "helloworld").then(|| Server {
            plugin: "greeter".into(),
            declared_as: "helloworld".into(),
            digest: [0; 32],
            effect: Declared::Class(Effect::Read),
            floor: Effect::Read,
        })
    }

    async fn call(&self, _: CommandCall) -> Result<CallDone, CallFailed> {
        Ok(CallDone { output: "\"hello world\"".into(), usage: Usage::default() })
    }

    async fn verify(&self, _: CommandCall) -> Verified {
        Verified::NotDone
    }

    fn inventory(&self) -> watch::Receiver<Arc<Inventory>> {
        self.0.subscribe()
    }
}

/// A disk that keeps nothing: no agent of a crowd starts again.
struct Nowhere;

#[async_trait::async_trait]
impl Disk for Nowhere {
    async fn read(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    async fn append(&self, _: Vec<u8>) -> io::Result<()> {
        Ok(())
    }

    async fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    async fn replace(&self, _: Vec<u8>) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR).with_writer(io::stderr).init();
    let arguments = Arguments::parse();
    let metrics = Arc::new(Metrics::register()?);
    let program = std::env::current_exe()?;
    let commands: Arc<dyn Commands> = Arc::new(Greeter::new());
    let stop = CancellationToken::new();
    let mut agents = tokio::task::JoinSet::new();
    for number in 0..arguments.agents {
        let cluster = if arguments.together { arguments.first } else { arguments.first + number };
        let server = link::Server::new(arguments.server.clone(), format!("{cluster:032x}"), arguments.token.clone())
            .map_err(|refused| refused.0)?;
        let link = Link {
            transport: Arc::new(Grpc::new(server)),
            journal_id: rand::random(),
            journal: Journal::open(Arc::new(Nowhere), metrics.journal_writable.clone()).await?,
            slots: arguments.slots,
            executor: Arc::new(Executor::new(Arc::clone(&commands), Pool::new(program.clone(), 1))),
            metrics: Arc::clone(&metrics),
            ambient: Arc::new(Ambient::of_the_system()),
            orders: Orders::none(),
        };
        agents.spawn(link.run(stop.clone(), Duration::ZERO));
        // A listener has a queue of its own; a crowd that comes at once would overrun it.
        if number % 50 == 49 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    while let Some(ended) = agents.join_next().await {
        if let Err(refused) = ended? {
            return Err(refused.0.into());
        }
    }
    Ok(())
}
