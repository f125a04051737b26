//! Ten thousand histories, each decided by its seed: no promise of delivery is broken in any.
//!
//! `CLAIFLOW_SIM_SEED=n` replays one and prints every event of it; `CLAIFLOW_SIM_COUNT=n` lets so many happen.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "all of it is test"
)]

use std::{
    collections::BTreeMap,
    env,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use claiflow_simulation::{Bug, Parts, Setup, Story, history};

/// Histories that happen where nobody says how many.
const COUNT: u64 = 10_000;
/// Within so many histories a planted mistake shows.
const SOON: u64 = 1_000;

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

fn replay(seed: u64) -> Story {
    history(Setup::seeded(seed).traced(), &Parts::new().unwrap()).unwrap()
}

/// The histories of so many seeds, on all cores, up to one that is `enough`; those that broke a promise, and how tasks ended.
fn all(
    count: u64,
    setup: impl Fn(u64) -> Setup + Sync,
    enough: impl Fn(&Story) -> bool + Sync,
) -> (Vec<Story>, BTreeMap<&'static str, usize>) {
    let next = AtomicU64::new(0);
    let work = || {
        let parts = Parts::new().unwrap();
        let (mut broken, mut counts) = (Vec::new(), BTreeMap::<&str, usize>::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= count {
                return (broken, counts);
            }
            let story = history(setup(seed), &parts).unwrap();
            for (word, count) in &story.counts {
                *counts.entry(*word).or_default() += count;
            }
            if enough(&story) {
                next.store(count, Ordering::Relaxed);
            }
            if !story.broken.is_empty() {
                broken.push(story);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let parts = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    let (mut broken, mut counts) = (Vec::new(), BTreeMap::new());
    for (stories, counted) in parts {
        broken.extend(stories);
        for (word, count) in counted {
            *counts.entry(word).or_default() += count;
        }
    }
    broken.sort_by_key(|story: &Story| story.seed);
    (broken, counts)
}

#[test]
fn no_history_breaks_a_promise() {
    if let Some(seed) = number("CLAIFLOW_SIM_SEED") {
        let story = replay(seed);
        println!("{}", story.trace);
        assert!(story.broken.is_empty(), "seed {seed}: {:#?}", story.broken);
        return;
    }
    let count = number("CLAIFLOW_SIM_COUNT").unwrap_or(COUNT);
    let (broken, counts) = all(count, Setup::seeded, |_| false);
    println!("{count} histories: {counts:?}");
    let words: Vec<String> =
        broken.iter().take(20).map(|story| format!("CLAIFLOW_SIM_SEED={}: {:?}", story.seed, story.broken)).collect();
    assert!(broken.is_empty(), "{} histories broke a promise:\n{}", broken.len(), words.join("\n"));
    // A history in which nothing happens breaks nothing.
    for state in ["succeeded", "failed", "timed_out", "cancelled", "expired", "calls"] {
        assert!(counts.get(state).is_some_and(|number| *number as u64 > count / 20), "{state}: {counts:?}");
    }
}

#[test]
fn a_seed_gives_one_history() {
    for seed in 0..40 {
        let (once, again) = (replay(seed), replay(seed));
        assert!(once.trace.lines().count() > 20, "nothing happens in seed {seed}");
        let differ = once.trace.lines().zip(again.trace.lines()).find(|(once, again)| once != again);
        assert_eq!(differ, None, "seed {seed}");
        assert_eq!(once.trace.len(), again.trace.len(), "seed {seed}");
    }
}

#[test]
fn a_planted_mistake_is_found() {
    for (bug, words) in [
        (Bug::FinishUnderAnyLease, "under the lease"),
        (Bug::ForgetStarts, "again"),
        (Bug::LeaseOutlivesSilence, "without a lease"),
    ] {
        let is_found = |story: &Story| story.broken.iter().any(|broken| broken.contains(words));
        let (broken, _) = all(SOON, |seed| Setup::seeded(seed).with(bug), is_found);
        let story = broken.iter().find(|story| is_found(story)).unwrap_or_else(|| panic!("{bug:?} is not found"));
        println!("{bug:?} shows in seed {}: {:?}", story.seed, story.broken);
    }
}
