//! A neighbour that wants nothing but its own short calls, and the table of who did what to it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use claiflow_agent::{executor::commands::Commands, plugin::Runtime};
use tokio::task::JoinHandle;

use crate::plugin_parts::call;

/// Whether there is a table to fill; a test that passes says nothing.
pub(crate) fn has_time() -> bool {
    std::env::var_os("CLAIFLOW_ABUSE_TABLE").is_some()
}

/// Calls of the neighbour before an attack, which say what is normal, and during it: a percentile needs many.
pub(crate) fn calls() -> usize {
    if has_time() { 4_000 } else { 200 }
}

/// What one attack came to.
pub(crate) struct Row {
    pub(crate) attack: String,
    /// How each of its calls, or its file, ended.
    pub(crate) ended: String,
    /// What it used of its budgets, for a person.
    pub(crate) used: String,
    /// The neighbour's 99th percentile before and during the attack.
    pub(crate) quiet: Duration,
    pub(crate) during: Duration,
    /// Calls of the neighbour during the attack.
    pub(crate) served: usize,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.during.as_secs_f64() / self.quiet.as_secs_f64()
    }
}

/// Prints the rows, one line each.
pub(crate) fn print(rows: &[Row]) {
    println!(
        "{:<44} {:<36} {:<52} {:>10} {:>10} {:>6} {:>6}",
        "attack", "ended as", "used", "p99 quiet", "p99 during", "ratio", "served"
    );
    for row in rows {
        println!(
            "{:<44} {:<36} {:<52} {:>7.2} ms {:>7.2} ms {:>6.2} {:>6}",
            row.attack,
            row.ended,
            row.used,
            row.quiet.as_secs_f64() * 1e3,
            row.during.as_secs_f64() * 1e3,
            row.ratio(),
            row.served
        );
    }
}

/// A plugin that is called again and again, one call after the other.
pub(crate) struct Neighbour {
    runtime: Arc<Runtime>,
    quiet: Duration,
}

impl Neighbour {
    /// Measures what is normal.
    pub(crate) async fn at_rest(runtime: Arc<Runtime>) -> Self {
        let mut times = Vec::new();
        for _ in 0..calls() {
            times.push(once(&runtime).await);
        }
        Self { runtime, quiet: p99(times) }
    }

    /// Goes on calling until it is told to stop.
    pub(crate) fn calls(&self) -> Calling {
        let (runtime, stop, served) =
            (self.runtime.clone(), Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, counted) = (stop.clone(), served.clone());
        let times = tokio::spawn(async move {
            let mut times = Vec::new();
            while !stopped.load(Ordering::Relaxed) || times.is_empty() {
                times.push(once(&runtime).await);
                counted.store(times.len(), Ordering::Relaxed);
            }
            times
        });
        Calling { quiet: self.quiet, stop, served, times }
    }
}

/// A neighbour that is calling.
pub(crate) struct Calling {
    quiet: Duration,
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    times: JoinHandle<Vec<Duration>>,
}

impl Calling {
    /// How many calls it has made.
    pub(crate) fn served(&self) -> usize {
        self.served.load(Ordering::Relaxed)
    }

    pub(crate) async fn row(self, attack: &str, ended: String, used: String) -> Row {
        self.stop.store(true, Ordering::Relaxed);
        let times = self.times.await.expect("every call of the neighbour succeeds");
        let served = times.len();
        Row { attack: attack.into(), ended, used, quiet: self.quiet, during: p99(times), served }
    }
}

async fn once(runtime: &Runtime) -> Duration {
    let began = Instant::now();
    let done = runtime.call(call("neighbour", "{}")).await.expect("the neighbour is served");
    assert_eq!(done.output, "{}");
    began.elapsed()
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[(times.len() - 1) * 99 / 100]
}
