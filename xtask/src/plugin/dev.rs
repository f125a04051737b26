//! `dev-plugin`: save, and the plugin is built and its command run again, under the grant.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, ensure};

use crate::{root, target};

use super::{Choice, components};

/// How often sources are looked at: a network mount announces nothing.
const LOOK: Duration = Duration::from_millis(300);
/// A crate with more sources is watched in part.
const FILES_MAX: usize = 10_000;
/// What tools write beside sources.
const NOT_SOURCES: [&str; 4] = ["target", "dist", "node_modules", "__pycache__"];

/// See [`crate::Task::DevPlugin`].
#[derive(clap::Args)]
#[command(
    after_help = "What is asked of a cluster is judged under the grants file's entry, whatever file it pins: each build is another. \
                        What does not compile is shown, and the next save tries again. Ctrl-C ends it.

Examples:
  cargo xtask dev-plugin plugins/example helloworld --inputs '{\"name\":\"world\"}'
  cargo xtask dev-plugin ../restart-tool restart-tool.run --inputs @inputs.json --grants grants.yaml --kubeconfig ~/.kube/config
  cargo xtask dev-plugin ../restart-tool restart-tool.run --replay restart.yaml --grants grants.yaml"
)]
pub(crate) struct DevPlugin {
    /// The folder of a plugin crate.
    path: PathBuf,
    /// The command to run after each build.
    command: String,
    /// A JSON object, or @FILE that holds one.
    #[arg(long, value_name = "JSON|@FILE")]
    inputs: Option<String>,
    /// A grants file; without it the plugin may know its task and write its log, nothing else.
    #[arg(long, value_name = "FILE")]
    grants: Option<PathBuf>,
    /// The cluster on which it works.
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    kubeconfig: Option<PathBuf>,
    /// The namespace of the plugins' accounts.
    #[arg(long, requires = "kubeconfig")]
    namespace: Option<String>,
    /// Answer what was recorded, with no cluster.
    #[arg(long, value_name = "CASSETTE")]
    replay: Option<PathBuf>,
    /// Where the component goes.
    #[arg(long, default_value = "plugins/dist")]
    out: PathBuf,
    /// Build and run once; the exit code is that of the run.
    #[arg(long)]
    once: bool,
}

impl DevPlugin {
    pub(crate) fn run(self) -> Result<u8> {
        ensure!(self.path.is_dir(), "{} is no folder; name that of a plugin crate", self.path.display());
        let agent = agent()?;
        loop {
            // What is saved while it builds is built next.
            let seen = self.sources();
            let ended = self.turn(&agent);
            if self.once {
                return ended;
            }
            if let Err(error) = ended {
                eprintln!("{error:#}");
            }
            eprintln!("→ waiting for a save in {}; Ctrl-C ends this", self.path.display());
            while self.sources() == seen {
                thread::sleep(LOOK);
            }
        }
    }

    /// The crate, and every file that the run reads.
    fn sources(&self) -> Sources {
        let mut sources = Sources::of(&self.path);
        let inputs = self.inputs.as_deref().and_then(|inputs| inputs.strip_prefix('@')).map(PathBuf::from);
        for file in [&self.grants, &self.replay, &inputs].into_iter().flatten() {
            let saved = fs::metadata(file).and_then(|found| found.modified()).ok();
            sources.0.insert(file.clone(), saved);
        }
        sources
    }

    /// Builds, then runs.
    fn turn(&self, agent: &Path) -> Result<u8> {
        let built = components(std::slice::from_ref(&self.path), &self.out, Choice::Auto)?;
        let built = built.first().context("nothing was built")?;
        let mut run = Command::new(agent);
        run.arg("run").arg(&built.file).arg(&self.command);
        run.arg("--cache").arg(target().join("dev-plugin"));
        for (flag, value) in
            [("--kubeconfig", &self.kubeconfig), ("--grants", &self.grants), ("--replay", &self.replay)]
        {
            if let Some(value) = value {
                run.arg(flag).arg(value);
            }
        }
        if self.grants.is_some() {
            run.arg("--unpinned");
        }
        for (flag, value) in [("--inputs", &self.inputs), ("--namespace", &self.namespace)] {
            if let Some(value) = value {
                run.args([flag, value]);
            }
        }
        let status = run.status().with_context(|| format!("{} could not be started", agent.display()))?;
        eprintln!("→ {} {}: {status}", built.name, self.command);
        Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
    }
}

/// The agent of this checkout, as it is now.
fn agent() -> Result<PathBuf> {
    let mut cargo = crate::process::cargo();
    // Among the same packages as all else, or half of the dependencies are built anew.
    cargo.current_dir(root()).args(["build", "--workspace", "--bin", "claiflow-agent"]);
    crate::process::shown(&mut cargo)?;
    Ok(target().join("debug/claiflow-agent"))
}

/// When each file was saved.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sources(BTreeMap<PathBuf, Option<SystemTime>>);

impl Sources {
    fn of(folder: &Path) -> Self {
        let mut sources = Self::default();
        sources.add(folder);
        sources
    }

    /// A file that goes while it is looked at is one that changed.
    fn add(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') || NOT_SOURCES.contains(&&*name) || self.0.len() >= FILES_MAX {
                continue;
            }
            match entry.metadata() {
                Ok(found) if found.is_dir() => self.add(&entry.path()),
                Ok(found) => drop(self.0.insert(entry.path(), found.modified().ok())),
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::SystemTime};

    use super::Sources;

    #[test]
    fn a_save_is_seen_and_what_tools_write_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("src/lib.rs");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::create_dir_all(folder.path().join("target")).unwrap();
        fs::write(&file, "a").unwrap();
        let seen = Sources::of(folder.path());
        fs::write(folder.path().join("target/x"), "b").unwrap();
        fs::write(folder.path().join(".swap"), "b").unwrap();
        assert_eq!(Sources::of(folder.path()), seen);
        fs::File::options().write(true).open(&file).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let saved = Sources::of(folder.path());
        assert_ne!(saved, seen);
        fs::remove_file(&file).unwrap();
        assert_ne!(Sources::of(folder.path()), saved);
    }
}
