//! Three real Galera nodes on loopback, and the promise that the death of the one that is written to loses no task.

use std::{
    collections::HashMap,
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{
    cluster_of_two::{Built, CLUSTER, Pair},
    database::{DATABASE, PASSWORD, USER},
    process::{Process, shown, until},
};

const PROVIDERS: [&str; 2] = ["/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so"];
/// Whom Debian's mariadb-server makes.
const OWNER: &str = "mysql";
/// Tasks of the load, by as many people at once.
const TASKS: usize = 400;
const PEOPLE: usize = 8;
/// The writer is killed when this many are accepted.
const KILL_AT: usize = TASKS / 4;

/// One member.
pub(crate) struct Node {
    host: String,
    port: u16,
    socket: PathBuf,
    process: Process,
}

/// Stopped when dropped.
pub(crate) struct Galera {
    pub(crate) nodes: Vec<Node>,
}

/// What this machine lacks for a node.
pub(crate) fn missing() -> Option<&'static str> {
    if provider().is_none() {
        return Some("galera-4 is missing: apt-get install galera-4");
    }
    Command::new("rsync").arg("--version").output().is_err().then_some("rsync is missing: apt-get install rsync")
}

fn provider() -> Option<&'static str> {
    PROVIDERS.into_iter().find(|file| Path::new(file).exists())
}

impl Galera {
    /// Three members. They begin with copies of one state, so that little has to be sent from one to another.
    pub(crate) fn start(directory: &Path) -> Result<Self> {
        let hosts: Vec<String> = (1..=3).map(|last| format!("127.0.0.{last}")).collect();
        let places: Vec<Place> =
            hosts.iter().map(|host| Place::new(&directory.join(host), host)).collect::<Result<_>>()?;
        let [first, others @ ..] = places.as_slice() else { bail!("a cluster has members") };
        first.install()?;
        let grant = format!(
            "CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO '{USER}'@'%'; CREATE DATABASE {DATABASE}"
        );
        let mut seed = first.start("", true)?;
        seed.ask(&grant)?;
        seed.process.stop()?;
        for other in others {
            shown(Command::new("cp").arg("--archive").arg(first.data()).arg(other.data()))?;
            fs::remove_file(other.data().join("galera.cache"))?;
        }
        let members =
            places.iter().map(|place| format!("{}:{}", place.host, place.group)).collect::<Vec<_>>().join(",");
        let mut galera = Self { nodes: vec![] };
        for place in &places {
            let node = place.start(&members, galera.nodes.is_empty())?;
            galera.nodes.push(node);
        }
        Ok(galera)
    }

    fn node(&self, index: usize) -> Result<&Node> {
        self.nodes.get(index).context("there is no such node")
    }

    /// What `database` of the server's configuration says.
    fn config(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(|node| format!("'{}:{}'", node.host, node.port)).collect();
        format!(
            "database:\n  type: mariadb\n  host: [{}]\n  dbname: {DATABASE}\n  username: {USER}\n  password: {PASSWORD}\n",
            hosts.join(", ")
        )
    }
}

/// Where a member is, whether it runs or not.
struct Place {
    host: String,
    directory: PathBuf,
    port: u16,
    group: u16,
}

impl Place {
    fn new(directory: &Path, host: &str) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let (directory, host) = (directory.to_owned(), host.to_owned());
        Ok(Self { port: free_port(&host)?, group: free_port(&host)?, host, directory })
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn install(&self) -> Result<()> {
        let output = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--user=root", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(format!("--datadir={}", self.data().display()))
            .output()
            .context("mariadb-install-db is missing: apt-get install mariadb-server")?;
        ensure!(output.status.success(), "mariadb-install-db: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// A transfer's rsync drops root's rights and could not write; so a member of root's is run by another user.
    fn give_away(&self) -> Result<()> {
        if rustix::process::geteuid().is_root() {
            fs::set_permissions(self.directory.parent().unwrap_or(&self.directory), fs::Permissions::from_mode(0o711))?;
            shown(Command::new("chown").args(["--recursive", OWNER]).arg(&self.directory))?;
        }
        Ok(())
    }

    /// Starts the member, as the first of a cluster or as one of `members`, and waits until it has the cluster's state.
    fn start(&self, members: &str, first: bool) -> Result<Node> {
        let (host, socket) = (&self.host, self.directory.join("socket"));
        // A machine that runs many tests pauses; a member must not be taken for dead because of that alone.
        let options = format!(
            "gmcast.listen_addr=tcp://{host}:{};ist.recv_addr={host}:{};evs.suspect_timeout=PT8S;evs.inactive_timeout=PT20S;gcache.size=32M",
            self.group,
            free_port(host)?,
        );
        let program = env::var("MARIADB_BIN").unwrap_or_else(|_| "mariadbd".into());
        let mut command = Command::new(program);
        command
            .args(["--no-defaults", "--binlog-format=ROW", "--innodb-autoinc-lock-mode=2"])
            .args(rustix::process::geteuid().is_root().then(|| format!("--user={OWNER}")))
            .args(["--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=128M", "--wsrep-on=ON"])
            .arg(format!("--wsrep-provider={}", provider().unwrap_or_default()))
            .arg(format!("--wsrep-cluster-address=gcomm://{members}"))
            .arg(format!("--wsrep-node-address={host}:{}", self.group))
            .arg(format!("--wsrep-provider-options={options}"))
            .args(["--wsrep-cluster-name=claiflow", "--wsrep-sst-method=rsync"])
            .arg(format!("--wsrep-sst-receive-address={host}:{}", free_port(host)?))
            .args(first.then_some("--wsrep-new-cluster"))
            .arg(format!("--bind-address={host}"))
            .arg(format!("--port={}", self.port))
            .arg(format!("--datadir={}", self.data().display()))
            .arg(format!("--tmpdir={}", self.directory.display()))
            .arg(format!("--socket={}", socket.display()))
            .arg(format!("--pid-file={}", self.directory.join("pid").display()));
        self.give_away()?;
        let process = Process::start("galera", &mut command, &self.directory)?;
        let node = Node { host: host.clone(), port: self.port, socket, process };
        until("a Galera node is synced", Duration::from_secs(60), || {
            let state = node.ask("SHOW STATUS LIKE 'wsrep_local_state_comment'")?;
            if state.contains("Synced") { Ok(()) } else { bail!("its state is {state:?}") }
        })
        .with_context(|| node.process.said().lines().rev().take(15).collect::<Vec<_>>().join("\n"))?;
        Ok(node)
    }
}

impl Node {
    /// Types a statement into the node's own shell.
    fn ask(&self, text: &str) -> Result<String> {
        let output = Command::new("mariadb")
            .args(["--no-defaults", "--user=root", "--batch", "--skip-column-names", "--execute", text])
            .arg(format!("--socket={}", self.socket.display()))
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// A port that is free now on an address of loopback.
fn free_port(host: &str) -> Result<u16> {
    Ok(std::net::TcpListener::bind((host, 0))?.local_addr()?.port())
}

/// Kills the node that is written to, under load; every accepted task has exactly one end, the right one.
pub(crate) fn run(built: &Built, directory: &Path) -> Vec<(&'static str, Result<()>)> {
    eprintln!("→ a Galera cluster loses the node that is written to");
    vec![("the death of the node that is written to loses no task and runs none twice", writer_dies(built, directory))]
}

fn writer_dies(built: &Built, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    let mut galera = Galera::start(directory)?;
    let mut pair = Pair::start_with(built, directory, galera.config(), (0, 0))?;
    pair.declare()?;
    pair.start_agent()?;
    let accepted = load(&pair, &mut galera.nodes)?;
    ensure!(accepted.len() == TASKS, "only {} of {TASKS} tasks were accepted", accepted.len());
    for (uuid, name) in &accepted {
        let task = pair.ended(uuid)?;
        ensure!(task.get("state") == Some(&json!("succeeded")), "{task}");
        let result = pair.get(&format!("/api/v1/cluster/{CLUSTER}/service/{uuid}/result"))?;
        ensure!(result.get("result") == Some(&json!(format!("\"hello {name}\""))), "{uuid}: {result}");
    }
    let rest = galera.node(1)?;
    let count = |sql: &str| rest.ask(&format!("USE {DATABASE}; {sql}"));
    ensure!(count("SELECT COUNT(*) FROM task")? == "0", "tasks are live that have ended");
    ensure!(count("SELECT COUNT(*) FROM lease")? == "0", "leases are left");
    ensure!(count("SELECT COUNT(*) - COUNT(DISTINCT id, cluster) FROM history")? == "0", "a task ended twice");
    ensure!(count("SELECT COUNT(*) FROM history")? == TASKS.to_string(), "another number of tasks ended");
    Ok(())
}

/// Creates tasks, each under a uuid of its own and repeated until it is accepted, and kills the first node in the middle. Answers
/// what each accepted one is called.
fn load(pair: &Pair<'_>, nodes: &mut [Node]) -> Result<HashMap<String, String>> {
    let (sender, answers) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        for person in 0..PEOPLE {
            let sender = sender.clone();
            scope.spawn(move || {
                for number in (person..TASKS).step_by(PEOPLE) {
                    // The receiver goes only after an error that the caller is told.
                    let _ = sender.send(create(pair, number));
                }
            });
        }
        drop(sender);
        let mut accepted = HashMap::new();
        for answer in answers {
            let (uuid, name) = answer?;
            accepted.insert(uuid, name);
            if accepted.len() == KILL_AT
                && let Some(writer) = nodes.first_mut()
            {
                writer.process.kill()?;
                eprintln!("  the node that is written to was killed");
            }
        }
        Ok(accepted)
    })
}

fn create(pair: &Pair<'_>, number: usize) -> Result<(String, String)> {
    let (uuid, name) = (format!("{:032x}", 0x0a1e_0000 + number), format!("person {number}"));
    let request =
        json!({"uuid": uuid, "template_uuid": "example_simple", "cluster_uuids": [CLUSTER], "inputs": {"name": name}});
    until("a task is accepted", Duration::from_secs(120), || {
        let (status, answer) = pair.call("POST", "/api/v1/service", Some(&request.to_string()))?;
        let same = answer.pointer("/0/uuid").and_then(Value::as_str) == Some(&uuid);
        if status == 200 && same { Ok(()) } else { bail!("{status} {answer}") }
    })?;
    Ok((uuid, name))
}
