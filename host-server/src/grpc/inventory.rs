//! An agent's inventory, as the server speaks of it.

use claiflow_proto::agent::v1::{self as proto, PluginState as Said};

use crate::model::{
    ids::hex,
    inventory::{Command, Inventory, Plugin, PluginState},
};

/// What an agent says that it serves.
pub(super) fn read(said: proto::Inventory) -> Inventory {
    Inventory {
        plugins: said.plugins.into_iter().map(plugin).collect(),
        commands: said.commands.into_iter().map(command).collect(),
    }
}

fn plugin(said: proto::Plugin) -> Plugin {
    let state = match said.state() {
        Said::Compiling => PluginState::Compiling,
        Said::Ready => PluginState::Ready,
        Said::Kept => PluginState::Kept,
        Said::Refused => PluginState::Refused,
        Said::Unspecified => PluginState::Unknown,
    };
    let sha256 = if said.digest.len() == 32 { hex(&said.digest) } else { String::new() };
    Plugin {
        name: said.name,
        version: said.version,
        sha256,
        state,
        reason: said.reason,
        grants: said.grants,
        missing: said.missing,
        signed_by: said.signed_by,
        built_by: said.built_by,
    }
}

fn command(said: proto::Command) -> Command {
    Command {
        name: said.name,
        plugin: said.plugin,
        pattern: said.pattern,
        summary: said.summary,
        inputs: said.inputs_schema,
        outputs: said.outputs_schema,
        effect: said.effect,
    }
}
