//! The plugins of an agent as one thing: implements [`Commands`].

use std::{
    collections::HashMap,
    sync::{Arc, mpsc},
    time::Duration,
};

use arc_swap::ArcSwap;
use chrono::DateTime;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::watch;
use wasmtime::component::Linker;

use crate::{
    executor::commands::{CallDone, CallFailed, CommandCall, Commands, Effect, Inventory, Server, Usage, Verified},
    grants::{Grants, kubernetes::Own},
};

use super::{
    authority::Authority,
    bindings::exports::claiflow::plugin::handler::Call,
    cache::Cache,
    call::{Errand, Order, Sandbox},
    caller::{Caller, NoWrites, Power, Surroundings},
    clock::Clock,
    config::Config,
    engine::{self, RESERVED_SLOTS, Ticker},
    gate::Gates,
    host,
    loader::Loader,
    outcome::Failed,
    own_agent::OwnAgent,
    registry::{Captures, Registry, Served},
    reload::{Published, Reloader, Wake},
    verdict::verified,
};

/// Changes that may wait to be looked at; each stands for all.
const WAKES_MAX: usize = 4;

/// Everything behind the commands of an agent.
pub struct Runtime {
    sandbox: Arc<Sandbox>,
    surroundings: Arc<Surroundings>,
    registry: Arc<ArcSwap<Registry>>,
    inventory: watch::Receiver<Arc<Inventory>>,
    grants: watch::Receiver<Arc<Grants>>,
    rounds: watch::Receiver<u64>,
    wake: Arc<mpsc::SyncSender<Wake>>,
}

/// Why there is no runtime.
#[derive(Debug, thiserror::Error)]
#[error("the plugin runtime cannot start: {0}")]
pub struct OpenError(String);

impl Runtime {
    /// Starts loading what is there, in a thread of its own; returns at once. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`] when the machine cannot run wasm at all; bad plugins, grants or cache directories are no such case.
    pub fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Arc<Self>, OpenError> {
        let loader = loader(&config, clock.clone())?;
        let (sandbox, surroundings) = (loader.sandbox.clone(), loader.surroundings.clone());
        let registry = Arc::new(ArcSwap::from_pointee(Registry::default()));
        let (inventory_sender, inventory) = watch::channel(Arc::default());
        let (rounds_sender, rounds) = watch::channel(0);
        let (grants_sender, grants) = watch::channel(Arc::default());
        let published = Published {
            registry: registry.clone(),
            inventory: inventory_sender,
            grants: grants_sender,
            rounds: rounds_sender,
        };
        let gates = Gates::new(config.slots, RESERVED_SLOTS);
        let reloader = Reloader::new(config, loader, clock, published, gates);
        let (wake, woken) = mpsc::sync_channel(WAKES_MAX);
        let announce = wake.clone();
        let wake = Arc::new(wake);
        surroundings.agent.serves(inventory.clone(), &wake);
        // The thread also waits for compile workers, which end with it: it must not be one that a pool may retire.
        std::thread::Builder::new()
            .name("plugins".into())
            .spawn(move || reloader.run(&woken, &announce))
            .map_err(|error| OpenError(format!("no thread: {error}")))?;
        Ok(Arc::new(Self { sandbox, surroundings, registry, inventory, grants, rounds, wake }))
    }

    /// What is granted; the receiver changes with the grants file.
    pub fn grants(&self) -> watch::Receiver<Arc<Grants>> {
        self.grants.clone()
    }

    /// Says anew which objects of the cluster are the agent's own.
    pub fn own(&self, own: Own) {
        self.surroundings.authority.own(own);
    }

    /// Waits until everything that was there at the start is loaded or refused.
    pub async fn settled(&self) {
        // An error means that the thread is gone, and then nothing more will change.
        let _ = self.rounds.clone().wait_for(|rounds| *rounds > 0).await;
    }

    /// One call from the registry to the sandbox's answer, as JSON text, and what it used.
    async fn perform(&self, call: CommandCall, errand: Asked) -> (Result<String, Failed>, Usage) {
        let unused = |failed| (Err(failed), Usage::default());
        let (served, captures) = match self.find(&call.command) {
            Ok(found) => found,
            Err(failed) => return unused(failed),
        };
        if let Err(failed) = checked(&served, &call) {
            return unused(failed);
        }
        let stopped = || unused(Failed::new("stopped", "stopped before it began"));
        if call.stop.is_cancelled() {
            return stopped();
        }
        let asked = self.sandbox.clock.monotonic();
        let entered = tokio::select! {
            biased;
            entered = served.gate.enter() => entered,
            () = call.stop.cancelled() => return stopped(),
            () = tokio::time::sleep(call.remaining) => {
                return unused(Failed::new("timeout", "the run's time was over before a sandbox was free"));
            }
        };
        let remaining = call.remaining.saturating_sub(self.sandbox.clock.monotonic().saturating_sub(asked));
        let context = match self.context(&served, &captures, &call, remaining.min(served.limits.wall)) {
            Ok(context) => context,
            Err(failed) => return unused(failed),
        };
        let order = Order {
            guest: &served.plugin.guest,
            caller: Caller::of(&served.plugin, errand.power(call.effect), &call.task, &self.surroundings),
            errand: errand.errand(Call { command: call.command, inputs: call.inputs, context }),
            limits: &served.limits,
            remaining,
            sink: call.sink,
            notes: call.notes.len(),
            stop: call.stop,
        };
        let made = self.sandbox.make(order).await;
        drop(entered);
        made
    }

    fn find(&self, command: &str) -> Result<(Arc<Served>, Captures), Failed> {
        let registry = self.registry.load();
        registry.find(command).ok_or_else(|| {
            let name = host::lines::clean(command, 256);
            let message = match registry.why_not(command) {
                Some(reason) => format!("no plugin serves `{name}`: {reason}"),
                None => format!("no plugin serves `{name}`"),
            };
            Failed::new("not-found", message)
        })
    }

    fn context(
        &self,
        served: &Served,
        captures: &[(String, String)],
        call: &CommandCall,
        left: Duration,
    ) -> Result<String, Failed> {
        let end = i64::try_from((self.sandbox.clock.unix() + left).as_millis()).unwrap_or(i64::MAX);
        let deadline = DateTime::from_timestamp_millis(end).unwrap_or(DateTime::<chrono::Utc>::MAX_UTC);
        let notes = call.notes.iter().map(|note| serde_json::from_str(note)).collect::<Result<_, _>>();
        let context = Context {
            task: &call.task,
            step: &call.step,
            attempt: call.attempt,
            effect_key: &call.effect_key,
            deadline: deadline.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            captures: captures.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
            config: &served.config,
            notes: notes
                .map_err(|error| Failed::new("failed", format!("a note that was kept is not JSON: {error}")))?,
            traceparent: &call.traceparent,
        };
        serde_json::to_string(&context)
            .map_err(|error| Failed::new("failed", format!("no context could be made: {error}")))
    }
}

/// What is asked of a plugin.
#[derive(Clone, Copy)]
enum Asked {
    Run,
    Verify,
}

impl Asked {
    fn errand(self, call: Call) -> Errand {
        match self {
            Self::Run => Errand::Run(call),
            Self::Verify => Errand::Verify(call),
        }
    }

    fn power(self, effect: Effect) -> Power {
        match (self, effect) {
            (Self::Verify, _) => Power::Read(NoWrites::Verify),
            (Self::Run, Effect::Read) => Power::Read(NoWrites::DeclaredRead),
            (Self::Run, _) => Power::Write,
        }
    }
}

/// What makes plugins of files. Call it inside a tokio runtime.
///
/// # Errors
/// [`OpenError`] when the machine cannot run wasm at all.
pub(super) fn loader(config: &Config, clock: Arc<dyn Clock>) -> Result<Loader, OpenError> {
    let failed = |error: wasmtime::Error| OpenError(format!("{error:#}"));
    let (engine, no_pool) = engine::open(config.slots).map_err(failed)?;
    if let Some(error) = no_pool {
        tracing::warn!("sandboxes are allocated one by one, which is slower: the pool's reservation failed: {error:#}");
    }
    let mut linker = Linker::new(&engine);
    host::link(&mut linker).map_err(failed)?;
    let thread = |error: std::io::Error| OpenError(format!("no thread: {error}"));
    let ticker = Ticker::start(&engine).map_err(thread)?;
    let cache = config.cache.as_deref().and_then(|directory| {
        let opened = Cache::open(directory, &engine);
        opened.inspect_err(|error| tracing::warn!("plugins are compiled at each start: {error}")).ok()
    });
    let surroundings = Surroundings {
        authority: Authority::new(config.own.clone()),
        cluster: config.cluster.clone(),
        http: config.http.clone(),
        credentials: config.credentials.clone(),
        processes: config.processes.clone(),
        host_calls: config.host_calls.clone(),
        agent: OwnAgent::new(config.identity.clone(), config.control.clone()),
    };
    Ok(Loader {
        surroundings: Arc::new(surroundings),
        sandbox: Arc::new(Sandbox { engine, ticker, clock, stop_grace: config.stop_grace }),
        linker,
        cache,
        worker: config.worker.clone(),
        limits: config.limits,
        runtime: tokio::runtime::Handle::current(),
        failed: HashMap::new(),
    })
}

/// Whether the inputs are an object that the command's schema allows.
fn checked(served: &Served, call: &CommandCall) -> Result<(), Failed> {
    let object: serde_json::Value = serde_json::from_str(&call.inputs)
        .map_err(|error| Failed::new("invalid", format!("the inputs are not JSON: {error}")))?;
    if !object.is_object() {
        return Err(Failed::new("invalid", "the inputs are not a JSON object"));
    }
    let Some(schema) = served.command().and_then(|command| command.inputs.as_ref()) else { return Ok(()) };
    schema
        .check(&object)
        .map_err(|mistakes| Failed::new("invalid", format!("the inputs of `{}` are refused: {mistakes}", call.command)))
}

/// `context` of `handler.wit`.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Context<'a> {
    task: &'a str,
    step: &'a str,
    attempt: u32,
    effect_key: &'a str,
    deadline: String,
    captures: std::collections::BTreeMap<&'a str, &'a str>,
    config: &'a RawValue,
    notes: Vec<&'a RawValue>,
    traceparent: &'a str,
}

#[async_trait::async_trait]
impl Commands for Runtime {
    fn server_of(&self, command: &str) -> Option<Server> {
        let (served, _) = self.registry.load().find(command)?;
        let declared = served.command()?;
        Some(Server {
            plugin: served.plugin.name.clone(),
            declared_as: declared.name.clone(),
            digest: served.plugin.digest,
            effect: declared.effect.clone(),
            floor: served.floor,
        })
    }

    async fn call(&self, call: CommandCall) -> Result<CallDone, CallFailed> {
        let (made, usage) = self.perform(call, Asked::Run).await;
        match made {
            Ok(output) => Ok(CallDone { output, usage }),
            Err(failed) => Err(failed.with(usage)),
        }
    }

    async fn verify(&self, call: CommandCall) -> Verified {
        let (made, usage) = self.perform(call, Asked::Verify).await;
        verified(made, usage)
    }

    fn inventory(&self) -> watch::Receiver<Arc<Inventory>> {
        self.inventory.clone()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // A full queue wakes the thread too; it then finds that nobody can send any more.
        let _ = self.wake.try_send(Wake::Stop);
    }
}
