//! The agent's program.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use claiflow_agent::plugin::{self, RunArgs, SystemClock};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some(plugin::COMPILE_WORKER) => plugin::compile_worker(),
        Some("run") => run(args.collect()),
        _ => ExitCode::FAILURE,
    }
}

/// `run FILE COMMAND [INPUTS [REPEAT [CONCURRENCY [CACHE]]]]`.
fn run(args: Vec<String>) -> ExitCode {
    let text = |index: usize, default: &str| args.get(index).map_or_else(|| default.to_owned(), Clone::clone);
    let number = |index: usize| text(index, "1").parse().unwrap_or(1);
    let (Ok(runtime), Ok(worker)) = (tokio::runtime::Runtime::new(), std::env::current_exe()) else {
        return ExitCode::FAILURE;
    };
    let args = RunArgs {
        file: text(0, "").into(),
        command: text(1, ""),
        inputs: text(2, "{}"),
        repeat: number(3),
        concurrency: number(4),
        grants: None,
        cache: args.get(5).map(PathBuf::from),
    };
    runtime.block_on(plugin::run_once(args, worker, Arc::new(SystemClock::new())))
}
