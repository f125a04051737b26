//! What the host offers every plugin: log lines, and the running task. Outside a sandbox, as in tests, log lines go
//! nowhere and a task has a minute left.

/// A log line, stored with the task.
pub fn info(message: &str) {
    #[cfg(target_family = "wasm")]
    crate::guest::claiflow::plugin::log::write(crate::guest::claiflow::plugin::log::Level::Info, message, &[]);
    #[cfg(not(target_family = "wasm"))]
    let _ = message;
}

/// Wall-clock milliseconds that are left of the smallest limit.
pub fn remaining_ms() -> u64 {
    #[cfg(target_family = "wasm")]
    {
        crate::guest::claiflow::plugin::task::remaining_ms()
    }
    #[cfg(not(target_family = "wasm"))]
    {
        60_000
    }
}
