//! A real Kubernetes control plane on this machine, with no container engine: `cargo xtask cluster up`.

#![allow(clippy::indexing_slicing, reason = "what a JSON value does not have reads as null")]

mod interrupt;
mod plane;
mod programs;

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

pub(crate) use plane::ControlPlane;
pub(crate) use programs::Programs;

use crate::process::until;

/// See [`crate::Task::Cluster`].
#[derive(clap::Subcommand)]
#[command(after_help = "Examples:
  cargo xtask cluster up
  cargo xtask cluster up --name other --nodes 3
  cargo xtask cluster down")]
pub(crate) enum Cluster {
    /// Start one and leave it running; its programs are built where they are not there yet.
    Up {
        #[command(flatten)]
        which: Which,
        /// Nodes that it has.
        #[arg(long, default_value_t = 1)]
        nodes: usize,
    },
    /// Stop it, and forget what was in it.
    Down {
        #[command(flatten)]
        which: Which,
    },
    /// Say whether it runs.
    Status {
        #[command(flatten)]
        which: Which,
    },
    /// Build its programs and start nothing.
    Build,
}

/// Which control plane of this machine.
#[derive(clap::Args)]
pub(crate) struct Which {
    /// Several can run beside each other.
    #[arg(long, default_value = "default")]
    name: String,
}

impl Cluster {
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::Up { which, nodes } => up(&which.directory()?, &which.name, nodes),
            Self::Down { which } => down(&which.directory()?, &which.name),
            Self::Status { which } => status(&which.directory()?, &which.name),
            Self::Build => Programs::ready().map(drop),
        }
    }
}

impl Which {
    fn directory(&self) -> Result<PathBuf> {
        let is_plain = self.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_plain || self.name.is_empty() {
            bail!("--name {}: letters, digits and `-` only", self.name);
        }
        let base = env::var_os("XDG_STATE_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".local/state")))
            .context("neither XDG_STATE_HOME nor HOME says where state may be")?;
        Ok(base.join("claiflow/cluster").join(&self.name))
    }
}

fn up(directory: &Path, name: &str, nodes: usize) -> Result<()> {
    if !living(directory).is_empty() {
        bail!("it runs already: `cargo xtask cluster down --name {name}` stops it");
    }
    let programs = Programs::ready()?;
    interrupt::listen()?;
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    let began = Instant::now();
    let plane = ControlPlane::start_detached(programs, directory, nodes)?;
    let processes: Vec<Value> = plane.ids().map(|id| json!({"id": id, "started": started(id)})).collect();
    fs::write(directory.join("processes.json"), Value::from(processes).to_string())?;
    let (kubeconfig, kubectl) = (plane.kubeconfig(), plane.kubectl_command().get_program().to_owned());
    println!(
        "up after {:.1} s, at https://127.0.0.1:{}\n\n  export KUBECONFIG={}\n  {} get nodes\n\n`cargo xtask cluster down --name {name}` stops it.",
        began.elapsed().as_secs_f64(),
        plane.port,
        kubeconfig.display(),
        Path::new(&kubectl).display(),
    );
    plane.leave();
    Ok(())
}

fn down(directory: &Path, name: &str) -> Result<()> {
    let living = living(directory);
    if living.is_empty() && !directory.exists() {
        println!("there is no cluster `{name}`");
        return Ok(());
    }
    // The last one started needs the others.
    for pid in living.iter().rev() {
        kill_process(*pid, Signal::TERM)?;
    }
    let ended = until("its processes end", Duration::from_secs(10), || match self::living(directory).len() {
        0 => Ok(()),
        count => bail!("{count} are there"),
    });
    if ended.is_err() {
        for pid in self::living(directory) {
            kill_process(pid, Signal::KILL)?;
        }
    }
    fs::remove_dir_all(directory)?;
    println!("the cluster `{name}` is gone");
    Ok(())
}

fn status(directory: &Path, name: &str) -> Result<()> {
    match living(directory).len() {
        0 => println!("the cluster `{name}` does not run: `cargo xtask cluster up --name {name}`"),
        count => println!(
            "the cluster `{name}` runs ({count} processes): export KUBECONFIG={}",
            directory.join("kubeconfig").display()
        ),
    }
    Ok(())
}

/// The recorded processes that are still the ones that were started; a number may have gone to somebody else.
fn living(directory: &Path) -> Vec<Pid> {
    let recorded = fs::read_to_string(directory.join("processes.json")).unwrap_or_default();
    let recorded: Vec<Value> = serde_json::from_str(&recorded).unwrap_or_default();
    recorded
        .iter()
        .filter_map(|process| {
            let id = u32::try_from(process["id"].as_u64()?).ok()?;
            let is_same = started(id).is_some() && started(id) == process["started"].as_u64();
            is_same.then(|| Pid::from_raw(i32::try_from(id).ok()?)).flatten()
        })
        .collect()
}

/// When a process started, in the kernel's ticks since its boot; none when it has ended.
fn started(id: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The program's name may hold spaces; what follows its closing parenthesis does not.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if *fields.first()? == "Z" {
        return None;
    }
    fields.get(19)?.parse().ok()
}
