use std::sync::Arc;

use claiflow_proto::agent::v1::{Outcome, Settled, StepEvent, StepState, agent_event::Event};
use futures_util::FutureExt as _;
use prost::Message as _;
use tokio::sync::oneshot;

use super::*;
use crate::journal::{Disk, Recovered};

const TTL: Duration = Duration::from_secs(30);
const LEASE: &[u8] = b"lease-1";

/// A disk that takes everything and keeps nothing.
struct Nowhere;

#[async_trait::async_trait]
impl Disk for Nowhere {
    async fn read(&self) -> std::io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    async fn append(&self, _: Vec<u8>) -> std::io::Result<()> {
        Ok(())
    }

    async fn sync(&self) -> std::io::Result<()> {
        Ok(())
    }

    async fn replace(&self, _: Vec<u8>) -> std::io::Result<()> {
        Ok(())
    }
}

/// A ledger before its first stream.
fn unattached(slots: usize, now: Instant) -> Ledger {
    let gauge = |name: &str| IntGauge::new(name, name).unwrap();
    let journal = Journal::open(Arc::new(Nowhere), gauge("writable")).now_or_never().unwrap().unwrap().journal;
    Ledger::new(slots, gauge("running"), journal, now)
}

/// A ledger whose stream has begun at the returned time.
fn ledger(slots: usize) -> (Ledger, Instant) {
    let begun = Instant::now();
    let ledger = unattached(slots, begun);
    ledger.begin(&[], TTL, begun);
    (ledger, begun)
}

/// A ledger that holds `LEASE`.
fn holding() -> (Ledger, Instant, Run) {
    let (ledger, begun) = ledger(4);
    let Taken::Run(run) = ledger.take(&offer("lease-1", 1), begun) else { panic!("it is not taken") };
    said(&ledger);
    (ledger, begun, run)
}

fn offer(lease: &str, stamp: u64) -> Offer {
    let (lease_id, task) = (lease.into(), b"task".to_vec());
    Offer { lease_id, task, epoch: 1, credit_stamp: stamp, ..Offer::default() }
}

fn settled(path: &str, state: StepState, accepted: bool) -> Settled {
    Settled { lease_id: LEASE.to_vec(), path: path.into(), r#try: 1, state: state.into(), accepted }
}

fn step(path: &str, state: StepState, output: usize) -> StepEvent {
    let output = vec![b'1'; output];
    StepEvent { lease_id: LEASE.to_vec(), path: path.into(), state: state.into(), output, ..StepEvent::default() }
}

fn outcome() -> Option<Outcome> {
    Some(Outcome { lease_id: LEASE.to_vec(), ..Outcome::default() })
}

/// Everything that goes out now, in one word each.
fn said(ledger: &Ledger) -> Vec<String> {
    let mut words = Vec::new();
    loop {
        let message = ledger.next_message();
        if message.is_empty() {
            return words;
        }
        words.extend(message.into_iter().filter_map(|event| event.event).map(|event| match event {
            Event::Credit(credit) => format!("credit {} to {}", credit.stamp, credit.limit),
            Event::Ack(_) => "ack".into(),
            Event::Step(step) => format!("{:?} {}", step.state(), step.path),
            Event::Chunk(chunk) => format!("chunk {} of {}", chunk.index, chunk.path),
            Event::Outcome(_) => "outcome".into(),
            Event::Handback(handback) => format!("handback {}", handback.reason),
            other => panic!("{other:?}"),
        }));
    }
}

#[test]
fn a_start_that_waits_when_a_stream_breaks_is_sent_again_and_goes_on_waiting() {
    let (ledger, begun, run) = holding();
    let mut word = ledger.start(step("0", StepState::Started, 0));
    assert_eq!(said(&ledger), ["Started 0"]);
    for stream in 1..=3 {
        ledger.begin(&[], TTL, begun);
        assert_eq!(said(&ledger), ["credit 1 to 3", "Started 0"], "stream {stream}");
        assert!(word.try_recv().is_err() && !run.gone.is_cancelled());
    }
    ledger.settled(&settled("0", StepState::Started, true), begun);
    assert_eq!(word.try_recv(), Ok(true));
    ledger.begin(&[], TTL, begun);
    assert_eq!(said(&ledger), ["credit 1 to 3"], "an answered start is not repeated");
}

#[test]
fn what_is_not_settled_is_sent_again_in_order_and_what_is_settled_is_not() {
    let (ledger, begun, _run) = holding();
    ledger.step(step("0", StepState::Succeeded, 1));
    ledger.step(step("1", StepState::Succeeded, 100_000));
    let _word = ledger.start(step("2", StepState::Started, 0));
    let all = ["Succeeded 0", "chunk 0 of 1", "chunk 1 of 1", "Succeeded 1", "Started 2"];
    assert_eq!(said(&ledger), all);
    ledger.begin(&[], TTL, begun);
    assert_eq!(said(&ledger)[1..], all);
    ledger.settled(&settled("1", StepState::Succeeded, true), begun);
    ledger.begin(&[], TTL, begun);
    assert_eq!(said(&ledger), ["credit 1 to 3", "Succeeded 0", "Started 2"]);
    ledger.finish(&LEASE.to_vec(), outcome(), begun);
    ledger.begin(&[], TTL, begun);
    assert_eq!(said(&ledger), ["credit 1 to 4", "Succeeded 0", "outcome"]);
    ledger.settled(&settled("", StepState::Unspecified, true), begun);
    assert!(ledger.held().is_empty());
    ledger.begin(&[], TTL, begun);
    assert_eq!(said(&ledger), ["credit 1 to 4"]);
}

#[test]
fn the_end_of_a_step_does_not_answer_for_a_start_of_the_same_path() {
    let (ledger, begun, _run) = holding();
    let mut word = ledger.start(step("0", StepState::Started, 0));
    ledger.settled(&settled("0", StepState::Succeeded, true), begun);
    assert!(word.try_recv().is_err());
}

#[test]
fn a_lease_that_is_gone_or_refused_fences_its_run_and_nothing_more_is_said_under_it() {
    type Lose = fn(&Ledger, Instant);
    let ways: [(&str, Lose); 3] = [
        ("gone at the welcome", |ledger, now| ledger.begin(&[LEASE.to_vec()], TTL, now)),
        ("a start refused", |ledger, now| ledger.settled(&settled("0", StepState::Started, false), now)),
        ("an end refused", |ledger, now| ledger.settled(&settled("9", StepState::Succeeded, false), now)),
    ];
    for (way, lose) in ways {
        let (ledger, begun, run) = holding();
        let mut word = ledger.start(step("0", StepState::Started, 0));
        said(&ledger);
        lose(&ledger, begun);
        assert!(run.gone.is_cancelled(), "{way}");
        assert_eq!(word.try_recv(), Err(oneshot::error::TryRecvError::Closed), "{way}");
        assert!(ledger.held().is_empty(), "{way}");
        said(&ledger);
        ledger.step(step("1", StepState::Succeeded, 1));
        assert!(ledger.start(step("2", StepState::Started, 0)).try_recv().is_err(), "{way}");
        ledger.finish(&LEASE.to_vec(), outcome(), begun);
        assert!(said(&ledger).iter().all(|word| word.starts_with("credit")), "{way}");
    }
}

#[test]
fn an_offer_is_taken_only_on_fresh_credit_and_never_twice() {
    let (ledger, begun) = ledger(4);
    let late = begun + CREDIT_AGE + Duration::from_millis(1);
    for (lease, stamp, now, words) in [
        ("a", 1, begun, "ack"),
        ("a", 1, begun, "ack"),
        ("b", 1, late, "handback stale-credit"),
        ("c", 99, begun, "handback stale-credit"),
    ] {
        said(&ledger);
        ledger.take(&offer(lease, stamp), now);
        assert_eq!(said(&ledger), [words], "{lease}");
    }
    assert_eq!(ledger.held().len(), 1, "the known one runs once");
    ledger.drain(begun);
    said(&ledger);
    ledger.take(&offer("d", 1), begun);
    assert_eq!(said(&ledger), ["handback draining"]);
}

#[test]
fn leases_hold_from_when_the_answered_heartbeat_was_sent() {
    let (ledger, begun) = ledger(1);
    ledger.credit(begun + Duration::from_secs(10));
    ledger.credit(begun + Duration::from_secs(20));
    for (stamp, until) in [(1, 30), (2, 40), (1, 40), (3, 50)] {
        ledger.seen(stamp);
        assert_eq!(ledger.valid_until.get(), begun + Duration::from_secs(until), "stamp {stamp}");
    }
}

#[tokio::test]
async fn a_run_waits_while_the_server_is_away_and_goes_on_with_its_next_word() {
    let past = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
    let ledger = unattached(1, past);
    ledger.begin(&[], TTL, past);
    let mut holds = std::pin::pin!(ledger.holds());
    assert!(futures_util::poll!(holds.as_mut()).is_pending(), "the lease lapsed 30 s ago");
    ledger.credit(Instant::now());
    assert!(futures_util::poll!(holds.as_mut()).is_pending(), "what was only sent proves nothing");
    ledger.seen(2);
    holds.await;
}

#[test]
fn no_task_is_asked_for_while_too_much_waits_for_the_servers_word() {
    let (ledger, begun, _run) = holding();
    ledger.step(step("0", StepState::Succeeded, UNSETTLED_BYTES + 1));
    ledger.credit(begun);
    assert_eq!(said(&ledger)[0], "credit 2 to 1", "one was received, and none is free");
    ledger.settled(&settled("0", StepState::Succeeded, true), begun);
    ledger.credit(begun);
    assert_eq!(said(&ledger), ["credit 3 to 4"]);
}

#[test]
fn a_drain_hands_back_what_had_no_effect_and_leaves_the_rest_leased() {
    type Lived = fn(&Ledger, Instant);
    let lives: [(&str, Lived, usize); 4] = [
        ("it only read", |ledger, _| ledger.step(step("0", StepState::Succeeded, 1)), 0),
        ("an effect is under way", |ledger, _| drop(ledger.start(step("0", StepState::Started, 0))), 1),
        (
            "an effect was settled",
            |ledger, now| {
                let _word = ledger.start(step("0", StepState::Started, 0));
                ledger.settled(&settled("0", StepState::Started, true), now);
            },
            1,
        ),
        ("its outcome waits", |ledger, now| ledger.finish(&LEASE.to_vec(), outcome(), now), 1),
    ];
    for (life, lived, stay) in lives {
        let (ledger, begun, run) = holding();
        lived(&ledger, begun);
        ledger.drain(begun);
        let before = said(&ledger);
        assert_eq!(ledger.give_up(begun), (1 - stay, stay), "{life}: {before:?}");
        assert_eq!(said(&ledger).contains(&"handback draining".to_owned()), stay == 0, "{life}");
        assert_eq!((ledger.held().len(), run.gone.is_cancelled()), (stay, stay == 0), "{life}");
    }
}

#[tokio::test]
async fn a_drain_ends_when_the_last_outcome_is_settled_and_the_last_run_is_over() {
    let (ledger, begun, _run) = holding();
    let mut idle = std::pin::pin!(ledger.idle());
    assert!(futures_util::poll!(idle.as_mut()).is_pending());
    ledger.finish(&LEASE.to_vec(), outcome(), begun);
    assert!(futures_util::poll!(idle.as_mut()).is_pending(), "the outcome is not settled");
    ledger.settled(&settled("", StepState::Unspecified, true), begun);
    idle.await;
}

#[test]
fn a_paused_run_goes_back_when_its_ends_are_settled() {
    let (ledger, begun, run) = holding();
    ledger.pause(&LEASE.to_vec(), true);
    assert!(run.pause.load(Ordering::Relaxed));
    ledger.pause(&LEASE.to_vec(), false);
    assert!(!run.pause.load(Ordering::Relaxed), "somebody wants it to go on after all");

    ledger.step(step("0", StepState::Succeeded, 1));
    ledger.stopped(&LEASE.to_vec(), begun);
    ledger.begin(&[], TTL, begun);
    assert!(!said(&ledger).contains(&"handback paused".to_owned()), "its end is not settled");
    ledger.settled(&settled("0", StepState::Succeeded, true), begun);
    assert!(said(&ledger).contains(&"handback paused".to_owned()));
    assert!(ledger.held().is_empty());
}

#[test]
fn what_an_earlier_process_left_is_reported_again_and_then_its_lease_goes_back_unless_its_run_had_ended() {
    let (ledger, begun) = (unattached(4, Instant::now()), Instant::now());
    let ends = ["0", "1"].map(|path| step(path, StepState::Succeeded, 1).encode_to_vec()).to_vec();
    let left = |lease: &str, outcome: Option<Outcome>| Recovered {
        lease: lease.into(),
        task: b"task".to_vec(),
        epoch: 3,
        ends: ends.clone(),
        outcome: outcome.map(|outcome| outcome.encode_to_vec()),
    };
    ledger.restore(vec![left("lease-1", None)]);
    assert_eq!(ledger.held(), [Held { lease_id: LEASE.to_vec(), task: b"task".to_vec(), epoch: 3 }]);
    for stream in 1..=2 {
        ledger.begin(&[], TTL, begun);
        assert_eq!(said(&ledger), ["credit 1 to 4", "Succeeded 0", "Succeeded 1"], "stream {stream}");
    }
    ledger.settled(&settled("0", StepState::Succeeded, true), begun);
    assert_eq!(said(&ledger), [""; 0], "the other report is not settled");
    ledger.settled(&settled("1", StepState::Succeeded, true), begun);
    assert_eq!(said(&ledger), ["credit 2 to 4", "handback restarted"]);
    assert!(ledger.held().is_empty());

    ledger.restore(vec![left("lease-1", outcome())]);
    ledger.begin(&[], TTL, begun);
    assert_eq!(said(&ledger), ["credit 1 to 4", "Succeeded 0", "Succeeded 1", "outcome"]);
    for path in ["0", "1"] {
        ledger.settled(&settled(path, StepState::Succeeded, true), begun);
    }
    assert_eq!(said(&ledger), [""; 0], "the outcome is not settled");
    ledger.settled(&settled("", StepState::Unspecified, true), begun);
    assert!(ledger.held().is_empty());
}

#[test]
fn what_an_earlier_process_left_is_not_handed_back_by_a_drain_before_it_is_reported() {
    let (ledger, begun) = ledger(4);
    let ends = vec![step("0", StepState::Succeeded, 1).encode_to_vec()];
    let left = Recovered { lease: LEASE.to_vec(), task: b"task".to_vec(), epoch: 1, ends, outcome: None };
    ledger.restore(vec![left]);
    assert_eq!(ledger.give_up(begun), (0, 1));
}

#[tokio::test]
async fn a_task_that_runs_alone_waits_for_the_others_and_nothing_is_taken_beside_it() {
    let (ledger, begun, _other) = holding();
    let alone = Offer { alone: true, ..offer("alone", 1) };
    assert!(matches!(ledger.take(&alone, begun), Taken::Run(_)));
    let mut quiet = std::pin::pin!(ledger.others_ended());
    assert!(futures_util::poll!(quiet.as_mut()).is_pending(), "another runs");
    ledger.take(&offer("late", 1), begun);
    ledger.credit(begun);
    assert_eq!(said(&ledger), ["ack", "credit 2 to 3", "handback alone"], "three were received, and none is free");
    ledger.finish(&LEASE.to_vec(), outcome(), begun);
    quiet.await;
    assert_eq!(said(&ledger), ["credit 3 to 3", "outcome"]);
    ledger.finish(&b"alone".to_vec(), outcome(), begun);
    assert_eq!(said(&ledger), ["credit 4 to 7", "outcome"]);
}

#[test]
fn an_agent_that_is_sent_away_takes_nothing_until_its_next_stream() {
    let (ledger, begun) = ledger(4);
    ledger.refuse_offers(begun);
    ledger.take(&offer("a", 1), begun);
    assert_eq!(said(&ledger), ["credit 2 to 0", "handback draining"]);
    ledger.begin(&[], TTL, begun);
    ledger.take(&offer("a", 1), begun);
    assert_eq!(said(&ledger), ["ack", "credit 1 to 4"]);
}
