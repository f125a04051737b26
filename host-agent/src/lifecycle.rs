//! Start, serve, drain, stop: every question about the agent's life is answered here.

use std::{fs, io, io::IsTerminal as _, path::Path, process::ExitCode, sync::Arc, time::Duration};

use claiflow_flow_worker::Pool;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Agent, Arguments, Other},
    executor::{Executor, commands::Commands},
    health::Health,
    link::{Link, Refused},
    metrics::{Counted, Metrics},
    plugin::{self, Runtime, SystemClock},
};

/// Running tasks may take this long after the signal.
const GRACE: Duration = Duration::from_secs(25);

/// Everything from the command line to the exit code.
#[must_use]
pub fn main(arguments: Arguments) -> ExitCode {
    let level = if arguments.command.is_some() { "warn" } else { arguments.agent.loglevel.as_str() };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .with_writer(io::stderr)
        // Colours are for people: a file or a collector would keep their escapes.
        .with_ansi(io::stderr().is_terminal())
        .init();
    let outcome = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string());
    let outcome = outcome.and_then(|runtime| runtime.block_on(run(arguments)));
    outcome.unwrap_or_else(|error| {
        eprintln!("claiflow-agent: {error}");
        ExitCode::FAILURE
    })
}

async fn run(arguments: Arguments) -> Result<ExitCode, String> {
    let program =
        std::env::current_exe().map_err(|error| format!("the agent's own program cannot be found: {error}"))?;
    match arguments.command {
        Some(Other::Run(run)) => {
            let args = plugin::RunArgs {
                file: run.file,
                command: run.command,
                inputs: run.inputs,
                repeat: run.repeat,
                concurrency: run.concurrency,
                grants: run.grants,
                cache: run.cache,
            };
            Ok(plugin::run_once(args, program, Arc::new(SystemClock::new())).await)
        }
        None => serve(arguments.agent, program).await,
    }
}

async fn serve(agent: Agent, program: std::path::PathBuf) -> Result<ExitCode, String> {
    let needed = |name: &str, variable: &str| format!("--{name} is missing; give it, or set {variable}");
    let cluster = agent.clusteruuid.ok_or_else(|| needed("clusteruuid", "CLAIFLOW_CLUSTER_UUID"))?;
    let token = agent.token.ok_or_else(|| needed("token", "CLAIFLOW_TOKEN"))?;
    let (journal, _lock) = journal(&agent.state)
        .map_err(|error| format!("{}: the state directory cannot be used: {error}", agent.state.display()))?;
    let slots = usize::try_from(agent.slots).unwrap_or(16);
    let mut config = plugin::Config::new(agent.plugins, program.clone());
    config.grants = agent.grants;
    config.cache = Some(agent.cache.unwrap_or_else(|| agent.state.join("compiled")));
    config.slots = config.slots.max(slots);
    let runtime = Runtime::open(config, Arc::new(SystemClock::new())).map_err(|error| error.to_string())?;
    let metrics = Arc::new(Metrics::register().map_err(|error| format!("the metrics cannot be registered: {error}"))?);
    metrics.slots.set(i64::try_from(slots).unwrap_or(i64::MAX));
    let health = Health::new(Arc::clone(&metrics), runtime.inventory());
    if let Some(address) = agent.health {
        let bound = health.clone().listen(address).await.map_err(|error| format!("--health {address}: {error}"))?;
        tracing::info!(health.address = %bound, "answers for its health");
    }
    runtime.settled().await;
    health.settled();
    let commands = Counted::new(runtime, Arc::clone(&metrics));
    let executor = Arc::new(Executor::new(Arc::new(commands), Pool::new(program, 1)));

    let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
    tokio::spawn(signals(stop.clone(), kill.clone()));
    let link = Link { server: agent.server, cluster, token, journal, slots, executor, metrics };
    tokio::select! {
        outcome = link.run(stop, GRACE) => match outcome {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(Refused(message)) => Err(message),
        },
        () = kill.cancelled() => Ok(ExitCode::FAILURE),
    }
}

async fn signals(stop: CancellationToken, kill: CancellationToken) {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::error!("signals cannot be listened to");
        return;
    };
    for token in [stop, kill] {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        tracing::info!(grace_s = GRACE.as_secs(), "stopping; a second signal ends at once");
        token.cancel();
    }
}

/// The id of the journal in `state`, made once, and the lock that keeps a second agent from passing for this one.
fn journal(state: &Path) -> io::Result<([u8; 16], fs::File)> {
    fs::create_dir_all(state)?;
    let lock = fs::File::create(state.join("lock"))?;
    lock.try_lock().map_err(|error| match error {
        fs::TryLockError::WouldBlock => io::Error::other("another agent uses it; give each its own --state"),
        fs::TryLockError::Error(error) => error,
    })?;
    Ok((journal_id(state)?, lock))
}

fn journal_id(state: &Path) -> io::Result<[u8; 16]> {
    let file = state.join("journal-id");
    if let Ok(bytes) = fs::read(&file)
        && let Ok(id) = bytes.try_into()
    {
        return Ok(id);
    }
    let id: [u8; 16] = rand::random();
    let temporary = state.join("journal-id.part");
    fs::write(&temporary, id)?;
    fs::rename(&temporary, &file)?;
    Ok(id)
}
