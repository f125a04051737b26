//! Drives a task's flow against the commands that plugins serve. Knows no gRPC, no wasm and no Kubernetes.

mod bounded;
mod call;
pub mod commands;
mod effect;
mod run;
mod sink;
mod task;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use claiflow_flow::{Flow, Origin};
use claiflow_flow_worker::Pool;

use commands::Commands;
pub use task::{Doubt, End, Fault, Line, Report, Step, Task, Verdict};

/// The highest language level of a flow that this agent runs.
pub const LANGUAGE_LEVEL: u32 = 1;
/// A call that was asked to stop is dropped after this time. Longer than the sandbox's own grace, which ends the call with
/// word of what it did.
const STOP_GRACE: Duration = Duration::from_secs(8);

/// Flows of one stream.
const FLOWS: usize = 4_096;

/// Runs tasks.
pub struct Executor {
    commands: Arc<dyn Commands>,
    jq: Pool,
    flows: Mutex<HashMap<Vec<u8>, Arc<Flow>>>,
    stop_grace: Duration,
}

impl Executor {
    /// An executor over the commands that are served.
    #[must_use]
    pub fn new(commands: Arc<dyn Commands>, jq: Pool) -> Self {
        Self { commands, jq, flows: Mutex::default(), stop_grace: STOP_GRACE }
    }

    /// Another time for calls that were asked to stop.
    #[must_use]
    pub fn with_stop_grace(self, stop_grace: Duration) -> Self {
        Self { stop_grace, ..self }
    }

    /// What is served.
    #[must_use]
    pub fn commands(&self) -> &Arc<dyn Commands> {
        &self.commands
    }

    /// Keeps a snapshot's flow for the offers that name it.
    ///
    /// # Errors
    /// The first mistake of the flow.
    pub fn learn(&self, snapshot: &[u8], text: &str) -> Result<(), String> {
        let flow = Flow::parse(text, Origin::Stored).map_err(|mistakes| {
            mistakes.first().map_or_else(String::new, |mistake| format!("{}: {}", mistake.pointer, mistake.message))
        })?;
        self.flows.lock().unwrap_or_else(PoisonError::into_inner).insert(snapshot.to_vec(), Arc::new(flow));
        Ok(())
    }

    /// Forgets all flows: a server tells each stream the flow of a snapshot once.
    pub fn forget(&self) {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether so many flows are kept that a new stream should begin, without them.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner).len() >= FLOWS
    }

    fn flow(&self, snapshot: &[u8]) -> Option<Arc<Flow>> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner).get(snapshot).cloned()
    }
}
