//! What agents serve: offers go by it at once, and it is written down for the other replicas by a task of its own, so that
//! neither a slow database nor an agent that says much holds back a stream.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{Dispatch, hub::Speaker};
use crate::{
    model::{
        ids::Id,
        inventory::{Inventory, named},
    },
    storage::InventoryRow,
};

/// An agent's inventory is written at most this often; of what it says meanwhile, the last counts.
const PACE: Duration = Duration::from_millis(500);
/// After the database did not take one.
const AGAIN: Duration = Duration::from_secs(2);

/// What is to be written, one for each agent.
#[derive(Debug, Default)]
pub(super) struct Said {
    rows: Mutex<BTreeMap<(i64, Id), InventoryRow>>,
    news: Notify,
}

impl Dispatch {
    /// The agent serves something else now.
    pub fn inventory(&self, session: u64, inventory: Inventory) {
        let names = inventory.commands.iter().map(|command| command.name.clone()).collect();
        let Some(speaker) = self.0.hub.lock().inventory(session, names) else { return };
        let cluster = speaker.cluster;
        self.note_inventory(speaker, inventory);
        self.poke(cluster);
    }

    pub(super) fn note_inventory(&self, speaker: Speaker, inventory: Inventory) {
        let Speaker { cluster, journal, session, name, version } = speaker;
        let (inventory, left_out) = inventory.bounded();
        if left_out > 0 {
            tracing::warn!(
                session.uuid = session,
                inventory.left_out = left_out,
                "an agent names more plugins or commands than are listed, or some without a usable name"
            );
        }
        let (name, version) = named(name, version);
        let row = InventoryRow { cluster, journal, session, name, version, at: self.0.source.now_us(), inventory };
        self.0.inventories.rows.lock().insert((cluster, journal), row);
        self.0.inventories.news.notify_one();
    }

    /// Writes down what was said until now; whether all of it is.
    async fn write_inventories(&self) -> bool {
        let mut rows = std::mem::take(&mut *self.0.inventories.rows.lock());
        while let Some((agent, row)) = rows.pop_first() {
            let Err(error) = self.0.store.keep_inventory(&row).await else { continue };
            tracing::warn!(error = &error as &dyn std::error::Error, "what agents serve is not written down yet");
            // What an agent said meanwhile counts.
            let mut waiting = self.0.inventories.rows.lock();
            for (agent, row) in std::iter::once((agent, row)).chain(rows) {
                waiting.entry(agent).or_insert(row);
            }
            return false;
        }
        true
    }
}

/// Writes until `stop`.
pub(super) async fn run(dispatch: Dispatch, stop: CancellationToken) {
    loop {
        let news = async {
            dispatch.0.inventories.news.notified().await;
            while !dispatch.write_inventories().await {
                sleep(AGAIN).await;
            }
            sleep(PACE).await;
        };
        tokio::select! { biased; () = stop.cancelled() => return, () = news => {} }
    }
}
