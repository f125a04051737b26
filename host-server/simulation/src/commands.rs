//! Commands of every effect class. A call takes simulated time, takes effect somewhere on the way, and fails now and then; what
//! it did stands in the effect log, which `verify` asks.

use std::sync::Arc;

use claiflow_agent::executor::commands::{
    Applied, CallDone, CallFailed, CommandCall, CommandEntry, Commands, Declared, Effect, Inventory, Server, Usage,
    Verified,
};
use claiflow_server::model::ids::{Id, unhex};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    effects::{Answer, output},
    power::Power,
    world::World,
};

/// Each command's name says its class.
pub(crate) const NAMES: [(&str, Effect); 4] = [
    ("sim.read", Effect::Read),
    ("sim.idempotent", Effect::Idempotent),
    ("sim.verify", Effect::Verify),
    ("sim.never", Effect::Never),
];

/// What one process of an agent serves.
pub(crate) struct Served {
    pub(crate) agent: usize,
    pub(crate) journal: Id,
    pub(crate) power: Power,
    pub(crate) world: Arc<World>,
    pub(crate) inventory: watch::Sender<Arc<Inventory>>,
}

/// All of them, as an inventory.
pub(crate) fn inventory() -> watch::Sender<Arc<Inventory>> {
    let commands = NAMES.map(|(name, effect)| CommandEntry {
        name: name.to_owned(),
        pattern: false,
        plugin: "sim".to_owned(),
        summary: String::new(),
        inputs_schema: String::new(),
        outputs_schema: String::new(),
        effect: effect.to_string(),
    });
    watch::Sender::new(Arc::new(Inventory { commands: commands.into(), plugins: Vec::new() }))
}

/// How a call fails.
enum Fate {
    Done,
    Refused,
    /// Nobody knows whether it took effect: it did, or not.
    Cut(bool),
}

impl Served {
    fn fate(&self) -> Fate {
        if self.world.is_calm() {
            return Fate::Done;
        }
        match self.world.chance.below(60) {
            0 => Fate::Refused,
            1 => Fate::Cut(true),
            2 => Fate::Cut(false),
            _ => Fate::Done,
        }
    }

    /// Works for a while, as far as nobody asks the call to stop. False: somebody did.
    async fn work(&self, call: &CommandCall, until: Instant) -> bool {
        let goes_on = tokio::select! {
            biased;
            () = call.stop.cancelled() => false,
            () = tokio::time::sleep_until(until) => true,
        };
        self.power.pass().await;
        goes_on
    }

    /// A step begins under the task's lease alone. A process that stands still cannot help what it had decided before.
    fn must_hold(&self, call: &CommandCall) {
        let Some(task) = unhex(&call.task).filter(|_| !self.power.stands_still()) else { return };
        // A person ended its lease, and the agent has not heard of it yet.
        if self.world.effects.lock().settled.contains(&call.task) {
            return;
        }
        let mut state = self.world.database.lock();
        let mut leases = state.tables.leases.values();
        if !leases.any(|held| held.task == task && held.journal == self.journal) {
            state.checker.began_unleased(&task, &call.step);
        }
    }

    fn class(command: &str) -> Effect {
        NAMES.iter().find(|(name, _)| *name == command).map_or(Effect::Never, |(_, effect)| *effect)
    }
}

fn failed(code: &str, applied: Applied) -> CallFailed {
    CallFailed {
        code: code.to_owned(),
        message: format!("simulated: {code}"),
        details: None,
        applied,
        usage: Usage::default(),
    }
}

#[async_trait::async_trait]
impl Commands for Served {
    fn server_of(&self, command: &str) -> Option<Server> {
        let (name, effect) = NAMES.iter().find(|(name, _)| *name == command)?;
        Some(Server {
            plugin: "sim".to_owned(),
            declared_as: (*name).to_owned(),
            digest: [1; 32],
            effect: Declared::Class(*effect),
            floor: Effect::Read,
        })
    }

    async fn call(&self, call: CommandCall) -> Result<CallDone, CallFailed> {
        let class = Self::class(&call.command);
        let World { chance, trace, effects, .. } = &*self.world;
        let entry = effects.lock().begin(class, &call);
        let task = call.task.get(..6).unwrap_or_default();
        trace.say(format_args!("agent {} begins {class} {task} {} as #{entry}", self.agent, call.step));
        self.must_hold(&call);
        self.power.pass().await;
        let (fate, long) = (self.fate(), chance.one_in(6));
        let took = chance.millis(1, if long { 9_000 } else { 900 });
        let (began, middle) = (Instant::now(), took.mul_f64(chance.fraction()));
        if !self.work(&call, began + middle).await {
            return Err(failed("stopped", Applied::No));
        }
        match fate {
            Fate::Refused => return Err(failed("refused", Applied::No)),
            Fate::Cut(false) => return Err(failed("cut", Applied::Maybe)),
            Fate::Done | Fate::Cut(true) => {
                effects.lock().apply(entry);
                trace.say(format_args!("#{entry} has taken effect"));
            }
        }
        if matches!(fate, Fate::Cut(_)) {
            return Err(failed("cut", Applied::Maybe));
        }
        if !self.work(&call, began + took).await && chance.one_in(2) {
            return Err(failed("stopped", Applied::Maybe));
        }
        Ok(CallDone { output: output(entry), usage: Usage::default() })
    }

    async fn verify(&self, call: CommandCall) -> Verified {
        self.power.pass().await;
        let World { chance, trace, effects, .. } = &*self.world;
        sleep(chance.millis(1, 400)).await;
        self.power.pass().await;
        let mut log = effects.lock();
        let applied = log.applied(&call.effect_key);
        let cannot_tell = !self.world.is_calm() && chance.one_in(12);
        let not_done = !cannot_tell && applied.is_none();
        let answer = Answer { key: call.effect_key.clone(), begun: log.entries.len(), not_done };
        log.answers.push(answer);
        let task = call.task.get(..6).unwrap_or_default();
        trace.say(format_args!("agent {} verifies {task} {}: {applied:?}", self.agent, call.step));
        match applied {
            _ if cannot_tell => Verified::Unknown("the simulation says so".to_owned()),
            Some(entry) => Verified::Done(CallDone { output: output(entry), usage: Usage::default() }),
            None => Verified::NotDone,
        }
    }

    fn inventory(&self) -> watch::Receiver<Arc<Inventory>> {
        self.inventory.subscribe()
    }
}
