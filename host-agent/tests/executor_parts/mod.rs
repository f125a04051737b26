//! Scripted commands and a scripted server, as seen from the executor.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use claiflow_agent::executor::{
    Executor, Line, Report, Step, Task,
    commands::{
        Applied, CallDone, CallFailed, CommandCall, Commands, Declared, Effect, EffectRule, Inventory, LogLevel,
        Server, Usage, Verified,
    },
};
use claiflow_flow_worker::Pool;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// No run comes near it; where a test is about the time, it says its own.
pub const PATIENCE: Duration = Duration::from_secs(60);
pub const DIGEST: [u8; 32] = [7; 32];
pub const USAGE: Usage = Usage {
    cpu: Duration::from_micros(11),
    host_cpu: Duration::from_micros(10),
    wall: Duration::from_micros(12),
    memory_bytes: 13,
    host_calls: 14,
};

/// The tokens of the run that is scripted.
#[derive(Clone, Default)]
pub struct Signals {
    pub stop: CancellationToken,
    pub gone: CancellationToken,
    pub pause: Arc<AtomicBool>,
}

/// Commands that answer in turn what a case says: `{"effect", "floor", "answers": [{"ok"} | {"fails", "applied"}]}`. An
/// answer may come after `"raises": "cancel" | "gone" | "pause"`, after it was asked to stop (`"when": "stopped"`), or `"never"`; before
/// it, the call may leave `"notes"`, `"logs"` and `"progress"`. `"verify"` are the answers to that question, `"done"` with its output,
/// `"not-done"` or `"unknown"` with a reason, which come in the same ways.
pub struct Script {
    commands: HashMap<String, Scripted>,
    signals: Signals,
    /// Path and inputs of the calls, in order.
    pub calls: Mutex<Vec<(String, Value)>>,
    /// Path, effect key and notes of the calls and of the questions, in order.
    pub contexts: Mutex<Vec<(String, String, Vec<String>)>>,
    /// Paths and inputs of what `verify` was asked about, in order.
    pub asked: Mutex<Vec<(String, Value)>>,
    /// How often a call is in flight; changes when one begins.
    pub begun: watch::Sender<usize>,
}

struct Scripted {
    effect: Declared,
    floor: Effect,
    answers: Mutex<VecDeque<Value>>,
    verdicts: Mutex<VecDeque<Value>>,
}

fn class(value: &Value) -> Effect {
    serde_json::from_value(value.clone()).unwrap()
}

impl Script {
    pub fn new(commands: &Value, signals: Signals) -> Self {
        let scripted = |said: &Value| {
            let effect = match &said["effect"] {
                Value::Array(rules) => Declared::Rules(
                    rules
                        .iter()
                        .map(|rule| EffectRule {
                            when: rule["when"].as_str().map(str::to_owned),
                            effect: class(&rule["effect"]),
                        })
                        .collect(),
                ),
                Value::Null => Declared::Class(Effect::Read),
                said => Declared::Class(class(said)),
            };
            let floor = if said["floor"].is_null() { Effect::Read } else { class(&said["floor"]) };
            let list = |name: &str| Mutex::new(said[name].as_array().cloned().unwrap_or_default().into());
            Scripted { effect, floor, answers: list("answers"), verdicts: list("verify") }
        };
        let commands = commands.as_object().unwrap().iter().map(|(name, said)| (name.clone(), scripted(said)));
        Self {
            commands: commands.collect(),
            signals,
            calls: Mutex::default(),
            contexts: Mutex::default(),
            asked: Mutex::default(),
            begun: watch::Sender::new(0),
        }
    }

    pub fn paths(&self) -> Vec<String> {
        self.calls.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }

    pub fn verified_paths(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }

    /// What happens before an answer.
    async fn before(&self, answer: &Value, call: &CommandCall) {
        self.contexts.lock().unwrap().push((call.step.clone(), call.effect_key.clone(), call.notes.clone()));
        for text in answer["logs"].as_array().into_iter().flatten() {
            call.sink.log(LogLevel::Info, text.as_str().unwrap(), &[("name".into(), "value".into())]);
        }
        if let Some(progress) = answer["progress"].as_array() {
            let number = |at: usize| progress[at].as_u64().unwrap();
            call.sink.progress(number(0), number(1), progress[2].as_str().unwrap());
        }
        for note in answer["notes"].as_array().into_iter().flatten() {
            assert!(call.sink.note(note.to_string()).await, "the note is kept");
        }
        match answer["raises"].as_str() {
            Some("cancel") => self.signals.stop.cancel(),
            Some("pause") => self.signals.pause.store(true, Ordering::Relaxed),
            Some("gone") => self.signals.gone.cancel(),
            _ => {}
        }
        match answer["when"].as_str() {
            Some("stopped") => call.stop.cancelled().await,
            Some("never") => std::future::pending().await,
            _ => {}
        }
    }
}

pub fn failed(code: &str, applied: Applied) -> CallFailed {
    CallFailed { code: code.into(), message: format!("it is {code}"), details: None, applied, usage: USAGE }
}

#[async_trait::async_trait]
impl Commands for Script {
    fn server_of(&self, command: &str) -> Option<Server> {
        let scripted = self.commands.get(command)?;
        Some(Server {
            plugin: "tool".into(),
            declared_as: command.into(),
            digest: DIGEST,
            effect: scripted.effect.clone(),
            floor: scripted.floor,
        })
    }

    async fn call(&self, call: CommandCall) -> Result<CallDone, CallFailed> {
        self.calls.lock().unwrap().push((call.step.clone(), serde_json::from_str(&call.inputs).unwrap()));
        self.begun.send_modify(|begun| *begun += 1);
        let Some(scripted) = self.commands.get(&call.command) else { return Err(failed("not-found", Applied::No)) };
        let answer = scripted.answers.lock().unwrap().pop_front().expect("the case has an answer for each call");
        self.before(&answer, &call).await;
        match answer["fails"].as_str() {
            Some(code) if answer["applied"] == "maybe" => Err(failed(code, Applied::Maybe)),
            Some(code) => Err(failed(code, Applied::No)),
            None => Ok(CallDone { output: answer["ok"].to_string(), usage: USAGE }),
        }
    }

    async fn verify(&self, call: CommandCall) -> Verified {
        self.asked.lock().unwrap().push((call.step.clone(), serde_json::from_str(&call.inputs).unwrap()));
        let scripted = self.commands.get(&call.command).expect("only a command that is served is asked");
        let answer = scripted.verdicts.lock().unwrap().pop_front().expect("the case has a verdict for each question");
        self.before(&answer, &call).await;
        match (answer.get("done"), answer["unknown"].as_str()) {
            (Some(output), _) => Verified::Done(CallDone { output: output.to_string(), usage: Usage::default() }),
            (None, Some(why)) => Verified::Unknown(why.to_owned()),
            (None, None) => Verified::NotDone,
        }
    }

    fn inventory(&self) -> watch::Receiver<Arc<Inventory>> {
        watch::channel(Arc::default()).1
    }
}

/// What the server heard.
pub struct Heard {
    pub started: Mutex<Vec<Step>>,
    pub ended: Mutex<Vec<Step>>,
    /// Path, index and text.
    pub notes: Mutex<Vec<(String, usize, String)>>,
    pub lines: Mutex<Vec<Line>>,
    /// The answer to a start.
    pub accepts: bool,
    /// Whether the lease holds.
    pub holds: watch::Sender<bool>,
    /// How often that was asked.
    pub asked: watch::Sender<usize>,
}

impl Heard {
    pub fn new(accepts: bool) -> Self {
        Self {
            started: Mutex::default(),
            ended: Mutex::default(),
            notes: Mutex::default(),
            lines: Mutex::default(),
            accepts,
            holds: watch::Sender::new(true),
            asked: watch::Sender::new(0),
        }
    }
}

#[async_trait::async_trait]
impl Report for Heard {
    async fn started(&self, step: Step) -> bool {
        self.started.lock().unwrap().push(step);
        self.accepts
    }

    fn ended(&self, step: Step) {
        self.ended.lock().unwrap().push(step);
    }

    async fn note(&self, step: &Step, index: usize, text: String) -> bool {
        self.notes.lock().unwrap().push((step.path.clone(), index, text));
        self.accepts
    }

    fn log(&self, line: Line) {
        self.lines.lock().unwrap().push(line);
    }

    async fn holds(&self) {
        self.asked.send_modify(|asked| *asked += 1);
        self.holds.subscribe().wait_for(|holds| *holds).await.unwrap();
    }
}

/// Real jq workers: the agent's own program.
pub fn executor(commands: Arc<dyn Commands>, flow: &Value) -> Executor {
    let executor = Executor::new(commands, Pool::new(env!("CARGO_BIN_EXE_claiflow-agent").into(), 1));
    executor.learn(b"flow", &flow.to_string()).unwrap();
    executor.with_stop_grace(Duration::from_millis(50))
}

pub fn task(inputs: &Value, timeout: Duration, signals: &Signals) -> Task {
    Task {
        uuid: "0123456789abcdef0123456789abcdef".into(),
        snapshot: b"flow".to_vec(),
        inputs: inputs.to_string().into_bytes(),
        attempt: 1,
        timeout,
        finished: Vec::new(),
        doubtful: Vec::new(),
        notes: BTreeMap::new(),
        traceparent: String::new(),
        stop: signals.stop.clone(),
        gone: signals.gone.clone(),
        pause: signals.pause.clone(),
    }
}
