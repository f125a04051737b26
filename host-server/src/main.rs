//! `claiflow-server`.

use std::process::ExitCode;

use claiflow_server::{
    bootstrap,
    config::{Arguments, Command, Config, TokenCommand},
    import::Summary,
    lifecycle,
    metrics::Metrics,
    rekey, rest,
    telemetry::Telemetry,
};

/// Batches are built and dropped on other threads than those that read requests, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("jq-worker") {
        return claiflow_flow_worker::serve();
    }
    let mut arguments = Arguments::of_process();
    let command = arguments.command.take();
    if matches!(command, Some(Command::Openapi)) {
        return print_openapi();
    }
    if let Some((files, data_dir)) = command.as_ref().and_then(Command::place) {
        (arguments.files, arguments.data_dir) = (files.to_vec(), data_dir.cloned());
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
    let outcome = runtime.block_on(async {
        let telemetry = Telemetry::start(&config.telemetry, metrics.spans.clone())?;
        let outcome = match command {
            Some(Command::Token { command: TokenCommand::Create(wish) }) => {
                bootstrap::create_token(&config, wish).await.map(|token| print(&token))
            }
            Some(Command::Import(import)) => lifecycle::import(config, import).await.map(|it| print_summary(&it)),
            Some(Command::Rekey(wish)) => rekey::run(config, wish).await,
            Some(Command::Openapi) | None => lifecycle::run(config, metrics).await,
        };
        telemetry.close().await;
        outcome
    });
    match outcome {
        Ok(code) => code,
        Err(error) => refuse(&*error),
    }
}

fn print_openapi() -> ExitCode {
    match rest::openapi() {
        Ok(text) => print(&text),
        Err(error) => refuse(&error),
    }
}

#[expect(clippy::print_stdout, reason = "it is a command's output")]
fn print(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

/// Success only where all was taken over.
#[expect(clippy::print_stdout, reason = "the summary is this command's output")]
fn print_summary(summary: &Summary) -> ExitCode {
    println!("{summary}");
    if summary.complete && summary.refused() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
