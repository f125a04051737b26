//! What a plugin's author does with one file, with no server: run a command, record and replay what it asks, measure it,
//! compare it with an older build, and find the smallest grant.
//!
//! A command takes the same way as a task's call: loader, grants, input schema, gate, fresh sandbox, budgets. The exit code
//! is 0 where it went well, 1 where the command failed or something does not fit, and 2 where nothing could be tried.

mod bench;
mod call;
mod cassette;
mod compat;
mod report;
mod run;
mod shell;
mod stage;
mod suggest;
mod table;

use std::{fmt::Display, io::Write as _, path::PathBuf, process::ExitCode};

pub use bench::Bench;
pub use cassette::Cassette;
pub use compat::Compat;
pub use run::Run;
pub use suggest::{SuggestGrants, suggested};

/// Where something could not be tried at all.
const UNUSABLE: u8 = 2;

/// One of them.
#[derive(Debug)]
pub enum Tool {
    /// See [`Run`].
    Run(Run),
    /// See [`Bench`].
    Bench(Bench),
    /// See [`Compat`].
    Compat(Compat),
    /// See [`SuggestGrants`].
    SuggestGrants(SuggestGrants),
}

impl Tool {
    /// Does it. `program` is the agent's own, which compiles plugins. Call it inside a tokio runtime.
    pub async fn start(self, program: PathBuf) -> ExitCode {
        let (name, outcome) = match self {
            Self::Run(run) => ("run", run.start(program).await),
            Self::Bench(bench) => ("bench", bench.start(program).await),
            Self::Compat(compat) => ("compat", compat.start(program).await),
            Self::SuggestGrants(suggest) => ("suggest-grants", suggest.start()),
        };
        match outcome {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(message) => {
                told(format_args!("claiflow-agent {name}: {message}"));
                ExitCode::from(UNUSABLE)
            }
        }
    }
}

/// To standard output, which is what a tool is run for.
///
/// # Errors
/// When nobody reads it.
fn shown(text: impl Display) -> Result<(), String> {
    writeln!(std::io::stdout(), "{text}").map_err(|error| format!("nothing can be written: {error}"))
}

/// To standard error. Nothing can be done where nobody reads it.
fn told(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
