//! `…/plugin` and `…/command`: what a cluster's agents can do.

use axum::extract::{Path, State};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    fields::quoted,
    list::{List, Page, Rows},
    problem::Problem,
};
use crate::{
    app::{
        App,
        inventory::{CommandFilter, PluginFilter, ServedCommand, ServedPlugin},
    },
    model::{ids::time, inventory::PluginState},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_plugins)).routes(routes!(list_commands))
}

/// A plugin of one agent.
#[derive(Serialize, ToSchema)]
struct AgentPlugin {
    /// The agent's name, such as its pod's.
    #[schema(example = "claiflow-client-7c9d8b6f5-x2x7k")]
    agent: String,
    #[schema(example = "0.1.0")]
    agent_version: String,
    /// Whether the agent is connected now. One that is not is shown for a day.
    connected: bool,
    /// The file's stem.
    #[schema(example = "restart-tool")]
    name: String,
    /// As the plugin says; absent when unknown.
    #[schema(example = "1.2.0")]
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Of the component file; absent when unknown.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// `compiling`; `ready`: it serves; `kept`: an earlier version serves, since the newer file was refused; `refused`: nothing of it
    /// serves; `unknown`: the agent has a word for it that this server does not know.
    #[schema(example = "ready")]
    state: &'static str,
    /// Why it is not ready, or why an earlier version was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What the operator of the cluster granted it, a line each; none: its task and its log alone.
    #[schema(example = json!(["kubernetes: get, list apps/deployments in shop"]))]
    grants: Vec<String>,
    /// Imports of its file that nobody granted.
    #[schema(example = json!(["claiflow:plugin/kubernetes-write@1.0.0"]))]
    missing: Vec<String>,
    /// The operator's names of the keys that signed it, where the grants file asks for signatures.
    #[schema(example = json!(["release-2026"]))]
    signed_by: Vec<String>,
    /// What made its file, as the file itself says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "claiflow build-plugin rustc 1.95.0")]
    built_by: Option<String>,
    /// Since when the agent serves what it serves.
    updated: DateTime<Utc>,
}

impl From<ServedPlugin> for AgentPlugin {
    fn from(served: ServedPlugin) -> Self {
        let ServedPlugin { key: _, agent, agent_version, connected, at, plugin } = served;
        Self {
            agent,
            agent_version,
            connected,
            name: plugin.name,
            version: given(plugin.version),
            sha256: given(plugin.sha256),
            state: plugin.state.word(),
            reason: given(plugin.reason),
            grants: plugin.grants,
            missing: plugin.missing,
            signed_by: plugin.signed_by,
            built_by: given(plugin.built_by),
            updated: time(at),
        }
    }
}

/// A command that agents of the cluster serve.
#[derive(Serialize, ToSchema)]
struct AgentCommand {
    /// What a step's `$command` says, or a pattern of it.
    #[schema(example = "kubernetes.{resource}.{verb}.{version+}")]
    name: String,
    /// Whether `name` is a pattern: `{…}` stands for one part, `{…+}` at its end for one or more.
    #[schema(example = true)]
    pattern: bool,
    /// The plugin that serves it.
    #[schema(example = "kubernetes")]
    plugin: String,
    #[schema(example = "Reads or changes objects of the cluster")]
    summary: String,
    /// JSON Schema; null when not given.
    #[schema(value_type = Option<HashMap<String, serde_json::Value>>, example = json!({"type": "object"}))]
    inputs: Option<Box<RawValue>>,
    /// JSON Schema; null when not given.
    #[schema(value_type = Option<HashMap<String, serde_json::Value>>, example = json!({"type": "object"}))]
    outputs: Option<Box<RawValue>>,
    /// `read`, `idempotent`, `verify` or `never`; or rules in their order, of which the first that matches a call's inputs holds.
    #[schema(value_type = Value, example = json!("read"))]
    effect: Box<RawValue>,
    /// The connected agents that serve it, by name; none where only agents do that are not connected now.
    #[schema(example = json!(["claiflow-client-7c9d8b6f5-x2x7k"]))]
    agents: Vec<String>,
}

impl From<ServedCommand> for AgentCommand {
    fn from(ServedCommand { key: _, command, agents }: ServedCommand) -> Self {
        Self {
            name: command.name,
            pattern: command.pattern,
            plugin: command.plugin,
            summary: command.summary,
            inputs: document(command.inputs),
            outputs: document(command.outputs),
            effect: effect(command.effect),
            agents,
        }
    }
}

fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn document(text: String) -> Option<Box<RawValue>> {
    RawValue::from_string(text).ok()
}

/// Rules are JSON; a class is a word.
fn effect(text: String) -> Box<RawValue> {
    let rules = text.starts_with('[').then(|| RawValue::from_string(text.clone()).ok()).flatten();
    let word = || serde_json::value::to_raw_value(&text).unwrap_or_else(|_| RawValue::NULL.to_owned());
    rules.unwrap_or_else(word)
}

/// Which plugins a list shows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PluginQuery {
    /// Only plugins of this name.
    name: Option<String>,
    /// Only plugins of the agent of this name.
    agent: Option<String>,
    /// Only plugins that stand so: `compiling`, `ready`, `kept` or `refused`.
    #[param(example = "refused")]
    state: Option<String>,
    /// `true`: only plugins of agents that are connected; `false`: only of those that are not.
    #[param(value_type = Option<bool>)]
    connected: Option<String>,
}

impl PluginQuery {
    fn filter(&self) -> Result<PluginFilter, Problem> {
        let state = self.state.as_deref().map(|text| {
            let known = PluginState::SAID.into_iter().find(|state| state.word() == text);
            let wrong = || format!("`state` is `compiling`, `ready`, `kept` or `refused`, not {}", quoted(text));
            known.ok_or_else(|| Problem::malformed(wrong()))
        });
        let connected = self.connected.as_deref().map(|text| {
            let wrong = || format!("`connected` is `true` or `false`, not {}", quoted(text));
            text.parse().map_err(|_| Problem::malformed(wrong()))
        });
        let (state, connected) = (state.transpose()?, connected.transpose()?);
        Ok(PluginFilter { name: self.name.clone(), agent: self.agent.clone(), state, connected })
    }
}

/// Which commands a list shows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CommandQuery {
    /// Only what serves a step with this `$command`: the command of this name, and patterns that cover it.
    #[param(example = "kubernetes.pods.get.v1")]
    name: Option<String>,
    /// Only commands of this plugin.
    plugin: Option<String>,
}

/// List the plugins of a cluster's agents
///
/// By name and agent, whichever replica the agents are connected to; of 32 agents at most, the connected ones first.
#[utoipa::path(get, path = "/api/v1/cluster/{cluster_uuid}/plugin", tag = "cluster", params(("cluster_uuid" = String, Path), Page, PluginQuery), responses(
    (status = OK, body = [AgentPlugin]),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn list_plugins(
    State(app): State<App>,
    Path(cluster): Path<String>,
    list: List<PluginQuery>,
) -> Result<Rows<AgentPlugin>, Problem> {
    let rows = app.plugins(&cluster, &list.filter.filter()?, &list.listing([], false)?).await?;
    list.rows(rows, |row| row.key.clone())
}

/// List the commands of a cluster's agents
///
/// By name and plugin; of 32 agents at most, the connected ones first. Where agents describe a command differently, each
/// description has a row.
#[utoipa::path(get, path = "/api/v1/cluster/{cluster_uuid}/command", tag = "cluster", params(("cluster_uuid" = String, Path), Page, CommandQuery), responses(
    (status = OK, body = [AgentCommand]),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn list_commands(
    State(app): State<App>,
    Path(cluster): Path<String>,
    list: List<CommandQuery>,
) -> Result<Rows<AgentCommand>, Problem> {
    let CommandQuery { name, plugin } = &list.filter;
    let filter = CommandFilter { name: name.clone(), plugin: plugin.clone() };
    let rows = app.commands(&cluster, &filter, &list.listing([], false)?).await?;
    list.rows(rows, |row| row.key.clone())
}
