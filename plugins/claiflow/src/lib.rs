//! The plugin `claiflow`: commands about the agent itself and what it keeps. It decides nothing about authority: the host gives
//! these parts to no other plugin, and each of them only where the operator's `system` names it.

mod client;
mod credential;
mod plugin;

claiflow_sdk::plugin! {
    name: "claiflow",
    config: client::Settings,
    commands: [
        credential::add, credential::get, credential::update, credential::remove,
        credential::former_add, credential::former_get, credential::former_update, credential::former_remove,
        client::rebounce, client::upgrade,
        plugin::list, plugin::reload,
    ],
}
