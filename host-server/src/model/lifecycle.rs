//! A task's life, as one pure function: what an event does to a state, and what is written down for it.
//!
//! ```text
//! ready ─claimed→ offered ─acked→ running ─reported→ succeeded | failed | cancelled
//!   ▲                │               │
//!   ├── lapsed, returned: the attempt is kept
//!   └── lost, and nothing is in doubt: the attempt is spent, at the third it fails
//!                                    └─ reported or lost in doubt → unknown ─reported→ …
//! ```
//! Everything that changes a task goes through [`next`]. Nothing here reads a clock, a database or a network.

use super::state::State;

/// Lost attempts before a task fails.
pub const ATTEMPTS: i32 = 3;

/// What an agent, the claimer or the sweeper says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A slot of an agent was given to it.
    Claimed,
    /// The agent took the offer.
    Acked,
    /// No ack came within the offer's time.
    Lapsed,
    /// The agent gave it back before its first step.
    Returned,
    /// The agent says how the run ended: a final state, or unknown.
    Reported(State),
    /// The agent that held the lease is gone for good.
    Lost {
        /// A step that must not run twice had started and its end is not known.
        in_doubt: bool,
        /// Which attempt this was, counted from 1.
        attempt: i32,
    },
}

/// What storage does about it, in one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Nothing: the state is kept in memory only, or is as it was.
    Nothing,
    /// `ready` gives the task up to a lease with a greater epoch.
    Lease,
    /// The lease ends and the task waits again.
    Requeue {
        /// The attempt counts.
        spent: bool,
    },
    /// The task is marked; its lease id stays, and a true report under it settles the task.
    Doubt,
    /// The lease ends and the task moves to the history.
    Archive,
}

/// Why an event changes nothing. Callers answer it; it is never a bug by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Final is final.
    #[error("the task is {}, which is final", .0.word())]
    Final(State),
    /// The picture has no such arrow.
    #[error("{:?} has no meaning for a task that is {}", .1, .0.word())]
    Meaningless(State, Event),
}

/// The state after `event`, and what is written for it.
///
/// # Errors
/// [`Refused`] when the event does not apply; the state stays as it was.
pub fn next(state: State, event: Event) -> Result<(State, Write), Refused> {
    use State::{Failed, Offered, Ready, Running, Unknown};
    match (state, event) {
        (state, _) if state.is_final() => Err(Refused::Final(state)),

        (Ready, Event::Claimed) => Ok((Offered, Write::Lease)),
        (Offered | Running, Event::Acked) => Ok((Running, Write::Nothing)),
        (Offered, Event::Lapsed) | (Offered | Running, Event::Returned) => Ok((Ready, Write::Requeue { spent: false })),

        // A late but true report settles what was in doubt.
        (Offered | Running | Unknown, Event::Reported(end)) if end.is_final() => Ok((end, Write::Archive)),
        (Offered | Running, Event::Reported(Unknown)) => Ok((Unknown, Write::Doubt)),
        (Unknown, Event::Reported(Unknown)) => Ok((Unknown, Write::Nothing)),

        (Offered | Running, Event::Lost { in_doubt: true, .. }) => Ok((Unknown, Write::Doubt)),
        (Offered, Event::Lost { .. }) => Ok((Ready, Write::Requeue { spent: false })),
        (Running, Event::Lost { attempt, .. }) if attempt >= ATTEMPTS => Ok((Failed, Write::Archive)),
        (Running, Event::Lost { .. }) => Ok((Ready, Write::Requeue { spent: true })),

        (state, event) => Err(Refused::Meaningless(state, event)),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        ATTEMPTS, Event,
        Event::{Acked, Claimed, Lapsed, Lost, Reported, Returned},
        Refused,
        State::{self, Cancelled, Expired, Failed, Offered, Ready, Running, Succeeded, Unknown},
        Write, next,
    };

    const STATES: [State; 8] = [Ready, Offered, Running, Unknown, Succeeded, Failed, Cancelled, Expired];

    fn events() -> Vec<Event> {
        let mut events = vec![Claimed, Acked, Lapsed, Returned];
        events.extend(STATES.map(Reported));
        for in_doubt in [false, true] {
            events.extend((1..=ATTEMPTS + 1).map(|attempt| Lost { in_doubt, attempt }));
        }
        events
    }

    #[test]
    fn a_task_that_nothing_happens_to_goes_from_ready_to_its_end() {
        assert_eq!(next(Ready, Claimed), Ok((Offered, Write::Lease)));
        assert_eq!(next(Offered, Acked), Ok((Running, Write::Nothing)));
        for end in [Succeeded, Failed, Cancelled] {
            assert_eq!(next(Running, Reported(end)), Ok((end, Write::Archive)));
        }
    }

    #[test]
    fn no_event_leaves_a_final_state() {
        for state in STATES.into_iter().filter(|state| state.is_final()) {
            for event in events() {
                assert_eq!(next(state, event), Err(Refused::Final(state)), "{event:?}");
            }
        }
    }

    #[test]
    fn an_offer_that_nobody_took_keeps_its_attempt() {
        for event in [Lapsed, Returned, Lost { in_doubt: false, attempt: ATTEMPTS }] {
            assert_eq!(next(Offered, event), Ok((Ready, Write::Requeue { spent: false })), "{event:?}");
        }
    }

    #[test]
    fn a_lost_attempt_runs_again_until_the_third_one_fails() {
        for attempt in 1..ATTEMPTS {
            assert_eq!(next(Running, Lost { in_doubt: false, attempt }), Ok((Ready, Write::Requeue { spent: true })));
        }
        assert_eq!(next(Running, Lost { in_doubt: false, attempt: ATTEMPTS }), Ok((Failed, Write::Archive)));
    }

    #[test]
    fn an_effect_in_doubt_is_never_run_again_by_itself() {
        for attempt in 1..=ATTEMPTS + 1 {
            assert_eq!(next(Running, Lost { in_doubt: true, attempt }), Ok((Unknown, Write::Doubt)));
        }
        for event in events() {
            let to = next(Unknown, event).map(|(state, _)| state);
            assert_ne!(to, Ok(Ready), "{event:?}");
            assert_ne!(to, Ok(Running), "{event:?}");
        }
    }

    #[test]
    fn unknown_is_not_final_and_a_late_report_settles_it() {
        assert_eq!(next(Running, Reported(Unknown)), Ok((Unknown, Write::Doubt)));
        assert_eq!(next(Unknown, Reported(Unknown)), Ok((Unknown, Write::Nothing)));
        assert_eq!(next(Unknown, Reported(Succeeded)), Ok((Succeeded, Write::Archive)));
        assert_eq!(next(Unknown, Reported(Failed)), Ok((Failed, Write::Archive)));
    }

    #[test]
    fn a_run_ends_with_an_end() {
        for state in [Offered, Running, Unknown] {
            for end in [Ready, Offered, Running] {
                assert_eq!(next(state, Reported(end)), Err(Refused::Meaningless(state, Reported(end))));
            }
        }
    }

    #[test]
    fn only_a_final_state_is_archived_and_only_unknown_is_doubted() {
        for state in STATES {
            for event in events() {
                let Ok((to, write)) = next(state, event) else { continue };
                assert_eq!(write == Write::Archive, to.is_final(), "{state:?} {event:?}");
                assert_eq!(matches!(write, Write::Requeue { .. }), to == Ready, "{state:?} {event:?}");
                assert!(write != Write::Doubt || to == Unknown, "{state:?} {event:?}");
            }
        }
    }
}
