//! `claiflow-server`.

use std::process::ExitCode;

use claiflow_server::{
    config::{Arguments, Command, Config},
    lifecycle,
    metrics::Metrics,
    rest,
    telemetry::Telemetry,
};

/// Batches are built and dropped on other threads than those that read requests, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("jq-worker") {
        return claiflow_flow_worker::serve();
    }
    let arguments = Arguments::of_process();
    match arguments.command {
        Some(Command::Openapi) => return print_openapi(),
        None => {}
    }
    // A variable that is no text cannot be one of ours.
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let config = match Config::read(&arguments, variables) {
        Ok(config) => config,
        Err(error) => return refuse(&error),
    };
    let metrics = match Metrics::register() {
        Ok(metrics) => metrics,
        Err(error) => return refuse(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error),
    };
    let served = runtime.block_on(async {
        let telemetry = Telemetry::start(&config.telemetry, metrics.spans.clone())?;
        let outcome = lifecycle::run(config, metrics).await;
        telemetry.close().await;
        outcome
    });
    match served {
        Ok(code) => code,
        Err(error) => refuse(&*error),
    }
}

#[expect(clippy::print_stdout, reason = "the document is this command's output")]
fn print_openapi() -> ExitCode {
    match rest::openapi() {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("claiflow-server: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
    ExitCode::FAILURE
}
