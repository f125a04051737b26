//! `claiflow:plugin/log`: always granted.

use crate::{
    executor::commands::LogLevel,
    plugin::{
        bindings::claiflow::plugin::log::{Host, Level},
        state::CallState,
    },
};

impl Host for CallState {
    fn write(&mut self, level: Level, message: String, fields: Vec<(String, String)>) -> wasmtime::Result<()> {
        self.lines.write(level_of(level), &message, &fields);
        Ok(())
    }

    fn enabled(&mut self, _level: Level) -> wasmtime::Result<bool> {
        Ok(self.lines.open())
    }
}

fn level_of(level: Level) -> LogLevel {
    match level {
        Level::Trace => LogLevel::Trace,
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
    }
}
