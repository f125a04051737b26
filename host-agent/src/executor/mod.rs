//! Drives a task's flow against the commands that plugins serve. Knows no gRPC, no wasm and no Kubernetes.

pub mod commands;
mod run;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use claiflow_flow::{Flow, Origin};
use claiflow_flow_worker::Pool;

use commands::Commands;
pub use run::{End, Report, Step, Task, Verdict};

/// The highest language level of a flow that this agent runs.
pub const LANGUAGE_LEVEL: u32 = 1;

/// Runs tasks.
pub struct Executor {
    commands: Arc<dyn Commands>,
    jq: Pool,
    flows: Mutex<HashMap<Vec<u8>, Arc<Flow>>>,
}

impl Executor {
    /// An executor over the commands that are served.
    #[must_use]
    pub fn new(commands: Arc<dyn Commands>, jq: Pool) -> Self {
        Self { commands, jq, flows: Mutex::default() }
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
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        if flows.len() >= 4_096 {
            flows.clear();
        }
        flows.insert(snapshot.to_vec(), Arc::new(flow));
        Ok(())
    }

    fn flow(&self, snapshot: &[u8]) -> Option<Arc<Flow>> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner).get(snapshot).cloned()
    }
}
