//! All automation. Depends on no crate of this workspace, so that it builds when they do not.
#![allow(clippy::print_stdout, reason = "what these commands print is what they are for")]

mod abuse;
mod access;
mod artifacts;
mod bench;
mod browser;
mod cluster;
mod cluster_of_two;
mod database;
mod demo;
mod e2e;
mod faults;
mod foreign;
mod galera;
mod helm;
mod kubernetes;
mod languages;
mod oidc;
mod openapi;
mod people;
mod plugin;
mod process;
mod prometheus;
mod readme;
mod registry;
mod stories;
mod test;
mod tls;
mod traces;
mod wishes;

use std::{
    env,
    path::PathBuf,
    process::{Command, ExitCode},
};

use clap::{Parser, Subcommand};

/// Build, test and show claiflow.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    after_help = "Examples:
  cargo xtask demo
  cargo xtask test --strict
  cargo xtask test --only sqlite,registry
  cargo xtask bench e2e
  cargo xtask faults --list
  cargo xtask new-plugin restart-tool --lang python
  cargo xtask build-plugin plugins/example
  cargo xtask dev-plugin plugins/example helloworld --inputs '{\"name\":\"world\"}'
  cargo xtask openapi"
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
        /// These parts alone.
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<test::Part>,
    },
    /// Kill the node of a Galera cluster that is written to, under load, and look what became of each task.
    Galera,
    /// Attack an agent with plugins that loop, eat, flood, lie and forge, and show how each ends and what its neighbour felt.
    Abuse,
    /// Install what a Debian machine lacks, then run every test, as the gate before a merge does.
    Ci,
    /// Measure release builds with real processes.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Run a real Kubernetes control plane on this machine.
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    /// Kill, stop and cut off real processes under load, and show what was lost or happened twice.
    Faults(faults::Faults),
    /// Write the OpenAPI document that the server prints to host-server/openapi.json.
    Openapi,
    /// Make a component of each plugin, in Rust, JavaScript, Python or Go.
    BuildPlugin(plugin::BuildPlugin),
    /// Make a folder for a plugin, with one command and its test.
    NewPlugin(plugin::NewPlugin),
    /// Build a plugin and run one of its commands, at each save of its sources, its grants or its inputs.
    DevPlugin(plugin::DevPlugin),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Demo { exit } => demo::run(exit).map(|()| ExitCode::SUCCESS),
        Task::Test { strict, only } => test::run(strict, &only),
        Task::Galera => test::galera(),
        Task::Abuse => abuse::run().map(|()| ExitCode::SUCCESS),
        Task::Ci => process::shown(&mut Command::new(root().join(".ci/run"))).map(|()| ExitCode::SUCCESS),
        Task::Bench(bench) => bench.run().map(|()| ExitCode::SUCCESS),
        Task::Cluster(cluster) => cluster.run().map(|()| ExitCode::SUCCESS),
        Task::Faults(faults) => faults.run(),
        Task::Openapi => openapi::write().map(|()| ExitCode::SUCCESS),
        Task::BuildPlugin(arguments) => arguments.run().map(|()| ExitCode::SUCCESS),
        Task::NewPlugin(arguments) => arguments.run().map(|()| ExitCode::SUCCESS),
        Task::DevPlugin(arguments) => arguments.run().map(ExitCode::from),
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
