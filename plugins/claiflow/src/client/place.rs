//! Which Deployment the agent is of: from its pod over the ReplicaSet, by who owns whom.

use claiflow_sdk::{
    Context, Error, agent,
    kubernetes::{Api, Resource},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

const DEFAULT_CONTAINER: &str = "/metadata/annotations/kubectl.kubernetes.io~1default-container";
const REVISION: &str = "/metadata/annotations/deployment.kubernetes.io~1revision";

/// What the operator sets for this plugin.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The agent's container in its Deployment. Absent: as annotated for kubectl, else the first.
    pub(super) container: Option<String>,
    /// The variables that an upgrade may set. Absent: any, and so may whoever may create its task.
    pub(super) variables: Option<Vec<String>>,
}

/// What was found.
pub(super) struct Place {
    pub(super) namespace: String,
    pub(super) replica_set: String,
    pub(super) container: String,
    pub(super) deployment: Value,
}

pub(super) fn deployments(namespace: &str) -> Api<Value> {
    Api::in_namespace(Resource::new("apps", "v1", "deployments"), namespace)
}

pub(super) fn replica_sets(namespace: &str) -> Api<Value> {
    Api::in_namespace(Resource::new("apps", "v1", "replicasets"), namespace)
}

pub(super) fn pods(namespace: &str) -> Api<Value> {
    Api::in_namespace(Resource::new("", "v1", "pods"), namespace)
}

/// # Errors
/// Where the agent is no pod of a Deployment, or that Deployment is being changed already.
pub(super) fn find(context: &Context) -> Result<Place, Error> {
    let who = agent::identity()?;
    if who.pod.is_empty() || who.namespace.is_empty() {
        return Err(Error::failed(
            "the agent is no pod, or does not know which: `--pod NAME` and `--namespace` say it",
        ));
    }
    let namespace = who.namespace;
    let pod = pods(&namespace).get(&who.pod).map_err(|error| error.while_doing("the agent's own pod"))?;
    let replica_set = owner(&pod, "ReplicaSet")?;
    let of = replica_sets(&namespace).get(&replica_set).map_err(|error| error.while_doing("the agent's ReplicaSet"))?;
    let name = owner(&of, "Deployment")?;
    let deployment = deployments(&namespace).get(&name).map_err(|error| error.while_doing("the agent's Deployment"))?;
    settled(&deployment, &of)?;
    let container = container(&deployment, context.config::<Settings>()?.container)?;
    Ok(Place { namespace, replica_set, container, deployment })
}

/// The Deployment's name.
pub(super) fn name(object: &Value) -> &str {
    text(object, "/metadata/name").unwrap_or_default()
}

pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer).and_then(Value::as_str)
}

pub(super) fn number(object: &Value, pointer: &str) -> u64 {
    object.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

/// A container of a pod template by its name: its index and itself.
pub(super) fn named<'a>(object: &'a Value, name: &str) -> Option<(usize, &'a Value)> {
    let containers = object.pointer("/spec/template/spec/containers").and_then(Value::as_array)?;
    containers.iter().enumerate().find(|(_, container)| text(container, "/name") == Some(name))
}

fn owner(object: &Value, kind: &str) -> Result<String, Error> {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let mut owners = owners.into_iter().flatten();
    let owner = owners.find(|owner| text(owner, "/kind") == Some(kind)).and_then(|owner| text(owner, "/name"));
    let missing =
        || Error::failed(format!("`{}` is of no {kind}: only an agent of a Deployment upgrades itself", name(object)));
    owner.map(ToOwned::to_owned).ok_or_else(missing)
}

/// What would be rolled back to is what this agent runs, and nobody else changes it now.
fn settled(deployment: &Value, replica_set: &Value) -> Result<(), Error> {
    let observed = number(deployment, "/status/observedGeneration") >= number(deployment, "/metadata/generation");
    let same = text(deployment, REVISION) == text(replica_set, REVISION);
    if observed && same {
        return Ok(());
    }
    let message = format!(
        "the Deployment `{}` is being rolled out already: its pod template is not the one that this agent runs",
        name(deployment)
    );
    Err(Error::conflict(message))
}

/// As the operator set it, as annotated, else the first.
fn container(deployment: &Value, set: Option<String>) -> Result<String, Error> {
    let template = deployment.pointer("/spec/template").unwrap_or(&Value::Null);
    let first = || text(template, "/spec/containers/0/name").map(ToOwned::to_owned);
    let name = set.or_else(|| text(template, DEFAULT_CONTAINER).map(ToOwned::to_owned)).or_else(first);
    let name = name.ok_or_else(|| Error::failed("the Deployment's containers cannot be seen"))?;
    match named(deployment, &name) {
        Some(_) => Ok(name),
        None => Err(Error::invalid(format!("the Deployment `{}` has no container `{name}`", self::name(deployment)))),
    }
}
