//! `claiflow-agent run FILE COMMAND`: one plugin's command from a shell, and how fast it is.
//!
//! It takes the same way as a task's call: loader, grants, input schema, gate, fresh sandbox, budgets.

use std::{
    io::Write,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    executor::commands::{CallSink, CommandCall, Commands, Declared, Effect, LogLevel, Server},
    http::Client,
    kubernetes::Cluster,
};

use super::{Clock, Config, Runtime, host::lines::clean};

/// What the shell said, parsed.
#[derive(Clone, Debug)]
pub struct RunArgs {
    /// The component file.
    pub file: PathBuf,
    /// The command to call.
    pub command: String,
    /// A JSON object.
    pub inputs: String,
    /// How often; more than 1 prints a table in place of the result.
    pub repeat: usize,
    /// Calls at once.
    pub concurrency: usize,
    /// A grants file.
    pub grants: Option<PathBuf>,
    /// Compiled code; none compiles each time.
    pub cache: Option<PathBuf>,
    /// The cluster on which it works.
    pub cluster: Option<Arc<Cluster>>,
    /// What sends its requests over HTTP.
    pub http: Arc<Client>,
}

/// Runs it; the result goes to standard output, log lines and errors to standard error.
pub async fn run_once(args: RunArgs, worker: PathBuf, clock: Arc<dyn Clock>) -> ExitCode {
    match run(args, worker, clock).await {
        Ok(text) => {
            let written = writeln!(std::io::stdout(), "{text}");
            if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: RunArgs, worker: PathBuf, clock: Arc<dyn Clock>) -> Result<String, String> {
    let mount = Mount::of(&args.file)?;
    let concurrency = args.concurrency.max(1);
    let config = Config {
        grants: args.grants,
        cache: args.cache,
        cluster: args.cluster,
        http: args.http,
        ..Config::new(vec![mount.0.clone()], worker)
    };
    let runtime = Runtime::open(Config { slots: config.slots.max(concurrency), ..config }, clock.clone())
        .map_err(|error| error.to_string())?;
    runtime.settled().await;
    let inventory = runtime.inventory().borrow().clone();
    for plugin in inventory.plugins.iter().filter(|plugin| !plugin.reason.is_empty()) {
        let _ = writeln!(std::io::stderr(), "{}: {}", plugin.name, plugin.reason);
    }
    let effect = effect_of(&runtime, &args.command);
    let call = CommandCall {
        command: args.command,
        inputs: args.inputs,
        task: "0".repeat(32),
        step: "0".to_owned(),
        attempt: 1,
        effect,
        effect_key: "0".repeat(32),
        notes: Vec::new(),
        remaining: Duration::from_secs(3600),
        traceparent: String::new(),
        sink: Arc::new(Shell { quiet: args.repeat > 1 }),
        stop: CancellationToken::new(),
    };
    if args.repeat <= 1 {
        let done = runtime.call(call).await.map_err(|failed| {
            let details = failed.details.as_deref().map(|details| format!("\n{details}")).unwrap_or_default();
            format!("{}: {failed}{details}", failed.code)
        })?;
        return Ok(done.output);
    }
    measure(&runtime, &call, args.repeat, concurrency, clock).await
}

/// Rules over the inputs are evaluated where a flow runs; here nothing follows that they could protect.
fn effect_of(runtime: &Runtime, command: &str) -> Effect {
    match runtime.server_of(command) {
        Some(Server { effect: Declared::Class(effect), floor, .. }) => effect.max(floor),
        _ => Effect::Never,
    }
}

async fn measure(
    runtime: &Arc<Runtime>,
    call: &CommandCall,
    repeat: usize,
    concurrency: usize,
    clock: Arc<dyn Clock>,
) -> Result<String, String> {
    let left = Arc::new(AtomicUsize::new(repeat));
    let began = clock.monotonic();
    let callers: Vec<_> = (0..concurrency)
        .map(|_| {
            let (runtime, call, left, clock) = (runtime.clone(), call.clone(), left.clone(), clock.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                    let began = clock.monotonic();
                    let done =
                        runtime.call(call.clone()).await.map_err(|failed| format!("{}: {failed}", failed.code))?;
                    times.push((clock.monotonic().saturating_sub(began), done.usage));
                }
                Ok::<_, String>(times)
            })
        })
        .collect();
    let mut times = Vec::with_capacity(repeat);
    for caller in callers {
        times.extend(caller.await.map_err(|error| error.to_string())??);
    }
    let total = clock.monotonic().saturating_sub(began);
    let mut walls: Vec<_> = times.iter().map(|(wall, _)| *wall).collect();
    walls.sort();
    let cpu: Duration = times.iter().map(|(_, usage)| usage.cpu).sum();
    let calls = u32::try_from(times.len()).unwrap_or(u32::MAX).max(1);
    let at = |share: usize| {
        walls.get((walls.len() * share / 1000).min(walls.len().saturating_sub(1))).copied().unwrap_or_default()
    };
    let us = |time: Duration| time.as_secs_f64() * 1e6;
    Ok(format!(
        "{:>10} {:>11} {:>9} {:>9} {:>9} {:>9} {:>10} {:>8}\n{:>10} {:>11} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>10.0} {:>8.1}",
        "calls",
        "concurrency",
        "p50 µs",
        "p99 µs",
        "max µs",
        "cpu µs",
        "calls/s",
        "RSS MiB",
        times.len(),
        concurrency,
        us(at(500)),
        us(at(990)),
        us(at(1000)),
        us(cpu / calls),
        f64::from(calls) / total.as_secs_f64(),
        resident_mib(),
    ))
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

/// A directory that holds nothing but a link to the one file.
struct Mount(PathBuf);

impl Mount {
    fn of(file: &std::path::Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", file.display());
        let target = file.canonicalize().map_err(failed)?;
        let name = file.file_name().filter(|name| name.to_string_lossy().ends_with(".wasm"));
        let name = name.ok_or_else(|| format!("{}: a plugin's file ends in .wasm", file.display()))?;
        let mount = Self(std::env::temp_dir().join(format!(
            "claiflow-run-{}-{}",
            std::process::id(),
            uuid::Uuid::new_v4().simple()
        )));
        std::fs::create_dir(&mount.0).map_err(failed)?;
        std::os::unix::fs::symlink(target, mount.0.join(name)).map_err(failed)?;
        Ok(mount)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // What cannot be removed is a link in the temporary directory, and nothing else.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Shell {
    quiet: bool,
}

#[async_trait::async_trait]
impl CallSink for Shell {
    fn log(&self, level: LogLevel, message: &str, fields: &[(String, String)]) {
        if self.quiet {
            return;
        }
        let fields: String = fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        let _ = writeln!(std::io::stderr(), "{level:?} {message}{fields}");
    }

    fn progress(&self, done: u64, total: u64, message: &str) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "{done}/{total} {}", clean(message, 1 << 10));
        }
    }

    /// No attempt follows that could miss it.
    async fn note(&self, text: String) -> bool {
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "note {}", clean(&text, 4 << 10));
        }
        true
    }
}
