//! All automation. Depends on no crate of this workspace, so that it builds when they do not.

mod cluster_of_two;
mod database;
mod demo;
mod e2e;
mod openapi;
mod plugin;
mod process;
mod test;

use std::{env, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// Build, test and show claiflow.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    after_help = "Examples:\n  cargo xtask demo\n  cargo xtask test --strict\n  cargo xtask openapi\n  cargo xtask build-plugin plugins/example"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Start a server and an agent, run three tasks and show their results.
    Demo {
        /// Leave when the results are shown.
        #[arg(long)]
        exit: bool,
    },
    /// Set up what the tests need and run every one.
    Test {
        /// What cannot be set up fails.
        #[arg(long)]
        strict: bool,
    },
    /// Write the OpenAPI document that the server prints to host-server/openapi.json.
    Openapi,
    /// Make a component of each plugin crate.
    BuildPlugin(plugin::BuildPlugin),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Demo { exit } => demo::run(exit).map(|()| ExitCode::SUCCESS),
        Task::Test { strict } => test::run(strict),
        Task::Openapi => openapi::write().map(|()| ExitCode::SUCCESS),
        Task::BuildPlugin(arguments) => arguments.run().map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// The checkout.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from).unwrap_or_default()
}

/// Where cargo builds.
fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
