//! Keeps the served table equal to the directory and the grants file, from one thread that alone loads plugins.
//!
//! A change is announced by the kernel or found by looking every few seconds; what fails keeps the last good version.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, mpsc},
    time::Duration,
};

use arc_swap::ArcSwap;
use notify::{RecursiveMode, Watcher};
use tokio::sync::{oneshot, watch};

use crate::{
    executor::commands::{Inventory, PluginState},
    grants::Grants,
};

use super::{
    cache::hex,
    clock::Clock,
    config::Config,
    directories::{Directories, Listed},
    gate::Gates,
    loader::{LoadError, Loaded, Loader, accept},
    registry::{Holders, Registry, Standing},
    source::{self, Fingerprint},
};

/// A burst of changes is over when nothing came for this long, or after the second figure in any case.
const QUIET: Duration = Duration::from_millis(50);
const BURST_MAX: Duration = Duration::from_millis(500);
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_MAX: Duration = Duration::from_secs(300);
const GRANTS_MAX_BYTES: u64 = 1 << 20;

/// What wakes the thread.
pub(super) enum Wake {
    Changed,
    /// Somebody wants it looked at now, and to hear when that is done.
    Look(oneshot::Sender<()>),
    Stop,
}

/// What the rest of the agent sees of this thread.
pub(super) struct Published {
    pub(super) registry: Arc<ArcSwap<Registry>>,
    pub(super) inventory: watch::Sender<Arc<Inventory>>,
    /// What is granted now.
    pub(super) grants: watch::Sender<Arc<Grants>>,
    /// Rounds that are through.
    pub(super) rounds: watch::Sender<u64>,
}

/// One file by its stem.
#[derive(Default)]
struct Tracked {
    seen: Option<Fingerprint>,
    serving: Option<Arc<Loaded>>,
    refused: Option<Refused>,
    compiling: bool,
}

struct Refused {
    digest: [u8; 32],
    reason: String,
    retry: Option<Retry>,
    /// Imports that nobody granted.
    missing: Vec<String>,
}

#[derive(Clone, Copy)]
struct Retry {
    at: Duration,
    wait: Duration,
}

pub(super) struct Reloader {
    config: Config,
    loader: Loader,
    clock: Arc<dyn Clock>,
    published: Published,
    gates: Gates,
    files: BTreeMap<String, Tracked>,
    grants: Grants,
    grants_seen: Option<Option<Fingerprint>>,
    directories: Directories,
    /// Why what should have been fetched was not, by stem, when the last round looked.
    missed: Arc<BTreeMap<String, String>>,
}

impl Reloader {
    pub(super) fn new(
        config: Config,
        loader: Loader,
        clock: Arc<dyn Clock>,
        published: Published,
        gates: Gates,
    ) -> Self {
        let directories = Directories::new(&config.plugins);
        Self {
            config,
            loader,
            clock,
            published,
            gates,
            files: BTreeMap::new(),
            grants: Grants::default(),
            grants_seen: None,
            directories,
            missed: Arc::default(),
        }
    }

    /// Runs until [`Wake::Stop`] or until nobody can send it any more.
    pub(super) fn run(mut self, wake: &mpsc::Receiver<Wake>, announce: &mpsc::SyncSender<Wake>) {
        let _watcher = self.watch(announce);
        let mut asked: Vec<oneshot::Sender<()>> = Vec::new();
        loop {
            if !asked.is_empty() {
                self.look_anew();
            }
            self.round();
            self.published.rounds.send_modify(|rounds| *rounds += 1);
            for done in asked.drain(..) {
                // Who asked may be gone.
                let _ = done.send(());
            }
            match wake.recv_timeout(self.config.poll_interval) {
                Ok(Wake::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Ok(Wake::Look(done)) => asked.push(done),
                Ok(Wake::Changed) => {
                    let began = self.clock.monotonic();
                    while self.clock.monotonic().saturating_sub(began) < BURST_MAX {
                        match wake.recv_timeout(QUIET) {
                            Ok(Wake::Changed) => {}
                            Ok(Wake::Look(done)) => {
                                asked.push(done);
                                break;
                            }
                            Err(mpsc::RecvTimeoutError::Timeout) => break,
                            Ok(Wake::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
                        }
                    }
                }
            }
        }
    }

    /// Directories are watched, not files: a ConfigMap's swap replaces what a file's watch hangs on.
    fn watch(&self, announce: &mpsc::SyncSender<Wake>) -> Option<notify::RecommendedWatcher> {
        let announce = announce.clone();
        let heard = move |event: notify::Result<notify::Event>| {
            // Reading is no change, and our own reads would wake us for ever. A full queue already holds the news.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = announce.try_send(Wake::Changed);
            }
        };
        let mut watcher = match notify::recommended_watcher(heard) {
            Ok(watcher) => watcher,
            Err(error) => {
                tracing::warn!("changes of plugins are found by looking only: {error}");
                return None;
            }
        };
        let grants = self
            .config
            .grants
            .as_deref()
            .and_then(Path::parent)
            .map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
        for directory in self.directories.paths().chain(grants) {
            if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
                tracing::warn!(directory = %directory.display(), "changes are found by looking only: {error}");
            }
        }
        Some(watcher)
    }

    /// What was refused is tried again, and what could not be told apart from before is read again.
    fn look_anew(&mut self) {
        self.grants_seen = None;
        for file in self.files.values_mut() {
            file.seen = None;
        }
    }

    fn round(&mut self) {
        let grants_changed = self.read_grants();
        let holders = self.published.registry.load().holders.clone();
        let mut changed = grants_changed;
        if grants_changed {
            self.readmit();
        }
        let listed = self.directories.list();
        let missed = self.config.missed.as_ref().map(|missed| missed.borrow().clone()).unwrap_or_default();
        if missed != self.missed {
            self.missed = missed;
            changed = true;
        }
        let gone: Vec<String> = self.files.keys().filter(|stem| !listed.contains_key(*stem)).cloned().collect();
        for stem in gone {
            tracing::info!(plugin = stem, "the plugin was removed");
            self.files.remove(&stem);
            changed = true;
        }
        let due: Vec<_> = listed.into_iter().filter(|(stem, file)| self.is_due(stem, file)).collect();
        for (stem, _) in &due {
            let file = self.files.entry(stem.clone()).or_default();
            file.compiling = file.serving.is_none();
        }
        if changed || !due.is_empty() {
            self.publish(&holders);
        }
        for (stem, file) in due {
            self.load(&stem, &file.path);
            // Each plugin serves as soon as it can: the next one may take minutes to compile.
            self.publish(&holders);
        }
    }

    /// Whether the grants are others than before. A bad file changes nothing.
    fn read_grants(&mut self) -> bool {
        let Some(path) = &self.config.grants else { return false };
        let seen = Fingerprint::of(path);
        if self.grants_seen == Some(seen) {
            return false;
        }
        self.grants_seen = Some(seen);
        let grants = if seen.is_none() {
            tracing::info!(file = %path.display(), "there is no grants file: nothing is granted");
            Grants::default()
        } else {
            let text = source::read_regular(path, GRANTS_MAX_BYTES)
                .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()));
            let parsed = text.and_then(|text| {
                Grants::parse(&text)
                    .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
            });
            match parsed {
                Ok(grants) => grants,
                Err(reason) => {
                    tracing::error!(file = %path.display(), reason, "the grants file is refused; the last good one stays");
                    return false;
                }
            }
        };
        let changed = grants != self.grants;
        self.grants = grants;
        if changed {
            // Calls in flight read them at their next host call.
            self.loader.surroundings.authority.grant(&self.grants);
            self.published.grants.send_replace(Arc::new(self.grants.clone()));
        }
        changed
    }

    /// A withdrawn grant ends a plugin at once; a refused one gets another try.
    fn readmit(&mut self) {
        for (stem, file) in &mut self.files {
            if file.refused.take().is_some() {
                file.seen = None;
            }
            let Some(loaded) = &file.serving else { continue };
            if let Err(reason) = accept(loaded, &self.grants) {
                tracing::warn!(plugin = stem, reason, "the plugin is set aside");
                file.serving = None;
                file.seen = None;
            }
        }
    }

    fn is_due(&self, stem: &str, listed: &Listed) -> bool {
        if listed.is_lost {
            return false;
        }
        let Some(file) = self.files.get(stem) else { return true };
        let retry = file.refused.as_ref().and_then(|refused| refused.retry);
        listed.is_swapped
            || file.seen != Fingerprint::of(&listed.path)
            || retry.is_some_and(|retry| retry.at <= self.clock.monotonic())
    }

    fn load(&mut self, stem: &str, path: &Path) {
        let now = self.clock.monotonic();
        let file = self.files.entry(stem.to_owned()).or_default();
        file.compiling = false;
        // Taken before reading: a change while we read is then seen in the next round.
        file.seen = Fingerprint::of(path);
        let before = file.refused.take();
        let read = match source::read(path) {
            Ok(read) => read,
            Err(reason) => {
                tracing::warn!(plugin = stem, reason, "the plugin's file is refused");
                let retry = Some(next_retry(before.and_then(|before| before.retry), now));
                file.refused = Some(Refused { digest: [0; 32], reason, retry, missing: Vec::new() });
                return;
            }
        };
        if file.serving.as_ref().is_some_and(|serving| serving.digest == read.digest) {
            return;
        }
        let loaded = self.loader.load(stem, &read, &self.grants).and_then(|loaded| {
            accept(&loaded, &self.grants).map_err(LoadError::lasting)?;
            Ok(loaded)
        });
        match loaded {
            Ok(loaded) => {
                tracing::info!(
                    plugin = stem,
                    version = loaded.description.version,
                    digest = hex(&loaded.digest),
                    commands = loaded.description.commands.len(),
                    imports = loaded.surface.imports().len(),
                    "the plugin is loaded"
                );
                file.serving = Some(Arc::new(loaded));
            }
            Err(error) => {
                let kept = file.serving.is_some();
                tracing::warn!(
                    plugin = stem,
                    kept,
                    digest = hex(&read.digest),
                    reason = error.reason,
                    "the plugin is refused"
                );
                let retry = error.retry.then(|| next_retry(before.and_then(|before| before.retry), now));
                file.refused =
                    Some(Refused { digest: read.digest, reason: error.reason, retry, missing: error.missing });
            }
        }
    }

    fn publish(&mut self, before: &Holders) {
        let unfetched = self.missed.iter().filter(|(stem, _)| !self.files.contains_key(*stem));
        let standings: Vec<Standing> = self
            .files
            .iter()
            .map(|(stem, file)| file.standing(stem, self.missed.get(stem)))
            .chain(unfetched.map(|(stem, reason)| Tracked::default().standing(stem, Some(reason))))
            .collect();
        let registry = Registry::build(&standings, &self.grants, &self.config.limits, before, &mut self.gates);
        let inventory = registry.inventory.clone();
        self.published.registry.store(Arc::new(registry));
        self.published.inventory.send_if_modified(|current| {
            let changed = **current != *inventory;
            *current = inventory;
            changed
        });
    }
}

impl Tracked {
    /// `missed`: why no later file than this one could be fetched.
    fn standing(&self, stem: &str, missed: Option<&String>) -> Standing {
        let reason = self.refused.as_ref().map(|refused| &refused.reason).or(missed).cloned();
        let (state, reason) = match (&self.serving, reason) {
            (None, _) if self.compiling => (PluginState::Compiling, String::new()),
            (Some(_), None) => (PluginState::Ready, String::new()),
            (Some(_), Some(reason)) => (PluginState::Kept, reason),
            (None, reason) => (PluginState::Refused, reason.unwrap_or_default()),
        };
        Standing {
            name: stem.to_owned(),
            loaded: self.serving.clone(),
            state,
            reason,
            digest: self.refused.as_ref().map_or([0; 32], |refused| refused.digest),
            missing: self.refused.as_ref().map(|refused| refused.missing.clone()).unwrap_or_default(),
        }
    }
}

fn next_retry(before: Option<Retry>, now: Duration) -> Retry {
    let wait = before.map_or(RETRY_FIRST, |before| (before.wait * 2).min(RETRY_MAX));
    Retry { at: now + wait, wait }
}
