//! How a call ended, and what it used.

use serde_json::{Value, json};

use crate::{
    executor::commands::{Applied, CallDone, CallFailed, Usage},
    plugin::clean,
};

use super::{shell::Shell, shown, told};

const DETAILS_MAX_BYTES: usize = 16 << 10;

/// Prints it, for people or as one document.
///
/// # Errors
/// When nobody reads it.
pub(super) fn print(outcome: &Result<CallDone, CallFailed>, shell: &Shell, json: bool) -> Result<(), String> {
    if json {
        let report = match outcome {
            Ok(done) => json!({"result": value(&done.output), "used": used(&done.usage), "log": shell.take()}),
            Err(failed) => json!({
                "failed": {
                    "code": failed.code, "message": failed.message,
                    "details": failed.details.as_deref().map(value),
                    "may-have-had-its-effect": failed.applied == Applied::Maybe,
                },
                "used": used(&failed.usage), "log": shell.take(),
            }),
        };
        return shown(pretty(&report)?);
    }
    match outcome {
        Ok(done) => {
            shown(pretty(&value(&done.output))?)?;
            told(format_args!("used {}", used_text(&done.usage)));
        }
        Err(failed) => {
            told(format_args!("{}: {failed}", failed.code));
            if let Some(details) = &failed.details {
                told(format_args!("details {}", clean(details, DETAILS_MAX_BYTES)));
            }
            let effect = match failed.applied {
                Applied::No => "it had no effect",
                Applied::Maybe => "it may have had its effect",
            };
            told(format_args!("{effect}; used {}", used_text(&failed.usage)));
        }
    }
    Ok(())
}

/// A call's output was checked to be one JSON document.
pub(super) fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn pretty(value: &Value) -> Result<String, String> {
    serde_json::to_string_pretty(value).map_err(|error| error.to_string())
}

fn used(usage: &Usage) -> Value {
    json!({
        "cpu-us": u64::try_from(usage.cpu.as_micros()).unwrap_or(u64::MAX),
        "wall-us": u64::try_from(usage.wall.as_micros()).unwrap_or(u64::MAX),
        "memory-bytes": usage.memory_bytes,
        "host-calls": usage.host_calls,
    })
}

fn used_text(usage: &Usage) -> String {
    format!(
        "{:.1} ms CPU, {:.1} ms, {:.1} MiB, {} host calls",
        usage.cpu.as_secs_f64() * 1e3,
        usage.wall.as_secs_f64() * 1e3,
        super::table::mib(usage.memory_bytes),
        usage.host_calls,
    )
}
