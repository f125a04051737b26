//! One case on one engine, from an empty stage to findings.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{
    cases::{Case, Kind, Planted, Skipped},
    checker::{Allowed, Findings, check},
    dice::Dice,
    disk::Disk,
    server::Engine,
    stage::Stage,
};
use crate::{cluster_of_two::Built, database::MariaDb};

/// What is late comes within this time after everything has ended.
const LINGER: Duration = Duration::from_secs(2);
/// A MariaDB that fits on a small disk.
const SMALL: &[&str] = &["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=8M"];

/// What became of a case.
pub(super) struct Outcome {
    pub(super) case: &'static Case,
    pub(super) kind: Kind,
    pub(super) seed: u64,
    pub(super) findings: Findings,
    /// Reports that the servers refused.
    pub(super) stale_refused: u64,
    /// From what was put right until everything had ended.
    pub(super) recovered: Option<Duration>,
}

impl Outcome {
    /// Whether every promise was kept; of a planted bug: whether it was found.
    pub(super) fn is_good(&self) -> bool {
        match self.case.planted {
            None => self.findings.is_good(),
            Some(Planted::Lost) => self.findings.lost > 0,
            Some(Planted::Doubled) => self.findings.doubled > 0,
            Some(Planted::StaleAccepted) => self.findings.stale_accepted > 0,
        }
    }
}

/// What the cases share.
pub(super) struct Ground<'a> {
    pub(super) built: &'a Built,
    /// Where each case leaves its logs.
    pub(super) home: &'a Path,
    pub(super) maria: Option<MariaDb>,
}

impl Ground<'_> {
    /// Plays a case and judges what was seen.
    ///
    /// # Errors
    /// [`Skipped`] where this machine cannot do what the case needs; anything else when the case could not be played.
    pub(super) fn run(&mut self, case: &'static Case, kind: Kind, seed: u64) -> Result<Outcome> {
        let name = format!("{}-{}", case.name, kind.word().to_lowercase());
        let home = self.home.join(&name);
        if home.exists() {
            fs::remove_dir_all(&home)?;
        }
        fs::create_dir_all(&home)?;
        let (disk, mut small) = match (case.small_disk, kind) {
            (false, _) => (None, None),
            (true, Kind::Sqlite) => (Some(small_disk(&home.join("data"), 8)?), None),
            (true, Kind::Maria) => {
                let disk = small_disk(&home.join("disk"), 256)?;
                (Some(disk), Some(MariaDb::with(&home.join("disk"), SMALL)?))
            }
        };
        let engine = match kind {
            Kind::Sqlite => Engine::Sqlite,
            Kind::Maria => {
                let shared = small.as_mut().or(self.maria.as_mut());
                let database = shared.ok_or_else(|| Skipped("MariaDB is not there".into()))?;
                Engine::maria(database, &format!("faults_{}", case.name.replace('-', "_")))?
            }
        };
        let mut stage = Stage::open(self.built, home.clone(), engine, disk, Dice::new(seed, case.name))?;
        (case.play)(&mut stage)?;
        let recovered = settle(&stage, case)?;
        let stale_refused = stage.stale_refused();
        stage.close()?;
        let mut history = stage.board.take();
        history.marks = stage.marks();
        fs::write(home.join("history.json"), serde_json::to_vec_pretty(&history)?).context("history.json")?;
        let findings = check(&history, Allowed { unknown: case.unknown });
        Ok(Outcome { case, kind, seed, findings, stale_refused, recovered })
    }
}

fn small_disk(directory: &Path, megabytes: usize) -> Result<Disk> {
    Disk::mount(directory, megabytes).map_err(|error| Skipped(format!("{error:#}")).into())
}

/// Waits until nothing more can happen, or until the case's patience is over; how long it took.
fn settle(stage: &Stage<'_>, case: &Case) -> Result<Option<Duration>> {
    let healed = stage.healed.unwrap_or_else(Instant::now);
    let deadline = healed + Duration::from_secs(case.patience_s);
    let mut quiet: Option<(Instant, usize)> = None;
    while Instant::now() < deadline {
        let over = stage.board.posting() == 0 && stage.board.open(case.unknown).is_empty();
        let ends = stage.board.ends();
        quiet = match quiet {
            _ if !over => None,
            Some((since, before)) if before == ends => Some((since, before)),
            _ => Some((Instant::now(), ends)),
        };
        if let Some((since, _)) = quiet
            && since.elapsed() >= LINGER
        {
            return Ok(Some(since.duration_since(healed)));
        }
        stage.sleep(Duration::from_millis(50))?;
    }
    Ok(None)
}
