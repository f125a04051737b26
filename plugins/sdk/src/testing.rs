//! A host for tests: it remembers what a command says, and answers what the test wants. Each thread has its own. What is
//! remote is played: [`Cluster`] is an API server, [`Web`] are servers, [`Stores`] hold credentials, [`Agent`] is the agent itself.

pub(crate) mod agent;
mod cluster;
pub(crate) mod programs;
pub(crate) mod stores;
pub(crate) mod web;

use std::{
    cell::RefCell,
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    marker::PhantomData,
    time::Duration,
};

use serde_json::Value;

use crate::log::Level;

pub use agent::Agent;
pub use cluster::{Cluster, Executed};
pub use programs::{Programs, Started};
pub use stores::Stores;
pub use web::{Sent, Web};

/// A line that a command wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// How much it matters.
    pub level: Level,
    /// Its text.
    pub message: String,
    /// Name and value.
    pub fields: Vec<(String, String)>,
}

impl Line {
    /// The value of the field `name`.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

struct Scene {
    lines: Vec<Line>,
    progress: Vec<(u64, u64, String)>,
    notes: Vec<Value>,
    remaining_ms: u64,
    stop: Option<String>,
    slept: Duration,
    /// A command's `verify` runs.
    asked: bool,
}

impl Default for Scene {
    fn default() -> Self {
        let (lines, progress, notes) = (Vec::new(), Vec::new(), Vec::new());
        Self { lines, progress, notes, remaining_ms: 60_000, stop: None, slept: Duration::ZERO, asked: false }
    }
}

thread_local! {
    static SCENE: RefCell<Scene> = RefCell::default();
}

/// The host of this thread's commands, until it is dropped.
#[derive(Debug)]
pub struct Host {
    /// It is of one thread.
    thread: PhantomData<*const ()>,
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// A host that heard nothing; a task has a minute left and nobody wants it to stop.
    pub fn new() -> Self {
        SCENE.take();
        Self { thread: PhantomData }
    }

    /// What [`crate::task::remaining_ms`] answers from here on.
    pub fn remaining_ms(&self, milliseconds: u64) {
        SCENE.with_borrow_mut(|scene| scene.remaining_ms = milliseconds);
    }

    /// Asks commands to stop, from here on.
    pub fn stop(&self, reason: &str) {
        SCENE.with_borrow_mut(|scene| scene.stop = Some(reason.to_owned()));
    }

    /// How long commands slept so far. A test does not wait for it: its clocks go on by so much at once.
    pub fn slept(&self) -> Duration {
        SCENE.with_borrow(|scene| scene.slept)
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<Line> {
        SCENE.with_borrow(|scene| scene.lines.clone())
    }

    /// Each progress so far: done, total, message.
    pub fn progress(&self) -> Vec<(u64, u64, String)> {
        SCENE.with_borrow(|scene| scene.progress.clone())
    }

    /// The notes so far; give them to the next attempt in [`crate::Context::notes`].
    pub fn notes(&self) -> Vec<Value> {
        SCENE.with_borrow(|scene| scene.notes.clone())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        SCENE.take();
    }
}

/// Plays the sandbox of a `verify`: it leaves nothing behind.
pub(crate) fn asked<T>(ask: impl FnOnce() -> T) -> T {
    SCENE.with_borrow_mut(|scene| scene.asked = true);
    let answer = ask();
    SCENE.with_borrow_mut(|scene| scene.asked = false);
    answer
}

/// What the sandbox offers, played.
pub(crate) mod outside {
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    use super::{BuildHasher, Hasher, Level, Line, RandomState, SCENE, cluster};
    pub(crate) use super::{
        agent, cluster::answers as kubernetes, programs as process, stores as credentials, web as http,
    };
    use crate::Error;

    const NOTES_MAX: usize = 16;
    const NOTE_MAX_BYTES: usize = 4 << 10;

    pub(crate) fn log(level: Level, message: String, fields: Vec<(String, String)>) {
        SCENE.with_borrow_mut(|scene| scene.lines.push(Line { level, message, fields }));
    }

    pub(crate) fn log_enabled(_level: Level) -> bool {
        true
    }

    pub(crate) fn remaining_ms() -> u64 {
        SCENE.with_borrow(|scene| scene.remaining_ms)
    }

    pub(crate) fn stop_requested() -> Option<String> {
        SCENE.with_borrow(|scene| scene.stop.clone())
    }

    pub(crate) fn progress(done: u64, total: u64, message: String) {
        SCENE.with_borrow_mut(|scene| scene.progress.push((done, total, message)));
    }

    pub(crate) fn note(value: String) -> Result<(), Error> {
        if is_asked() {
            return Err(Error::new("denied", "only a running call leaves notes"));
        }
        if value.len() > NOTE_MAX_BYTES {
            return Err(Error::new("too-large", format!("a note has at most {NOTE_MAX_BYTES} bytes")));
        }
        let value = serde_json::from_str(&value)?;
        SCENE.with_borrow_mut(|scene| {
            if scene.notes.len() >= NOTES_MAX {
                return Err(Error::new(
                    "budget",
                    format!("a call and its earlier attempts leave at most {NOTES_MAX} notes"),
                ));
            }
            scene.notes.push(value);
            Ok(())
        })
    }

    pub(crate) fn unix() -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + slept()
    }

    pub(crate) fn monotonic() -> Duration {
        thread_local! {
            static BEGAN: Instant = Instant::now();
        }
        BEGAN.with(Instant::elapsed) + slept()
    }

    pub(crate) fn sleep(time: Duration) {
        let end = slept() + time;
        cluster::pass_until(end);
        set_slept(end);
    }

    pub(super) fn set_slept(time: Duration) {
        SCENE.with_borrow_mut(|scene| scene.slept = time);
    }

    pub(super) fn is_asked() -> bool {
        SCENE.with_borrow(|scene| scene.asked)
    }

    pub(super) fn slept() -> Duration {
        SCENE.with_borrow(|scene| scene.slept)
    }

    /// Good enough for a test: what seeds the hash maps of this process.
    pub(crate) fn random(length: usize) -> Vec<u8> {
        let numbers = std::iter::repeat_with(|| RandomState::new().build_hasher().finish());
        numbers.flat_map(u64::to_le_bytes).take(length).collect()
    }
}
