//! `faults`: kills, stops and cuts off real processes under load, and judges by what people and plugins saw whether anything
//! was lost or happened twice.

mod agent;
mod board;
mod cases;
mod checker;
mod clock;
mod dice;
mod disk;
mod effects;
mod history;
mod line;
mod load;
mod receiver;
mod rest;
mod run;
mod server;
mod stage;
mod table;
mod watch;

use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, bail, ensure};

use cases::{Case, Kind, Skipped};
use run::{Ground, Outcome};

use crate::{cluster_of_two::Built, database::MariaDb, target};

/// The seed of the short run.
const SEED: u64 = 1;

/// Faults of a case that are told on stderr; all of them are in the JSON.
const SHOWN: usize = 5;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether somebody pressed Ctrl-C.
fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// See [`crate::Task::Faults`].
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask faults                                    every case once
  cargo xtask faults agent-killed-mid-step --seed 7     one case, as it was with this seed
  cargo xtask faults --minutes 60 --json > faults.json  all night, for a machine
  cargo xtask faults planted-old-lease                  a bug that must be found

The exit code is 1 when a promise was broken. Logs and histories are left in target/faults.")]
pub(crate) struct Faults {
    /// Cases, by name; every one when none is named.
    cases: Vec<String>,
    /// Show the cases and leave.
    #[arg(long)]
    list: bool,
    /// Begin again with the next seed until so many minutes are over.
    #[arg(long, default_value_t = 0)]
    minutes: u64,
    /// What the cases choose follows from it.
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// Only this engine.
    #[arg(long, value_parser = ["mariadb", "sqlite"])]
    database: Option<String>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Faults {
    pub(crate) fn run(self) -> Result<ExitCode> {
        if self.list {
            cases::all().for_each(|case| println!("{:26} {}", case.name, case.what));
            return Ok(ExitCode::SUCCESS);
        }
        let chosen = self.chosen()?;
        ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))?;
        let built = Built::for_faults()?;
        let directory = tempfile::tempdir()?;
        let home = target().join("faults");
        let maria = match chosen.iter().any(|(_, kind)| *kind == Kind::Maria) {
            true => MariaDb::start(directory.path()).map_err(|error| eprintln!("  without MariaDB: {error:#}")).ok(),
            false => None,
        };
        let mut ground = Ground { built: &built, home: &home, maria };
        let (mut outcomes, mut good) = (Vec::new(), true);
        let end = Instant::now() + Duration::from_secs(self.minutes * 60);
        for seed in self.seed.. {
            for (case, kind) in &chosen {
                match played(&mut ground, case, *kind, seed) {
                    Ok(Some(outcome)) => {
                        good &= outcome.is_good();
                        outcomes.push(outcome);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        eprintln!("  FAIL {} on {}, seed {seed}: {error:#}", case.name, kind.word());
                        good = false;
                    }
                }
                if interrupted() {
                    break;
                }
            }
            if Instant::now() >= end || interrupted() {
                break;
            }
        }
        match self.json {
            true => table::print_json(&outcomes),
            false => table::print(&outcomes),
        }
        Ok(if good && !interrupted() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Cases and engines, as they were named.
    fn chosen(&self) -> Result<Vec<(&'static Case, Kind)>> {
        for name in &self.cases {
            if !cases::all().any(|case| case.name == name) {
                bail!("there is no case `{name}`; --list shows those that there are");
            }
        }
        let is_chosen = |case: &&Case| match self.cases.is_empty() {
            true => case.planted.is_none(),
            false => self.cases.iter().any(|name| name == case.name),
        };
        let on = |kind: &Kind| self.database.as_deref().is_none_or(|only| only == kind.word().to_lowercase());
        Ok(cases::all()
            .filter(is_chosen)
            .flat_map(|case| case.engines.iter().filter(|kind| on(kind)).map(move |kind| (case, *kind)))
            .collect())
    }
}

/// Plays a case and says on stderr how it went; none where this machine cannot play it.
fn played(ground: &mut Ground<'_>, case: &'static Case, kind: Kind, seed: u64) -> Result<Option<Outcome>> {
    let began = Instant::now();
    let outcome = match ground.run(case, kind, seed) {
        Ok(outcome) => outcome,
        Err(error) if error.is::<Skipped>() => {
            eprintln!("  SKIPPED {} on {}: {error:#}", case.name, kind.word());
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let word = if outcome.is_good() { "ok  " } else { "FAIL" };
    let seconds = began.elapsed().as_secs();
    eprintln!("  {word} {} on {}, seed {seed}: {} tasks, {seconds} s", case.name, kind.word(), outcome.findings.tasks);
    let faults = &outcome.findings.faults;
    for fault in faults.iter().take(SHOWN) {
        eprintln!("       {fault}");
    }
    if faults.len() > SHOWN {
        eprintln!("       and {} more", faults.len() - SHOWN);
    }
    Ok(Some(outcome))
}

/// The short run of `cargo xtask test`: the cases that matter most, and the planted bugs. Each engine has a thread, since most of
/// a case is waiting.
pub(crate) fn short(maria: Option<MariaDb>) -> Result<Vec<(&'static str, Result<()>)>> {
    let built = Built::for_faults()?;
    let home = target().join("faults");
    let sqlite = Ground { built: &built, home: &home, maria: None };
    let maria = maria.map(|maria| Ground { built: &built, home: &home, maria: Some(maria) });
    thread::scope(|scope| {
        let grounds = [(Kind::Sqlite, Some(sqlite)), (Kind::Maria, maria)];
        let threads: Vec<_> = grounds
            .into_iter()
            .filter_map(|(kind, ground)| ground.map(|ground| scope.spawn(move || short_on(kind, ground))))
            .collect();
        let mut outcomes = Vec::new();
        for thread in threads {
            outcomes.extend(thread.join().map_err(|_| anyhow!("a case panicked"))?);
        }
        Ok(outcomes)
    })
}

fn short_on(engine: Kind, mut ground: Ground<'_>) -> Vec<(&'static str, Result<()>)> {
    let is_short = |case: &&Case| case.short == Some(engine) || (case.planted.is_some() && engine == Kind::Maria);
    let mut outcomes = Vec::new();
    for case in cases::all().filter(is_short) {
        let outcome = played(&mut ground, case, engine, SEED).and_then(|outcome| {
            let Some(outcome) = outcome else { return Ok(()) };
            ensure!(outcome.is_good(), "{:?}", outcome.findings);
            Ok(())
        });
        outcomes.push((case.name, outcome));
    }
    outcomes
}
