//! A call's log, as a shell shows it and a report keeps it.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::{
    executor::commands::{CallSink, LogLevel},
    plugin::clean,
};

use super::told;

const NOTE_MAX_BYTES: usize = 4 << 10;
/// A call has a budget of lines; this holds whatever it is.
const KEPT_MAX: usize = 10_000;

/// What becomes of what a call says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It is shown on standard error.
    Show,
    /// It is kept, for a report.
    Keep,
    /// It goes nowhere.
    Drop,
}

/// See [`CallSink`].
pub(super) struct Shell {
    manner: Manner,
    kept: Mutex<Vec<Value>>,
}

impl Shell {
    pub(super) fn new(manner: Manner) -> Self {
        Self { manner, kept: Mutex::default() }
    }

    /// What was kept.
    pub(super) fn take(&self) -> Vec<Value> {
        std::mem::take(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep(&self, value: Value) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(value);
        }
    }
}

#[async_trait::async_trait]
impl CallSink for Shell {
    fn log(&self, level: LogLevel, message: &str, fields: &[(String, String)]) {
        match self.manner {
            Manner::Show => {
                let fields: String = fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
                told(format_args!("{level:?} {message}{fields}"));
            }
            Manner::Keep => {
                let fields: serde_json::Map<String, Value> =
                    fields.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
                let level = format!("{level:?}").to_lowercase();
                self.keep(json!({"level": level, "message": message, "fields": fields}));
            }
            Manner::Drop => {}
        }
    }

    fn progress(&self, done: u64, total: u64, message: &str) {
        match self.manner {
            Manner::Show => told(format_args!("{done}/{total} {}", clean(message, NOTE_MAX_BYTES))),
            Manner::Keep => {
                self.keep(json!({"progress": done, "of": total, "message": clean(message, NOTE_MAX_BYTES)}))
            }
            Manner::Drop => {}
        }
    }

    /// No attempt follows that could miss it.
    async fn note(&self, text: String) -> bool {
        match self.manner {
            Manner::Show => told(format_args!("note {}", clean(&text, NOTE_MAX_BYTES))),
            Manner::Keep => {
                let note: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
                self.keep(json!({"note": note}));
            }
            Manner::Drop => {}
        }
        true
    }
}
