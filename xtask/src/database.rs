//! A private MariaDB on a temporary directory.

use std::{
    env,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::process::{Process, free_port, until};

/// Stopped when dropped.
pub(crate) struct MariaDb {
    pub(crate) port: u16,
    pub(crate) process: Process,
    socket: PathBuf,
}

pub(crate) const USER: &str = "claiflow";
pub(crate) const PASSWORD: &str = "claiflow-tests";
pub(crate) const DATABASE: &str = "claiflow";

impl MariaDb {
    pub(crate) fn start(directory: &Path) -> Result<Self> {
        let data = directory.join("mariadb");
        let socket = directory.join("mariadb.sock");
        let install = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--user=root", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(format!("--datadir={}", data.display()))
            .output()
            .context("mariadb-install-db is missing: apt-get install mariadb-server")?;
        if !install.status.success() {
            bail!("mariadb-install-db: {}", String::from_utf8_lossy(&install.stderr));
        }
        let port = free_port(0)?;
        let program = env::var("MARIADB_BIN").unwrap_or_else(|_| "mariadbd".into());
        let mut command = Command::new(program);
        command
            .args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=1"])
            .args(["--innodb-buffer-pool-size=512M", "--innodb-log-file-size=512M"])
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--socket={}", socket.display()))
            .arg(format!("--port={port}"))
            .arg(format!("--pid-file={}", directory.join("mariadb.pid").display()));
        let process = Process::start("mariadb", &mut command, directory)?;
        let database = Self { port, process, socket };
        let grant = format!(
            "CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO '{USER}'@'%'; CREATE DATABASE {DATABASE}"
        );
        until("MariaDB starts", Duration::from_secs(60), || {
            let output = database.root().args(["-e", &grant]).output()?;
            if output.status.success() { Ok(()) } else { bail!("{}", String::from_utf8_lossy(&output.stderr)) }
        })?;
        Ok(database)
    }

    /// Where tests connect to: they make databases of their own.
    pub(crate) fn url(&self) -> String {
        format!("mysql://{USER}:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    fn root(&self) -> Command {
        let mut command = Command::new("mariadb");
        command.arg("--no-defaults").arg("--user=root").arg(format!("--socket={}", self.socket.display()));
        command
    }

    /// Types a file into the database's own shell, as an operator does.
    pub(crate) fn type_in(&self, file: &Path) -> Result<()> {
        let output = self.shell().stdin(File::open(file)?).output()?;
        if !output.status.success() {
            bail!("{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// The database's own shell, as an administrator, in claiflow's schema.
    pub(crate) fn shell(&self) -> Command {
        let mut command = self.root();
        command.arg(format!("--database={DATABASE}"));
        command
    }
}
