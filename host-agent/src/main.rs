//! `claiflow-agent`.

use std::process::ExitCode;

use claiflow_agent::{config::Arguments, lifecycle, plugin, process};

/// Batches are built and dropped on other threads than those that read offers, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("jq-worker") => claiflow_flow_worker::serve(),
        Some(plugin::COMPILE_WORKER) => plugin::compile_worker(),
        Some(process::PROCESS_WORKER) => process::process_worker(),
        _ => lifecycle::main(Arguments::read(std::env::args())),
    }
}
