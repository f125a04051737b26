//! An agent of a story, as data: what it says that it serves, and whether it stays.

use claiflow_server::{
    model::inventory::{Command, Inventory, Plugin},
    storage::InventoryRow,
};
use serde::Deserialize;

use crate::server::Server;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Agent {
    cluster: String,
    journal: u8,
    #[serde(default)]
    name: String,
    #[serde(default)]
    plugins: Vec<Plugin>,
    #[serde(default)]
    commands: Vec<Command>,
    /// Its stream ends after that.
    #[serde(default)]
    leaves: bool,
}

impl Agent {
    pub(crate) async fn speak(&self, server: &Server) {
        let cluster = server.store.cluster(&self.cluster).await.unwrap().unwrap().id;
        let (journal, session, at) = ([self.journal; 16], "s".to_owned(), 1_795_000_000_000_000);
        let replica = server.app.replica_id();
        server.store.agent_attached(cluster, journal, &session, replica, at).await.unwrap();
        let said = Inventory { plugins: self.plugins.clone(), commands: self.commands.clone() };
        let (inventory, _) = said.bounded();
        let (name, version) = (self.name.clone(), "0.1.0".into());
        let row = InventoryRow { cluster, journal, session: session.clone(), name, version, at, inventory };
        server.store.keep_inventory(&row).await.unwrap();
        if self.leaves {
            server.store.agent_detached(cluster, journal, &session, at + 1).await.unwrap();
        }
    }
}
