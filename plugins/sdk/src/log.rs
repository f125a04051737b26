//! Log lines: stored with the task, and sent to the agent's log. What a plugin prints arrives there too, as `info`
//! (standard output) and `warn` (standard error). Lines beyond the plugin's budget are dropped and counted.
//!
//! ```
//! use claiflow_sdk::{log, testing::Host};
//!
//! let host = Host::new();
//! log::info(format_args!("{} of {} pods are ready", 2, 3), &[("namespace", &"shop")]);
//! let lines = host.lines();
//! assert_eq!(lines[0].message, "2 of 3 pods are ready");
//! assert_eq!(lines[0].field("namespace"), Some("shop"));
//! ```

use std::fmt::Display;

use crate::outside;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step of the way.
    Trace,
    /// For who looks for a fault.
    Debug,
    /// What happens.
    Info,
    /// What somebody should look at.
    Warn,
    /// What went wrong.
    Error,
}

/// What a line says beside its message, by name. Never a secret.
pub type Fields<'a> = &'a [(&'a str, &'a dyn Display)];

/// Writes a line.
pub fn write(level: Level, message: impl Display, fields: Fields<'_>) {
    if enabled(level) {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect();
        outside::log(level, message.to_string(), fields);
    }
}

/// Whether anybody would see a line of this level: ask before making an expensive one.
pub fn enabled(level: Level) -> bool {
    outside::log_enabled(level)
}

/// Every step of the way.
pub fn trace(message: impl Display, fields: Fields<'_>) {
    write(Level::Trace, message, fields);
}

/// For who looks for a fault.
pub fn debug(message: impl Display, fields: Fields<'_>) {
    write(Level::Debug, message, fields);
}

/// What happens.
pub fn info(message: impl Display, fields: Fields<'_>) {
    write(Level::Info, message, fields);
}

/// What somebody should look at.
pub fn warn(message: impl Display, fields: Fields<'_>) {
    write(Level::Warn, message, fields);
}

/// What went wrong.
pub fn error(message: impl Display, fields: Fields<'_>) {
    write(Level::Error, message, fields);
}
