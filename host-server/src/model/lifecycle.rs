//! A task's life, as one pure function: what an event does to a state, and what is written down for it.
//!
//! ```text
//! scheduled ─due→ ready ─claimed→ offered ─acked→ running ─reported→ succeeded | failed | timed_out | cancelled
//!   │               ▲ │              │               │
//!   │               │ └ past its validity → expired  │
//!   │               ├── lapsed, returned: the attempt is kept
//!   │               ├── lost, and nothing is in doubt: the attempt is spent, at the third it fails
//!   └─ pause → paused ─resumed→ ready                └─ reported or lost in doubt → unknown ─reported | resolved→ …
//! ```
//! A cancel ends what no agent holds at once. What an agent holds is marked, and ends as cancelled whatever the agent
//! reports later: the first commit wins.
//!
//! Everything that changes a task goes through [`next`]. Nothing here reads a clock, a database or a network.

use super::state::State;

/// Lost attempts before a task fails.
pub const ATTEMPTS: i32 = 3;

/// What is not known of the steps of a lost attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// Every step that started may start again.
    None,
    /// A step of class `verify` started and has no end: the next attempt asks first.
    Ask,
    /// A step of class `never` started and has no end.
    Never,
}

/// A lease that is gone for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What may have happened.
    pub doubt: Doubt,
    /// Which attempt this was, counted from 1.
    pub attempt: i32,
    /// Somebody cancelled the task before.
    pub cancelling: bool,
    /// A step that is not `read` had started.
    pub touched: bool,
    /// The run's time was over before.
    pub timed_out: bool,
}

/// What an agent, the claimer, the sweeper or a person says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The time for which it was scheduled has come.
    Due,
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
    Lost(Loss),
    /// Nobody started it within its validity.
    Expired,
    /// Somebody asks for its end.
    Cancel,
    /// Somebody asks that it stops before its next step.
    Pause,
    /// The agent stopped before its next step, as it was asked to.
    Stopped,
    /// Somebody asks that it goes on.
    Resume,
    /// A person says what became of the step in doubt; `failed` ends the flow.
    Resolved {
        /// The step failed.
        failed: bool,
    },
}

/// What storage does about it, in one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Nothing: the state is kept in memory only, or is as it was.
    Nothing,
    /// `ready` gives the task up to a lease with a greater epoch.
    Lease,
    /// The task becomes ready; a lease that it had ends.
    Requeue {
        /// The attempt counts, and the next one waits a while.
        spent: bool,
    },
    /// The task is marked; its lease id stays, and a true report under it settles the task.
    Doubt,
    /// The wish is written down, and its agent told.
    Flag,
    /// The task waits for nobody but a person.
    Park,
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
    use State::{Cancelled, Expired, Failed, Offered, Paused, Ready, Running, Scheduled, Unknown};
    match (state, event) {
        (state, _) if state.is_final() => Err(Refused::Final(state)),

        (Scheduled, Event::Due) => Ok((Ready, Write::Requeue { spent: false })),
        (Ready, Event::Claimed) => Ok((Offered, Write::Lease)),
        (Offered | Running, Event::Acked) => Ok((Running, Write::Nothing)),
        (Offered, Event::Lapsed) | (Offered | Running, Event::Returned) => Ok((Ready, Write::Requeue { spent: false })),
        (Ready, Event::Expired) => Ok((Expired, Write::Archive)),

        // A late but true report settles what was in doubt.
        (Offered | Running | Unknown, Event::Reported(end)) if end.is_final() => Ok((end, Write::Archive)),
        (Offered | Running, Event::Reported(Unknown)) => Ok((Unknown, Write::Doubt)),
        (Unknown, Event::Reported(Unknown)) => Ok((Unknown, Write::Nothing)),
        (Offered | Running, Event::Lost(loss)) => Ok(lost(state, loss)),

        (Scheduled | Ready | Paused, Event::Cancel) => Ok((Cancelled, Write::Archive)),
        (Offered | Running, Event::Cancel) => Ok((state, Write::Flag)),

        (Scheduled | Ready, Event::Pause) | (Offered | Running, Event::Stopped) => Ok((Paused, Write::Park)),
        (Offered | Running, Event::Pause) => Ok((state, Write::Flag)),
        (Paused, Event::Pause) => Ok((Paused, Write::Nothing)),
        (Paused, Event::Resume) => Ok((Ready, Write::Requeue { spent: false })),

        (Unknown, Event::Resolved { failed: true }) => Ok((Failed, Write::Archive)),
        (Unknown, Event::Resolved { failed: false }) => Ok((Ready, Write::Requeue { spent: false })),

        (state, event) => Err(Refused::Meaningless(state, event)),
    }
}

fn lost(state: State, loss: Loss) -> (State, Write) {
    let Loss { doubt, attempt, cancelling, touched, timed_out } = loss;
    let spent = state == State::Running;
    if cancelling {
        return if touched { (State::Unknown, Write::Doubt) } else { (State::Cancelled, Write::Archive) };
    }
    match doubt {
        Doubt::Never => (State::Unknown, Write::Doubt),
        Doubt::Ask if timed_out || (spent && attempt >= ATTEMPTS) => (State::Unknown, Write::Doubt),
        Doubt::None if timed_out => (State::TimedOut, Write::Archive),
        Doubt::None if spent && attempt >= ATTEMPTS => (State::Failed, Write::Archive),
        Doubt::None | Doubt::Ask => (State::Ready, Write::Requeue { spent }),
    }
}

/// The final state of a run that ended as `end`, where a cancel had been committed before its report or not.
#[must_use]
pub fn settled(end: State, cancelled_before: bool) -> State {
    if cancelled_before && end.is_final() { State::Cancelled } else { end }
}

#[cfg(test)]
mod tests {
    use super::{
        ATTEMPTS, Doubt, Event,
        Event::{Acked, Cancel, Claimed, Due, Lapsed, Lost, Pause, Reported, Resolved, Resume, Returned, Stopped},
        Loss, Refused,
        State::{
            self, Cancelled, Expired, Failed, Offered, Paused, Ready, Running, Scheduled, Succeeded, TimedOut, Unknown,
        },
        Write, next, settled,
    };

    const STATES: [State; 11] =
        [Scheduled, Ready, Offered, Running, Paused, Unknown, Succeeded, Failed, TimedOut, Cancelled, Expired];
    const PLAIN: Loss = Loss { doubt: Doubt::None, attempt: 1, cancelling: false, touched: false, timed_out: false };

    fn losses() -> Vec<Loss> {
        let mut losses = Vec::new();
        for doubt in [Doubt::None, Doubt::Ask, Doubt::Never] {
            for attempt in 1..=ATTEMPTS + 1 {
                for bits in 0..8 {
                    let (cancelling, touched, timed_out) = (bits & 1 > 0, bits & 2 > 0, bits & 4 > 0);
                    losses.push(Loss {
                        doubt,
                        attempt,
                        cancelling,
                        touched: touched || doubt > Doubt::None,
                        timed_out,
                    });
                }
            }
        }
        losses
    }

    fn events() -> Vec<Event> {
        let mut events = vec![Due, Claimed, Acked, Lapsed, Returned, Event::Expired, Cancel, Pause, Stopped, Resume];
        events.extend([true, false].map(|failed| Resolved { failed }));
        events.extend(STATES.map(Reported));
        events.extend(losses().into_iter().map(Lost));
        events
    }

    #[test]
    fn a_task_that_nothing_happens_to_goes_from_scheduled_to_its_end() {
        assert_eq!(next(Scheduled, Due), Ok((Ready, Write::Requeue { spent: false })));
        assert_eq!(next(Ready, Claimed), Ok((Offered, Write::Lease)));
        assert_eq!(next(Offered, Acked), Ok((Running, Write::Nothing)));
        for end in [Succeeded, Failed, TimedOut, Cancelled] {
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
        for event in [Lapsed, Returned, Lost(Loss { attempt: ATTEMPTS, ..PLAIN })] {
            assert_eq!(next(Offered, event), Ok((Ready, Write::Requeue { spent: false })), "{event:?}");
        }
    }

    #[test]
    fn a_lost_attempt_runs_again_until_the_third_one_fails() {
        for attempt in 1..ATTEMPTS {
            assert_eq!(next(Running, Lost(Loss { attempt, ..PLAIN })), Ok((Ready, Write::Requeue { spent: true })));
        }
        assert_eq!(next(Running, Lost(Loss { attempt: ATTEMPTS, ..PLAIN })), Ok((Failed, Write::Archive)));
    }

    #[test]
    fn an_effect_in_doubt_is_never_run_again_by_itself() {
        for loss in losses().into_iter().filter(|loss| loss.doubt == Doubt::Never) {
            assert_eq!(next(Running, Lost(loss)), Ok((Unknown, Write::Doubt)), "{loss:?}");
        }
        for event in events().into_iter().filter(|event| !matches!(event, Resolved { .. })) {
            let to = next(Unknown, event).map(|(state, _)| state);
            assert!(!matches!(to, Ok(Ready | Running | Offered)), "{event:?}");
        }
    }

    #[test]
    fn what_can_be_asked_for_is_asked_by_the_next_attempt_and_not_called_failed() {
        let ask = Loss { doubt: Doubt::Ask, touched: true, ..PLAIN };
        assert_eq!(next(Running, Lost(ask)), Ok((Ready, Write::Requeue { spent: true })));
        assert_eq!(next(Running, Lost(Loss { attempt: ATTEMPTS, ..ask })), Ok((Unknown, Write::Doubt)));
        assert_eq!(next(Running, Lost(Loss { timed_out: true, ..ask })), Ok((Unknown, Write::Doubt)));
    }

    #[test]
    fn a_run_whose_time_is_over_times_out_or_is_unknown_when_its_agent_is_lost() {
        let late = Loss { timed_out: true, ..PLAIN };
        assert_eq!(next(Running, Lost(late)), Ok((TimedOut, Write::Archive)));
        assert_eq!(next(Running, Lost(Loss { doubt: Doubt::Never, ..late })), Ok((Unknown, Write::Doubt)));
    }

    #[test]
    fn unknown_is_not_final_and_a_late_report_or_a_person_settles_it() {
        assert_eq!(next(Running, Reported(Unknown)), Ok((Unknown, Write::Doubt)));
        assert_eq!(next(Unknown, Reported(Unknown)), Ok((Unknown, Write::Nothing)));
        assert_eq!(next(Unknown, Reported(Succeeded)), Ok((Succeeded, Write::Archive)));
        assert_eq!(next(Unknown, Resolved { failed: true }), Ok((Failed, Write::Archive)));
        assert_eq!(next(Unknown, Resolved { failed: false }), Ok((Ready, Write::Requeue { spent: false })));
    }

    #[test]
    fn a_cancel_ends_what_nobody_holds_and_marks_what_runs() {
        for state in [Scheduled, Ready, Paused] {
            assert_eq!(next(state, Cancel), Ok((Cancelled, Write::Archive)), "{state:?}");
        }
        for state in [Offered, Running] {
            assert_eq!(next(state, Cancel), Ok((state, Write::Flag)), "{state:?}");
        }
        assert_eq!(next(Unknown, Cancel), Err(Refused::Meaningless(Unknown, Cancel)));
        for end in [Succeeded, Failed, TimedOut, Cancelled] {
            assert_eq!(settled(end, true), Cancelled);
            assert_eq!(settled(end, false), end);
        }
        assert_eq!(settled(Unknown, true), Unknown);
    }

    #[test]
    fn lost_while_cancelling_is_cancelled_unless_something_was_touched() {
        for loss in losses().into_iter().filter(|loss| loss.cancelling) {
            let expected = if loss.touched { (Unknown, Write::Doubt) } else { (Cancelled, Write::Archive) };
            assert_eq!(next(Running, Lost(loss)), Ok(expected), "{loss:?}");
        }
    }

    #[test]
    fn a_paused_task_goes_on_when_somebody_says_so() {
        assert_eq!(next(Ready, Pause), Ok((Paused, Write::Park)));
        assert_eq!(next(Running, Pause), Ok((Running, Write::Flag)));
        assert_eq!(next(Running, Stopped), Ok((Paused, Write::Park)));
        assert_eq!(next(Paused, Resume), Ok((Ready, Write::Requeue { spent: false })));
        for event in [Claimed, Acked, Lapsed, Event::Expired, Lost(PLAIN)] {
            assert_eq!(next(Paused, event), Err(Refused::Meaningless(Paused, event)));
        }
    }

    #[test]
    fn a_run_ends_with_an_end() {
        for state in [Offered, Running, Unknown] {
            for end in [Scheduled, Ready, Offered, Running, Paused] {
                assert_eq!(next(state, Reported(end)), Err(Refused::Meaningless(state, Reported(end))));
            }
        }
    }

    #[test]
    fn each_write_leads_where_its_name_says() {
        for state in STATES {
            for event in events() {
                let Ok((to, write)) = next(state, event) else { continue };
                assert_eq!(write == Write::Archive, to.is_final(), "{state:?} {event:?}");
                assert_eq!(matches!(write, Write::Requeue { .. }), to == Ready, "{state:?} {event:?}");
                assert!(write != Write::Doubt || to == Unknown, "{state:?} {event:?}");
                assert!(write != Write::Park || to == Paused, "{state:?} {event:?}");
                assert!(write != Write::Flag || to == state, "{state:?} {event:?}");
            }
        }
        assert_eq!(next(Ready, Event::Expired), Ok((Expired, Write::Archive)));
    }
}
