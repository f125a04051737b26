//! A server that can be killed, and what it stores in.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use super::{line::Line, rest::Caller};
use crate::{
    cluster_of_two::Built,
    database::{MariaDb, PASSWORD},
    process::{Process, free_port},
};

/// Who the server is to MariaDB: without the administrator's rights, which make `read_only` mean nothing.
const PERSON: &str = "faults";

/// How long things take, so that a case takes seconds.
const DELIVERY: &str = "delivery:\n  offer: 2s\n  silence: 3s\n  grace: 2s\n  leaseTtl: 3s\n  round: 500ms\n  backoff: 500ms\nwebhook:\n  allowAddresses: 127.0.0.0/8\n";

/// Where tasks are stored.
pub(super) enum Engine<'a> {
    Sqlite,
    /// A schema of its own on a MariaDB that the cases share.
    Maria {
        database: &'a mut MariaDb,
        schema: String,
        line: Line,
    },
}

impl<'a> Engine<'a> {
    pub(super) fn maria(database: &'a mut MariaDb, schema: &str) -> Result<Self> {
        let line = Line::to(database.port)?;
        Ok(Self::Maria { database, schema: schema.to_owned(), line })
    }

    /// Makes an empty schema and the user that owns it.
    pub(super) fn prepare(&mut self) -> Result<()> {
        let Self::Maria { database, schema, .. } = self else { return Ok(()) };
        database.sql(&format!(
            "DROP DATABASE IF EXISTS {schema}; CREATE DATABASE {schema}; \
             CREATE USER IF NOT EXISTS '{PERSON}'@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON {schema}.* TO '{PERSON}'@'%'"
        ))?;
        Ok(())
    }

    fn config(&self) -> String {
        match self {
            Self::Sqlite => DELIVERY.to_owned(),
            Self::Maria { schema, line, .. } => {
                let port = line.port;
                format!(
                    "{DELIVERY}database:\n  type: mariadb\n  host: 127.0.0.1\n  port: {port}\n  dbname: {schema}\n  username: {PERSON}\n  password: {PASSWORD}\n"
                )
            }
        }
    }
}

pub(super) struct Server {
    pub(super) number: usize,
    pub(super) grpc: u16,
    /// As people call it.
    pub(super) caller: Caller,
    http: u16,
    home: PathBuf,
    /// SQLite's directory.
    pub(super) data: PathBuf,
    process: Option<Process>,
}

impl Server {
    pub(super) fn new(number: usize, home: &Path, engine: &Engine<'_>) -> Result<Self> {
        let (http, grpc) = (free_port(0)?, free_port(0)?);
        let (data, home) = (home.join("data"), home.join(format!("server-{number}")));
        fs::create_dir_all(&home)?;
        fs::write(home.join("config.yaml"), engine.config())?;
        Ok(Self { number, grpc, caller: Caller::new(http), http, home, data, process: None })
    }

    /// Starts it, with more variables.
    pub(super) fn start(&mut self, built: &Built, variables: &[(&str, String)]) -> Result<()> {
        let mut command = Command::new(built.program("claiflow-server"));
        command
            .arg(self.home.join("config.yaml"))
            .args(["--http-port", &self.http.to_string(), "--grpc-port", &self.grpc.to_string()])
            .arg("--data-dir")
            .arg(&self.data)
            .env("NO_COLOR", "1")
            .envs(variables.iter().map(|(name, value)| (name, value)));
        self.process = Some(Process::start(&format!("server-{}", self.number), &mut command, &self.home)?);
        Ok(())
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.kill(),
            None => Ok(()),
        }
    }

    /// SIGSTOP.
    pub(super) fn pause(&self) -> Result<()> {
        self.process.as_ref().context("the server does not run")?.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub(super) fn resume(&self) -> Result<()> {
        self.process.as_ref().context("the server does not run")?.signal(Signal::CONT)
    }

    pub(super) fn is_there(&self) -> bool {
        self.process.is_some()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("server-{}: {error:#}", self.number);
        }
    }
}
