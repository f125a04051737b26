//! Which agents of the first version wait on this replica, and what they were given. Pure bookkeeping: no I/O, no clock.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use super::Poll;
use crate::model::ids::Id;

#[derive(Default)]
pub(in crate::dispatch) struct Polls {
    open: HashMap<i64, Vec<Open>>,
    given: HashMap<String, Given>,
    /// The server stops: no call waits any more.
    closed: bool,
}

/// A call that waits. Its wakes end with it, and it ends with its wakes.
struct Open {
    session: String,
    wakes: mpsc::Sender<()>,
    /// How long its session lives without a sign of life, and until when it does.
    life: Duration,
    until: Instant,
}

/// Tasks whose ends a session has not reported: it may hold them, and drops everything that comes with one of them.
struct Given {
    tasks: HashSet<Id>,
    polled: Instant,
}

impl Polls {
    /// A call begins to wait; none when the server stops.
    pub(super) fn open(&mut self, poll: &Poll, now: Instant) -> Option<mpsc::Receiver<()>> {
        if self.closed {
            return None;
        }
        if let Some(given) = self.given.get_mut(&poll.session) {
            given.polled = now;
        }
        let (wakes, woken) = mpsc::channel(1);
        let open = self.open.entry(poll.cluster).or_default();
        open.retain(|open| !open.wakes.is_closed());
        open.push(Open { session: poll.session.clone(), wakes, life: poll.life, until: now });
        Some(woken)
    }

    /// Lets a cluster's calls look for tasks.
    pub(in crate::dispatch) fn wake(&self, cluster: i64) {
        for open in self.open.get(&cluster).into_iter().flatten() {
            // One wake that waits is enough; a call that has ended needs none.
            let _ = open.wakes.try_send(());
        }
    }

    /// Ends a cluster's calls.
    pub(in crate::dispatch) fn end_cluster(&mut self, cluster: i64) {
        self.open.remove(&cluster);
    }

    /// Ends a session's calls.
    pub(in crate::dispatch) fn end_session(&mut self, session: &str) {
        self.given.remove(session);
        for open in self.open.values_mut() {
            open.retain(|open| open.session != session);
        }
    }

    /// Ends all calls that wait now.
    pub(in crate::dispatch) fn end_open(&mut self) {
        self.open.clear();
    }

    /// Ends all calls, also those that come later.
    pub(in crate::dispatch) fn end_all(&mut self) {
        self.closed = true;
        self.open.clear();
    }

    /// Sessions that wait here and would end before `soon`: how long each lives on from now.
    pub(super) fn due(&mut self, now: Instant, soon: Duration) -> HashMap<Duration, Vec<String>> {
        let mut due: HashMap<Duration, Vec<String>> = HashMap::new();
        self.open.retain(|_, open| {
            open.retain(|open| !open.wakes.is_closed());
            !open.is_empty()
        });
        for open in self.open.values_mut().flatten() {
            if open.until < now + soon + open.life / 2 {
                open.until = now + open.life;
                due.entry(open.life).or_default().push(open.session.clone());
            }
        }
        due
    }

    /// What a session may hold.
    pub(super) fn held(&self, session: &str) -> Vec<Id> {
        self.given.get(session).map(|given| given.tasks.iter().copied().collect()).unwrap_or_default()
    }

    pub(super) fn give(&mut self, session: &str, tasks: impl Iterator<Item = Id>, now: Instant) {
        let given =
            self.given.entry(session.to_owned()).or_insert_with(|| Given { tasks: HashSet::new(), polled: now });
        given.tasks.extend(tasks);
    }

    /// The task's end was reported, or it never reached the session.
    pub(super) fn take(&mut self, session: &str, task: &Id) {
        if let Some(given) = self.given.get_mut(session) {
            given.tasks.remove(task);
            if given.tasks.is_empty() {
                self.given.remove(session);
            }
        }
    }

    /// Forgets sessions that have not polled for `age`.
    pub(super) fn forget(&mut self, age: Duration, now: Instant) {
        self.given.retain(|_, given| now.duration_since(given.polled) < age);
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, Poll, Polls};

    fn poll(cluster: i64, session: &str) -> Poll {
        Poll { cluster, session: session.into(), journal: [0; 16], limit: 1, life: Duration::from_secs(60) }
    }

    #[test]
    fn a_wake_is_kept_for_a_call_that_is_busy_and_reaches_its_cluster_only() {
        let mut polls = Polls::default();
        let now = Instant::now();
        let mut one = polls.open(&poll(1, "a"), now).unwrap();
        let mut other = polls.open(&poll(2, "b"), now).unwrap();
        polls.wake(1);
        polls.wake(1);
        assert!(one.try_recv().is_ok() && one.try_recv().is_err(), "one wake is enough");
        assert!(other.try_recv().is_err());
    }

    #[test]
    fn a_call_ends_with_its_session_its_cluster_or_the_server() {
        let mut polls = Polls::default();
        let now = Instant::now();
        let calls = [(1, "a"), (1, "b"), (2, "c")].map(|(cluster, session)| polls.open(&poll(cluster, session), now));
        let calls = calls.map(Option::unwrap);
        let ended = || calls.each_ref().map(|call| call.sender_strong_count() == 0);
        polls.end_session("a");
        assert_eq!(ended(), [true, false, false]);
        polls.end_cluster(1);
        assert_eq!(ended(), [true, true, false]);
        polls.end_all();
        assert_eq!(ended(), [true, true, true]);
        assert!(polls.open(&poll(1, "a"), now).is_none(), "a stopping server lets nobody wait");
    }

    #[test]
    fn only_who_waits_lives_on() {
        let mut polls = Polls::default();
        let now = Instant::now();
        let waits = polls.open(&poll(1, "a"), now);
        drop(polls.open(&poll(1, "gone"), now));
        let soon = Duration::from_secs(5);
        let due = [(Duration::from_secs(60), vec!["a".to_owned()])].into();
        assert_eq!(polls.due(now, soon), due);
        assert!(polls.due(now, soon).is_empty(), "it was just prolonged");
        assert_eq!(polls.due(now + Duration::from_secs(30), soon), due);
        drop(waits);
    }

    #[test]
    fn what_was_given_is_held_until_its_end_is_reported_or_the_session_is_forgotten() {
        let mut polls = Polls::default();
        let now = Instant::now();
        polls.give("a", [[1; 16], [2; 16]].into_iter(), now);
        polls.take("a", &[1; 16]);
        assert_eq!((polls.held("a"), polls.held("b")), (vec![[2; 16]], vec![]));
        polls.forget(Duration::from_secs(10), now + Duration::from_secs(11));
        assert!(polls.held("a").is_empty());
    }
}
