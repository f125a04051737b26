//! The history of a case while it is made: posters and watchers write on it, the case looks at it.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use super::{
    effects::Class,
    history::{Cancel, History, Sight, Task},
};

/// Shared by the threads of one case.
pub(super) struct Board {
    began: Instant,
    history: Mutex<History>,
    posting: AtomicUsize,
    ended: AtomicBool,
}

impl Board {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            history: Mutex::new(History::default()),
            posting: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the case began.
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Threads of the case end soon.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// So many requests are about to be sent.
    pub(super) fn promise(&self, requests: usize) {
        self.posting.fetch_add(requests, Ordering::Relaxed);
    }

    /// Requests that have no answer.
    pub(super) fn posting(&self) -> usize {
        self.posting.load(Ordering::Relaxed)
    }

    /// A server accepted a task.
    pub(super) fn accepted(&self, task: Task) {
        self.history().tasks.push(task);
        self.posting.fetch_sub(1, Ordering::Relaxed);
    }

    /// A request was answered with what no promise allows, and is given up.
    pub(super) fn refused(&self, answer: String) {
        self.unpromised(answer);
        self.posting.fetch_sub(1, Ordering::Relaxed);
    }

    /// An answer that no promise allows.
    pub(super) fn unpromised(&self, answer: String) {
        self.history().refusals.push(answer);
    }

    /// What a cancel is known to have done.
    pub(super) fn cancelled(&self, uuid: &str, answer: Option<Cancel>) {
        if let Some(task) = self.history().tasks.iter_mut().find(|task| task.uuid == uuid) {
            task.cancel = answer;
        }
    }

    /// Keeps a sight, unless the same server showed the task like that before.
    pub(super) fn seen(&self, uuid: &str, sight: Sight) {
        let mut history = self.history();
        let sights = history.sights.entry(uuid.to_owned()).or_default();
        let before = sights.iter().rev().find(|before| before.server == sight.server);
        if before.is_none_or(|before| !before.shows_as(&sight)) {
            sights.push(sight);
        }
    }

    /// Accepted tasks: cluster and uuid.
    pub(super) fn tasks(&self) -> Vec<(String, String)> {
        self.history().tasks.iter().map(|task| (task.cluster.clone(), task.uuid.clone())).collect()
    }

    /// Accepted tasks whose end was not seen, by state, without those that are unknown and may be: they have a step of one of
    /// these classes.
    pub(super) fn open(&self, unknown: &[Class]) -> BTreeMap<String, usize> {
        let history = self.history();
        let mut open = BTreeMap::new();
        for task in &history.tasks {
            let sights = history.sights.get(&task.uuid).map(Vec::as_slice).unwrap_or_default();
            let may_stay = sights.last().is_some_and(Sight::is_unknown) && task.has_one_of(unknown);
            if !may_stay && !sights.iter().any(Sight::is_final) {
                let state = sights.last().map_or("not seen", |last| &last.state);
                *open.entry(state.to_owned()).or_default() += 1;
            }
        }
        open
    }

    /// Whether the end of this task was seen.
    pub(super) fn is_final(&self, uuid: &str) -> bool {
        self.history().sights.get(uuid).is_some_and(|sights| sights.iter().any(Sight::is_final))
    }

    /// How many tasks ended.
    pub(super) fn ends(&self) -> usize {
        self.history().sights.values().filter(|sights| sights.iter().any(Sight::is_final)).count()
    }

    /// The history, when its threads have ended.
    pub(super) fn take(&self) -> History {
        std::mem::take(&mut self.history())
    }
}
