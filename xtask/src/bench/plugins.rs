//! What plugins cost their agent: to load, to call, and to keep, in each language.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::{calls::Times, conditions, measure::Table};
use crate::{
    cluster_of_two::Built,
    languages,
    process::{Process, free_port, until},
};

const START_MAX: Duration = Duration::from_secs(120);

/// See [`super::Bench::Plugins`].
#[derive(clap::Args)]
pub(crate) struct Plugins {
    /// Calls of a plugin in Rust; of the others, whose calls take longer, a tenth.
    #[arg(long, default_value_t = 100_000)]
    calls: usize,
}

impl Plugins {
    pub(super) fn run(&self) -> Result<()> {
        let built = Built::for_benchmarks()?;
        let directory = tempfile::tempdir()?;
        let others = directory.path().join("languages");
        languages::build(&others)?;
        conditions::print(directory.path())?;
        let mut table = Table::default();
        for (language, file, calls) in [
            ("Rust", built.plugins.join("example.wasm"), self.calls),
            ("JavaScript", others.join("example-js.wasm"), self.calls / 10),
            ("Python", others.join("example-py.wasm"), self.calls / 10),
            ("Go", others.join("example-go.wasm"), self.calls / 10),
        ] {
            let place = Place { agent: built.program("claiflow-agent"), file, cache: directory.path().join(language) };
            place.measure(language, calls, &mut table)?;
        }
        let example = fs::read(built.plugins.join("example.wasm"))?;
        for count in [1, 10, 50] {
            let mount = directory.path().join(format!("plugins-{count}"));
            copies(&example, count, &mount)?;
            let (first, _) = start(&built, &mount, count)?;
            let (cached, resident_mib) = start(&built, &mount, count)?;
            table.row(
                format!("an agent with {count} plugins in Rust"),
                format!(
                    "{resident_mib:.1} MiB resident; all loaded {:.0} ms after its start, {:.1} s where nothing is compiled yet",
                    cached.as_secs_f64() * 1e3,
                    first.as_secs_f64()
                ),
            );
        }
        budgets(&built, &mut table)?;
        table.print();
        Ok(())
    }
}

/// What each budget costs, as `host-agent/examples/budgets.rs` prints it.
fn budgets(built: &Built, table: &mut Table) -> Result<()> {
    let output = Command::new(built.program("examples/budgets")).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let [what, off, on] = *line.split('\t').collect::<Vec<_>>().as_slice() else { bail!("budgets printed {line}") };
        table.row(format!("budget of {what}"), format!("{off} ns without, {on} ns with it"));
    }
    Ok(())
}

/// One plugin, and where its compiled code is kept.
struct Place {
    agent: PathBuf,
    file: PathBuf,
    cache: PathBuf,
}

impl Place {
    fn measure(&self, language: &str, calls: usize, table: &mut Table) -> Result<()> {
        let (cold, cached) = (self.load()?, self.load()?);
        table.row(
            format!("{language}: load of {} bytes", fs::metadata(&self.file)?.len()),
            format!(
                "{:.2} s compiled, {:.0} ms from the cache, the process's start included",
                cold.as_secs_f64(),
                cached.as_secs_f64() * 1e3
            ),
        );
        for concurrency in [1, 16] {
            let times = self.times(calls, concurrency)?;
            table.row(
                format!("{language}: a whole call in a fresh sandbox, {concurrency} at once"),
                format!(
                    "p50 {:.1} µs, p99 {:.1} µs, {:.0} calls/s, {:.1} µs of CPU, {:.2} MiB each",
                    times.p50_us, times.p99_us, times.calls_per_s, times.cpu_us, times.memory_mib
                ),
            );
        }
        Ok(())
    }

    /// The time of an agent that loads the plugin and ends.
    fn load(&self) -> Result<Duration> {
        let mount = self.cache.with_extension("mount");
        fs::create_dir_all(&mount)?;
        fs::copy(&self.file, mount.join(self.file.file_name().context("a plugin has a name")?))?;
        let began = Instant::now();
        let output = Command::new(&self.agent)
            .arg("--precompile")
            .arg("--plugins")
            .arg(&mount)
            .arg("--cache")
            .arg(&self.cache)
            .output()?;
        let took = began.elapsed();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success() && said.contains(" ready: "),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(took)
    }

    fn times(&self, calls: usize, concurrency: usize) -> Result<Times> {
        let mut bench = Command::new(&self.agent);
        bench
            .arg("bench")
            .arg(&self.file)
            .args(["math_pow", "--inputs", r#"{"x":3,"y":2}"#])
            .arg("--cache")
            .arg(&self.cache);
        Times::of(bench.args(["--calls", &calls.to_string(), "--concurrency", &concurrency.to_string()]))
    }
}

/// The same plugin under other names of the same length; all claim its commands, which costs none of them its load.
fn copies(component: &[u8], count: usize, mount: &Path) -> Result<()> {
    fs::create_dir_all(mount)?;
    for index in 0..count {
        let name = format!("examp{index:02}");
        let mut copy = component.to_vec();
        let places: Vec<usize> =
            component.windows(7).enumerate().filter(|(_, window)| *window == b"example").map(|(at, _)| at).collect();
        for at in places {
            copy.get_mut(at..at + 7).context("a name ends behind the file")?.copy_from_slice(name.as_bytes());
        }
        fs::write(mount.join(format!("{name}.wasm")), copy)?;
    }
    Ok(())
}

/// Starts an agent whose server is nowhere; when all its plugins were loaded, and what it then has in memory.
fn start(built: &Built, mount: &Path, count: usize) -> Result<(Duration, f64)> {
    let directory = mount.with_extension("agent");
    fs::create_dir_all(&directory)?;
    let port = free_port(0)?;
    let health = format!("127.0.0.1:{port}");
    let mut agent = Command::new(built.program("claiflow-agent"));
    agent.arg("--plugins").arg(mount).arg("--state").arg(directory.join("state")).args(["--health", &health]);
    agent.args(["--server", "127.0.0.1:1", "--clusteruuid", "00000000000000000000000000000000", "--token", "none"]);
    let began = Instant::now();
    let process = Process::start("agent", &mut agent, &directory)?;
    let mut loaded = began;
    until("the plugins are loaded", START_MAX, || {
        let said: Value = ureq::get(&format!("http://{health}/plugins")).call()?.body_mut().read_json()?;
        let plugins = said.get("plugins").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let known = plugins.iter().filter(|plugin| plugin.get("version").is_some_and(|version| version != ""));
        ensure!(known.count() == count, "{} of {count} are there", plugins.len());
        loaded = Instant::now();
        Ok(())
    })?;
    let status = fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the agent is gone")?;
    let kib: f64 = resident.trim().trim_end_matches(" kB").parse()?;
    Ok((loaded - began, kib / 1024.0))
}
