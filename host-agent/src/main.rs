//! The agent's program.

use std::process::ExitCode;

use claiflow_agent::plugin;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some(plugin::COMPILE_WORKER) => plugin::compile_worker(),
        _ => ExitCode::FAILURE,
    }
}
