//! `claiflow-agent bench`: one command, many times, and under which conditions.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use clap::Args;

use crate::{
    executor::commands::{CommandCall, Commands as _},
    plugin::{Clock as _, hex},
};

use super::{
    call::Call,
    shell::{Manner, Shell},
    shown,
    stage::{self, Stage},
    table::{Figures, Sample},
};

/// Calls that are not counted: the first ones fill caches.
const WARM_UP_SHARE: usize = 20;
const WARM_UP_MAX: usize = 200;

/// See [`super::Tool::Bench`].
#[derive(Args, Debug)]
#[command(
    after_help = "Conditions come first, then one line of names and one of values; memory is the peak of any call's sandbox. A \
                        call that fails ends the measurement with the exit code 1.\n\nExamples:\n  \
                        claiflow-agent bench plugins/dist/example.wasm math_pow --inputs '{\"x\":3,\"y\":2}'\n  \
                        claiflow-agent bench plugins/dist/example.wasm math_pow --inputs '{\"x\":3,\"y\":2}' --calls 100000 \
                        --concurrency 16"
)]
pub struct Bench {
    #[command(flatten)]
    /// Which command, with what.
    pub call: Call,
    /// How often.
    #[arg(long, default_value_t = 1_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub calls: usize,
    /// Calls at once.
    #[arg(long, default_value_t = 1, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000))]
    pub concurrency: usize,
}

impl Bench {
    /// True: every call gave a result.
    pub(super) async fn start(self, program: PathBuf) -> Result<bool, String> {
        let command = self.call.command.clone();
        let command = command.ok_or("COMMAND is missing; name one of the file's commands, which `inspect` lists")?;
        let inputs = self.call.inputs()?.unwrap_or_else(|| "{}".to_owned());
        let cluster = stage::cluster(&self.call).await?;
        let stage = Stage::open(&self.call, cluster, self.concurrency, None, program).await?;
        stage.check(&command)?;
        let (effect, shell) = (stage.effect_of(&command), Arc::new(Shell::new(Manner::Drop)));
        let call = self.call.command_call(command, inputs, effect, shell)?;

        self.conditions(&stage)?;
        let warm_up = (self.calls / WARM_UP_SHARE).min(WARM_UP_MAX);
        let measured = async {
            measure(&stage, &call, warm_up, self.concurrency).await?;
            measure(&stage, &call, self.calls, self.concurrency).await
        };
        match measured.await {
            Ok((samples, total)) => {
                shown(Figures::of(&samples, total).text(self.concurrency, resident_mib()))?;
                Ok(true)
            }
            Err(failed) => {
                super::told(failed);
                Ok(false)
            }
        }
    }

    fn conditions(&self, stage: &Stage) -> Result<(), String> {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let (processor, load) = (processor(), load());
        let build =
            if cfg!(debug_assertions) { "a debug build, which is many times slower" } else { "a release build" };
        let (limits, plugin) = (&stage.limits, &stage.plugin);
        let digest: String = hex(&plugin.digest).chars().take(12).collect();
        shown(format_args!(
            "machine  {cores} cores, {processor}, load {load}\nagent    {} ({build})\nplugin   {} {} (sha256 {digest}…), at most {} ms \
             CPU and {:.0} MiB where its grant says nothing\ncalls    {} after a warm-up, {} at once, each in a fresh sandbox\n",
            env!("CARGO_PKG_VERSION"),
            plugin.name,
            plugin.version,
            limits.cpu.as_millis(),
            super::table::mib(limits.memory_bytes),
            self.calls,
            self.concurrency,
        ))
    }
}

/// Makes the calls; what each took, and all together.
async fn measure(
    stage: &Stage,
    call: &CommandCall,
    calls: usize,
    concurrency: usize,
) -> Result<(Vec<Sample>, Duration), String> {
    let left = Arc::new(AtomicUsize::new(calls));
    let began = stage.clock.monotonic();
    let callers: Vec<_> = (0..concurrency)
        .map(|_| {
            let (runtime, call) = (stage.runtime.clone(), call.clone());
            let (left, clock) = (left.clone(), stage.clock.clone());
            tokio::spawn(async move {
                let mut samples = Vec::new();
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                    let began = clock.monotonic();
                    let done =
                        runtime.call(call.clone()).await.map_err(|failed| format!("{}: {failed}", failed.code))?;
                    samples.push(Sample { wall: clock.monotonic().saturating_sub(began), usage: done.usage });
                }
                Ok::<_, String>(samples)
            })
        })
        .collect();
    let mut samples = Vec::with_capacity(calls);
    for caller in callers {
        samples.extend(caller.await.map_err(|error| error.to_string())??);
    }
    Ok((samples, stage.clock.monotonic().saturating_sub(began)))
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or("an unknown processor", |(_, model)| model).to_owned()
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}
