//! What this replica and the others tell each other: which clusters have agents where, and what happened to those.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::model::replica::PeerEvent;

/// What may wait for a slow peer. One that does not keep up is cut off, and begins again with the whole.
const QUEUE: usize = 16_384;

/// A change of what a replica serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// The cluster's first agent is here.
    Gained(i64),
    /// The cluster's last agent has gone.
    Lost(i64),
}

/// See the module.
#[derive(Default)]
pub struct Peers(Mutex<State>);

#[derive(Default)]
struct State {
    /// Agents here, by cluster.
    agents: HashMap<i64, usize>,
    /// Who hears of changes to it.
    listeners: Vec<mpsc::Sender<Served>>,
    /// Other replicas that listen to us.
    others: HashMap<u64, Other>,
    next: u64,
}

struct Other {
    serves: HashSet<i64>,
    events: mpsc::Sender<PeerEvent>,
}

impl Peers {
    /// An agent of the cluster came.
    pub(super) fn gained(&self, cluster: i64) {
        let mut state = self.0.lock();
        let agents = state.agents.entry(cluster).or_default();
        *agents += 1;
        if *agents == 1 {
            state.announce(Served::Gained(cluster));
        }
    }

    /// An agent of the cluster went.
    pub(super) fn lost(&self, cluster: i64) {
        let mut state = self.0.lock();
        let Some(agents) = state.agents.get_mut(&cluster) else { return };
        *agents -= 1;
        if *agents == 0 {
            state.agents.remove(&cluster);
            state.announce(Served::Lost(cluster));
        }
    }

    /// The clusters that have agents here, and from then on each change, in order. The channel ends for a listener that does
    /// not keep up.
    pub fn listen(&self) -> (Vec<i64>, mpsc::Receiver<Served>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let mut state = self.0.lock();
        state.listeners.push(sender);
        (state.agents.keys().copied().collect(), receiver)
    }

    /// Another replica listens to us; its number, and what it is told. The channel ends when it does not keep up.
    pub fn join(&self) -> (u64, mpsc::Receiver<PeerEvent>) {
        let (events, receiver) = mpsc::channel(QUEUE);
        let mut state = self.0.lock();
        state.next += 1;
        let number = state.next;
        state.others.insert(number, Other { serves: HashSet::new(), events });
        (number, receiver)
    }

    /// What another replica serves has changed.
    pub fn serves(&self, number: u64, gained: Vec<i64>, lost: &[i64]) {
        if let Some(other) = self.0.lock().others.get_mut(&number) {
            other.serves.extend(gained);
            other.serves.retain(|cluster| !lost.contains(cluster));
        }
    }

    /// Another replica does not listen any more.
    pub fn leave(&self, number: u64) {
        self.0.lock().others.remove(&number);
    }

    /// Ends what others listen to: this replica stops.
    pub(super) fn close(&self) {
        self.0.lock().others.clear();
    }

    /// Tells the replicas that it concerns.
    pub fn tell(&self, event: &PeerEvent) {
        let concerned = |other: &Other| event.cluster().is_none_or(|cluster| other.serves.contains(&cluster));
        self.0.lock().others.retain(|_, other| !concerned(other) || other.events.try_send(event.clone()).is_ok());
    }
}

impl State {
    fn announce(&mut self, change: Served) {
        self.listeners.retain(|listener| listener.try_send(change).is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::{Peers, Served};
    use crate::model::replica::PeerEvent;

    #[test]
    fn a_replica_says_what_it_serves_once_a_cluster() {
        let peers = Peers::default();
        peers.gained(1);
        peers.gained(1);
        let (serves, mut changes) = peers.listen();
        assert_eq!(serves, [1]);
        peers.gained(2);
        peers.lost(1);
        peers.lost(1);
        peers.lost(7);
        assert_eq!(changes.try_recv(), Ok(Served::Gained(2)));
        assert_eq!(changes.try_recv(), Ok(Served::Lost(1)));
        assert!(changes.try_recv().is_err());
        assert_eq!(peers.listen().0, [2]);
    }

    #[test]
    fn only_those_hear_of_a_cluster_who_have_agents_of_it() {
        let peers = Peers::default();
        let ((first, mut to_first), (second, mut to_second)) = (peers.join(), peers.join());
        peers.serves(first, vec![1, 2], &[]);
        peers.serves(first, vec![], &[2]);
        peers.serves(second, vec![2], &[]);
        let revoked = PeerEvent::SessionRevoked("s".into());
        for event in [PeerEvent::Waiting(1), PeerEvent::Wish(2, [1; 16]), revoked.clone()] {
            peers.tell(&event);
        }
        assert_eq!(to_first.try_recv(), Ok(PeerEvent::Waiting(1)));
        assert_eq!(to_first.try_recv(), Ok(revoked.clone()));
        assert_eq!(to_second.try_recv(), Ok(PeerEvent::Wish(2, [1; 16])));
        assert_eq!(to_second.try_recv(), Ok(revoked.clone()));
        peers.leave(first);
        peers.tell(&revoked);
        assert!(to_first.try_recv().is_err() && to_second.try_recv().is_ok());
    }

    #[test]
    fn who_does_not_keep_up_is_cut_off_and_holds_nobody_up() {
        let peers = Peers::default();
        let (_, mut events) = peers.join();
        for _ in 0..=super::QUEUE {
            peers.tell(&PeerEvent::SessionRevoked("s".into()));
        }
        let mut heard = 0;
        while events.try_recv().is_ok() {
            heard += 1;
        }
        assert_eq!(heard, super::QUEUE);
        assert!(events.is_closed());
    }
}
