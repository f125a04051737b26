//! What a call says while it runs goes to the agent's log, with the task's uuid.

use super::commands::{CallSink, LogLevel};

pub(super) struct Log {
    task: String,
}

impl Log {
    pub(super) fn new(task: &str) -> Self {
        Self { task: task.to_owned() }
    }
}

impl CallSink for Log {
    fn log(&self, level: LogLevel, message: &str, fields: &[(String, String)]) {
        match level {
            LogLevel::Trace | LogLevel::Debug => tracing::debug!(task = self.task, ?fields, "{message}"),
            LogLevel::Info => tracing::info!(task = self.task, ?fields, "{message}"),
            LogLevel::Warn | LogLevel::Error => tracing::warn!(task = self.task, ?fields, "{message}"),
        }
    }

    fn progress(&self, done: u64, total: u64, message: &str) {
        tracing::debug!(task = self.task, done, total, "{message}");
    }
}
