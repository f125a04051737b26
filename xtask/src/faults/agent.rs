//! An agent that can be killed, stopped and cut off.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use rustix::process::Signal;

use super::line::Line;
use crate::{cluster_of_two::Built, process::Process};

/// Lines of an agent's log that are shown when it does not connect.
const LAST_LINES: usize = 3;
/// Tasks at once.
const SLOTS: &str = "8";

pub(super) struct Agent {
    pub(super) name: String,
    /// Between it and its server.
    pub(super) line: Line,
    cluster: String,
    token: String,
    variables: Vec<(String, String)>,
    home: PathBuf,
    process: Process,
}

impl Agent {
    pub(super) fn start(
        built: &Built,
        home: &Path,
        number: usize,
        line: Line,
        cluster: &str,
        token: &str,
        variables: &[(&str, String)],
    ) -> Result<Self> {
        let name = format!("agent-{number}");
        let home = home.join(&name);
        std::fs::create_dir_all(&home)?;
        let variables: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let (cluster, token) = (cluster.to_owned(), token.to_owned());
        let process = launch(built, &home, &name, &line, (&cluster, &token), &variables)?;
        Ok(Self { name, line, cluster, token, variables, home, process })
    }

    /// Starts it again, with the state directory that it had.
    pub(super) fn start_again(&mut self, built: &Built) -> Result<()> {
        let of = (self.cluster.as_str(), self.token.as_str());
        self.process = launch(built, &self.home, &self.name, &self.line, of, &self.variables)?;
        Ok(())
    }

    /// SIGKILL, stopped or not.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// SIGSTOP: it does nothing more, and its connections stay open.
    pub(super) fn pause(&self) -> Result<()> {
        self.process.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub(super) fn resume(&self) -> Result<()> {
        self.process.signal(Signal::CONT)
    }

    /// Everything that it said, in all its lives.
    pub(super) fn said(&self) -> String {
        self.process.said()
    }

    /// The end of what it said.
    pub(super) fn last_words(&self) -> String {
        let said = self.said();
        let lines: Vec<&str> = said.lines().collect();
        lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default().join("\n")
    }

    /// How often it was connected.
    pub(super) fn connections(&self) -> usize {
        self.said().matches(": connected ").count()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // A drain would wait for tasks that nobody wants any more.
        if let Err(error) = self.process.kill() {
            eprintln!("{}: {error:#}", self.name);
        }
    }
}

fn launch(
    built: &Built,
    home: &Path,
    name: &str,
    line: &Line,
    (cluster, token): (&str, &str),
    variables: &[(String, String)],
) -> Result<Process> {
    let mut command: Command = built.agent(line.port, cluster, token, home);
    command.args(["--slots", SLOTS]).env("NO_COLOR", "1");
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    Process::start(name, &mut command, home)
}
