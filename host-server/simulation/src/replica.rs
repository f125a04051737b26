//! A server process: the real dispatcher over the simulated database.

use std::sync::Arc;

use claiflow_server::{
    dispatch::{Dispatch, Round, Served},
    model::{ids::Ids as _, replica::PeerEvent},
};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{clock::Wall, power::Power, store::Store, world::World};

pub(crate) struct Replica {
    pub(crate) power: Power,
    pub(crate) dispatch: Dispatch,
    pub(crate) store: Store,
    wall: Wall,
    stop: CancellationToken,
}

impl Replica {
    /// Starts the replica of this number, where it does not run.
    pub(crate) fn start(world: &Arc<World>, number: usize) {
        let Some(wall) = world.walls.get(number).cloned() else { return };
        if world.replica(number).is_some() {
            return;
        }
        let (power, stop) = (Power::default(), CancellationToken::new());
        let store = Store {
            name: format!("replica {number}"),
            power: power.clone(),
            database: Arc::clone(&world.database),
            trace: world.trace.clone(),
        };
        let (metrics, timing) = (world.parts.server.clone(), world.setup.timing);
        let dispatch = Dispatch::start(store.clone(), wall.clone(), metrics, timing, &stop);
        let replica = Arc::new(Self { power, dispatch, store, wall, stop });
        tokio::spawn(lead(Arc::clone(&replica)));
        let others: Vec<_> = world.replicas().values().cloned().collect();
        for other in others {
            tokio::spawn(listen(Arc::clone(&replica), Arc::clone(&other)));
            tokio::spawn(listen(other, Arc::clone(&replica)));
        }
        world.trace.say(format_args!("replica {number} starts"));
        world.replicas().insert(number, replica);
    }

    /// The process dies in the middle of whatever it does.
    pub(crate) fn crash(world: &World, number: usize, silently: bool) {
        let Some(replica) = world.replicas().remove(&number) else { return };
        world.trace.say(format_args!("replica {number} crashes"));
        replica.power.kill();
        replica.stop.cancel();
        world.net.replica_died(number, silently);
    }
}

/// Says that it lives, and does the work that one does for all where it is the one.
async fn lead(replica: Arc<Replica>) {
    let dispatch = &replica.dispatch;
    let mut every = interval(dispatch.timing().round);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut round = None;
    while !replica.power.is_dead() {
        every.tick().await;
        match replica.store.beat(dispatch.replica()).await {
            Ok((alive, true)) => {
                let round = round.get_or_insert_with(Round::default);
                // A round that fails is made up for by the next.
                let _ = dispatch.sweep(round, &alive, Instant::now(), replica.wall.now_us()).await;
            }
            Ok((_, false)) => round = None,
            // Whether it leads is not known; the next round asks again.
            Err(_) => {}
        }
    }
}

/// Hears of what another replica knows.
async fn listen(replica: Arc<Replica>, other: Arc<Replica>) {
    let (number, mut events) = other.dispatch.peers().join();
    let (clusters, mut changes) = replica.dispatch.peers().listen();
    other.dispatch.peers().serves(number, clusters, &[]);
    loop {
        tokio::select! {
            biased;
            change = changes.recv() => {
                other.power.pass().await;
                match change {
                    Some(Served::Gained(cluster)) => other.dispatch.peers().serves(number, vec![cluster], &[]),
                    Some(Served::Lost(cluster)) => other.dispatch.peers().serves(number, vec![], &[cluster]),
                    None => return,
                }
            }
            event = events.recv() => {
                replica.power.pass().await;
                match event {
                    Some(PeerEvent::Waiting(cluster)) => replica.dispatch.look_here(cluster),
                    Some(PeerEvent::Wish(cluster, task)) => {
                        // A hint: what is missed stands in the database.
                        let _ = replica.dispatch.remind_here(cluster, task).await;
                    }
                    Some(PeerEvent::ClusterDeleted(..) | PeerEvent::SessionRevoked(_)) => {}
                    None => return,
                }
            }
        }
    }
}
