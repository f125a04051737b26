//! The agent, played. Each thread has its own.

use std::{cell::RefCell, marker::PhantomData};

use serde_json::{Value, json};

use super::outside;
use crate::Error;

struct State {
    identity: Value,
    plugins: Value,
    calls: Vec<String>,
}

thread_local! {
    static AGENT: RefCell<Option<State>> = const { RefCell::new(None) };
}

/// The agent of this thread's commands, until it is dropped; without one, everything is `denied`.
///
/// ```
/// use claiflow_sdk::{agent, testing::Agent};
///
/// let played = Agent::new("claiflowclient", "claiflow-client-5d4f8c7b9-x2x4z");
/// assert_eq!(agent::identity().unwrap().namespace, "claiflowclient");
/// agent::restart("a test").unwrap();
/// assert_eq!(played.calls(), ["restart a test"]);
/// ```
#[derive(Debug)]
pub struct Agent {
    /// It is of one thread.
    thread: PhantomData<*const ()>,
}

impl Agent {
    /// An agent that is this pod, and has no plugins.
    pub fn new(namespace: &str, pod: &str) -> Self {
        let identity = json!({
            "cluster": "0".repeat(32), "agent-version": "0.0.0", "namespace": namespace, "pod": pod, "contract": "1.0.0",
            "interfaces": ["agent", "agent-control"],
        });
        AGENT.set(Some(State { identity, plugins: json!({"plugins": []}), calls: Vec::new() }));
        Self { thread: PhantomData }
    }

    /// What [`crate::agent::plugins`] answers from here on, and [`crate::agent::reload`] with its `changes`.
    pub fn plugins(&self, plugins: Value) {
        with(|agent| agent.plugins = plugins);
    }

    /// What was asked of it: `drain REASON 30000`, `restart REASON`, `reload`.
    pub fn calls(&self) -> Vec<String> {
        with(|agent| agent.calls.clone()).unwrap_or_default()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        AGENT.set(None);
    }
}

/// None without an agent.
fn with<T>(ask: impl FnOnce(&mut State) -> T) -> Option<T> {
    AGENT.with_borrow_mut(|agent| agent.as_mut().map(ask))
}

fn asked(call: String) -> Result<(), Error> {
    if outside::is_asked() {
        return Err(Error::new("denied", "`verify` changes nothing"));
    }
    with(|agent| agent.calls.push(call)).ok_or_else(nobody)
}

fn nobody() -> Error {
    Error::new("denied", "no `testing::Agent` plays the agent in this test")
}

pub(crate) fn identity() -> String {
    with(|agent| agent.identity.to_string()).unwrap_or_else(|| "{}".to_owned())
}

pub(crate) fn drain(reason: &str, grace_ms: u32) -> Result<(), Error> {
    asked(format!("drain {reason} {grace_ms}"))
}

pub(crate) fn restart(reason: &str) -> Result<(), Error> {
    asked(format!("restart {reason}"))
}

pub(crate) fn plugins() -> Result<String, Error> {
    with(|agent| agent.plugins.to_string()).ok_or_else(nobody)
}

pub(crate) fn reload() -> Result<String, Error> {
    asked("reload".to_owned())?;
    plugins()
}
