//! A private MariaDB on a temporary directory.

use std::{
    env,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::process::{Process, free_port, until};

/// Stopped when dropped.
pub(crate) struct MariaDb {
    pub(crate) port: u16,
    pub(crate) process: Process,
    socket: PathBuf,
    directory: PathBuf,
    options: &'static [&'static str],
}

pub(crate) const USER: &str = "claiflow";
pub(crate) const PASSWORD: &str = "claiflow-tests";
pub(crate) const DATABASE: &str = "claiflow";

impl MariaDb {
    pub(crate) fn start(directory: &Path) -> Result<Self> {
        Self::with(directory, &["--innodb-buffer-pool-size=512M", "--innodb-log-file-size=512M"])
    }

    /// The same with options of its own.
    pub(crate) fn with(directory: &Path, options: &'static [&'static str]) -> Result<Self> {
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
        let process = launch(directory, port, options)?;
        let database = Self { port, process, socket, directory: directory.to_owned(), options };
        let grant = format!(
            "CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO '{USER}'@'%'; CREATE DATABASE {DATABASE}"
        );
        until("MariaDB starts", Duration::from_secs(60), || database.sql(&grant).map(drop))?;
        Ok(database)
    }

    /// Starts it again after its process ended, and waits until it answers.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        self.process = launch(&self.directory, self.port, self.options)?;
        until("MariaDB starts again", Duration::from_secs(60), || self.sql("SELECT 1").map(drop))
    }

    /// What the database's own shell answers to statements of an administrator, in no schema.
    pub(crate) fn sql(&self, statements: &str) -> Result<String> {
        let output = self.root().args(["--batch", "--skip-column-names", "-e", statements]).output()?;
        if !output.status.success() {
            bail!("{statements}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Begins to type statements of an administrator into a schema; a statement that fails does not end it.
    pub(crate) fn shell_with(&self, schema: &str, statements: &str) -> Result<Child> {
        let mut command = self.root();
        command.arg("--force").arg(format!("--database={schema}"));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().context("the database's shell could not be started")?;
        child.stdin.take().context("the database's shell listens to nobody")?.write_all(statements.as_bytes())?;
        Ok(child)
    }

    /// Where tests connect to: they make databases of their own.
    pub(crate) fn url(&self) -> String {
        format!("mysql://{USER}:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    /// A server's configuration with a schema of its own, which is made; it ends with a line break.
    pub(crate) fn config_of(&self, schema: &str) -> Result<String> {
        self.sql(&format!("CREATE DATABASE IF NOT EXISTS `{schema}`"))?;
        Ok(self.config(schema))
    }

    /// A server's configuration in claiflow's schema.
    pub(crate) fn config_here(&self) -> String {
        self.config(DATABASE)
    }

    fn config(&self, schema: &str) -> String {
        let port = self.port;
        format!(
            "database:\n  type: mariadb\n  host: 127.0.0.1\n  port: {port}\n  dbname: {schema}\n  username: {USER}\n  password: {PASSWORD}\n"
        )
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

fn launch(directory: &Path, port: u16, options: &[&str]) -> Result<Process> {
    let program = env::var("MARIADB_BIN").unwrap_or_else(|_| "mariadbd".into());
    let mut command = Command::new(program);
    command
        .args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=1"])
        .args(options)
        .arg(format!("--datadir={}", directory.join("mariadb").display()))
        .arg(format!("--socket={}", directory.join("mariadb.sock").display()))
        .arg(format!("--port={port}"))
        .arg(format!("--pid-file={}", directory.join("mariadb.pid").display()));
    Process::start("mariadb", &mut command, directory)
}
