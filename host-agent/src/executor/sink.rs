//! What a call says while it runs goes to the server and to the agent's own log, with the task's uuid and the step's path.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    commands::{CallSink, LogLevel},
    task::{Line, Report, Step},
};

/// The calls of one step of one attempt.
pub(super) struct Sink {
    task: String,
    step: Step,
    report: Arc<dyn Report>,
    /// Of earlier attempts and of this one, in order.
    notes: Mutex<Vec<String>>,
}

impl Sink {
    pub(super) fn new(task: &str, step: &Step, notes: &[String], report: &Arc<dyn Report>) -> Self {
        let (task, notes) = (task.to_owned(), Mutex::new(notes.to_vec()));
        Self { task, step: step.clone(), report: Arc::clone(report), notes }
    }

    /// What the next call finds.
    pub(super) fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn send(&self, level: LogLevel, message: &str, fields: Vec<(String, String)>) {
        self.report.log(Line { path: self.step.path.clone(), level, message: message.to_owned(), fields });
    }
}

#[async_trait::async_trait]
impl CallSink for Sink {
    fn log(&self, level: LogLevel, message: &str, fields: &[(String, String)]) {
        let (task, step) = (&self.task, &self.step.path);
        match level {
            LogLevel::Trace | LogLevel::Debug => {
                tracing::debug!(task.uuid = task, step.path = step, plugin.fields = ?fields, "{message}");
            }
            LogLevel::Info => tracing::info!(task.uuid = task, step.path = step, plugin.fields = ?fields, "{message}"),
            LogLevel::Warn | LogLevel::Error => {
                tracing::warn!(task.uuid = task, step.path = step, plugin.fields = ?fields, "{message}");
            }
        }
        self.send(level, message, fields.to_vec());
    }

    fn progress(&self, done: u64, total: u64, message: &str) {
        tracing::debug!(task.uuid = self.task, step.path = self.step.path, done, total, "{message}");
        let message = if message.is_empty() { "progress" } else { message };
        let fields = [("done", done), ("total", total)].map(|(name, value)| (name.to_owned(), value.to_string()));
        self.send(LogLevel::Info, message, fields.to_vec());
    }

    async fn note(&self, text: String) -> bool {
        // A call makes one host call at a time, so the index is the note's alone.
        let index = self.notes.lock().unwrap_or_else(PoisonError::into_inner).len();
        let kept = self.report.note(&self.step, index, text.clone()).await;
        if kept {
            self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
        kept
    }
}
