//! Start, serve, drain, stop: every question about the agent's life is answered here.

mod cluster;
mod credentials;
mod plugins;
mod precompile;
mod processes;

use std::{error::Error, process::ExitCode, sync::Arc, time::Duration};

use claiflow_flow_worker::Pool;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{self, Agent, Arguments, Other},
    control::Control,
    executor::{Executor, commands::Commands},
    health::Health,
    journal::{Directory, Journal},
    link::{Ambient, Fallback, Grpc, Link, Poll, Refused, Server, Transport},
    metrics::{Counted, Metrics},
    plugin::{self, SystemClock},
    telemetry::{self, Telemetry, Traced},
    tools::Tool,
};

/// Running tasks may take this long after the signal.
const GRACE: Duration = Duration::from_secs(25);

/// Everything from the command line to the exit code.
#[must_use]
pub fn main(arguments: Arguments) -> ExitCode {
    let level = if arguments.command.is_some() { "warn" } else { arguments.agent.loglevel.as_str() };
    // kube would say of a request what it asks for, a command in a container with all its words: each failure is answered to
    // whoever asked.
    let filter = format!("{level},kube_client=off,kube_core=off");
    let outcome = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string());
    let outcome = outcome.and_then(|runtime| runtime.block_on(told(arguments, filter)));
    outcome.unwrap_or_else(|error| {
        eprintln!("claiflow-agent: {error}");
        ExitCode::FAILURE
    })
}

/// Runs, with log lines and, where an agent serves, with traces.
async fn told(arguments: Arguments, filter: String) -> Result<ExitCode, String> {
    let metrics = Arc::new(Metrics::register().map_err(|error| format!("the metrics cannot be registered: {error}"))?);
    let (agent, serves) = (&arguments.agent, arguments.command.is_none());
    let otlp = if serves { agent.telemetry.otlp(|name| std::env::var(name).ok())? } else { None };
    let format = agent.telemetry.log_format;
    let settings = telemetry::Settings { filter, format, otlp, cluster: agent.clusteruuid.clone() };
    let telemetry =
        Telemetry::start(&settings, metrics.spans()).map_err(|error| format!("--otlp-endpoint: {error}"))?;
    let outcome = run(arguments, metrics).await;
    telemetry.close().await;
    outcome
}

async fn run(arguments: Arguments, metrics: Arc<Metrics>) -> Result<ExitCode, String> {
    let program =
        std::env::current_exe().map_err(|error| format!("the agent's own program cannot be found: {error}"))?;
    match arguments.command {
        Some(Other::Run(run)) => Ok(Tool::Run(run).start(program).await),
        Some(Other::Bench(bench)) => Ok(Tool::Bench(bench).start(program).await),
        Some(Other::Compat(compat)) => Ok(Tool::Compat(compat).start(program).await),
        Some(Other::SuggestGrants(suggest)) => Ok(Tool::SuggestGrants(suggest).start(program).await),
        Some(Other::Inspect(inspect)) => {
            let args = plugin::InspectArgs {
                file: inspect.file,
                grants: inspect.grants,
                cache: inspect.cache,
                rbac: inspect.rbac,
                json: inspect.json,
                namespace: inspect.namespace,
                account: inspect.agent_account,
            };
            Ok(plugin::inspect(args, program, Arc::new(SystemClock::new())).await)
        }
        Some(Other::Credential(config::Credential::Rekey(rekey))) => credentials::rekey(&rekey),
        None if arguments.agent.precompile => precompile::run(&arguments.agent, program).await,
        None => serve(arguments.agent, program, metrics).await,
    }
}

async fn serve(agent: Agent, program: std::path::PathBuf, metrics: Arc<Metrics>) -> Result<ExitCode, String> {
    let needed = |name: &str, variable: &str| format!("--{name} is missing; give it, or set {variable}");
    let cluster = agent.clusteruuid.clone().ok_or_else(|| needed("clusteruuid", "CLAIFLOW_CLUSTER_UUID"))?;
    let token = agent.token.clone().ok_or_else(|| needed("token", "CLAIFLOW_TOKEN"))?;
    let server = Server::with_trust(agent.server.clone(), cluster, token, agent.tls.clone().into())
        .map_err(|Refused(message)| message)?;
    if server.is_in_the_clear() {
        tracing::warn!(
            server = agent.server,
            "the token goes in the clear over the network; https:// and --tls-ca help"
        );
    }
    let state = agent.state.display().to_string();
    let unusable = |error: &dyn Error| format!("{state}: the state directory cannot be used: {}", chain(error));
    let directory = Directory::open(&agent.state).map_err(|error| unusable(&error))?;
    let journal = Journal::open(Arc::new(directory.disk()), metrics.journal_writable.clone())
        .await
        .map_err(|error| unusable(&error))?;
    let slots = usize::try_from(agent.slots).unwrap_or(16);
    let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
    let (control, orders) = Control::new(stop.clone());
    let runtime = plugins::open(&agent, program.clone(), slots, &metrics, control).await?;
    metrics.slots.set(i64::try_from(slots).unwrap_or(i64::MAX));
    let health = Health::new(Arc::clone(&metrics), runtime.inventory());
    if let Some(address) = agent.health {
        let bound = health.clone().listen(address).await.map_err(|error| format!("--health {address}: {error}"))?;
        tracing::info!(health.address = %bound, "answers for its health");
    }
    runtime.settled().await;
    health.settled();
    let commands = Counted::new(runtime, Arc::clone(&metrics));
    let commands = Traced::new(Arc::new(commands));
    let executor = Arc::new(Executor::new(Arc::new(commands), Pool::new(program, 1)));

    tokio::spawn(signals(stop.clone(), kill.clone()));
    let link = Link {
        transport: transport(agent.transport, server),
        journal_id: directory.id(),
        journal,
        slots,
        executor,
        metrics,
        ambient: Arc::new(Ambient::of_the_system()),
        orders,
    };
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

fn transport(chosen: config::Transport, server: Server) -> Arc<dyn Transport> {
    match chosen {
        config::Transport::Auto => Arc::new(Fallback::new(Grpc::new(server.clone()), Poll::new(server))),
        config::Transport::Stream => Arc::new(Grpc::new(server)),
        config::Transport::Poll => Arc::new(Poll::new(server)),
    }
}

/// An error with what caused it.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
