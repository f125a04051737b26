//! The cluster's API, as far as the operator granted it. Needs `capabilities = ["kubernetes"]` beside the plugin's name in
//! `Cargo.toml`; `kubernetes-write` and `kubernetes-exec` for what changes something.
//!
//! An [`Api`] is one resource in one place, as a type of yours or as [`serde_json::Value`]. A type holds only the fields
//! that the plugin needs: whatever else an object has is left alone.
//!
//! ```
//! use claiflow_sdk::{Error, kubernetes::{Api, Query, Resource}, testing::Cluster};
//! use serde_json::{Value, json};
//!
//! fn images(namespace: &str) -> Result<Vec<Value>, Error> {
//!     let pods = Api::<Value>::in_namespace(Resource::new("", "v1", "pods"), namespace);
//!     let query = Query::new().label("app", "web").fields(["spec.containers"]);
//!     pods.list(&query)?.map(|pod| Ok(pod?["spec"]["containers"][0]["image"].clone())).collect()
//! }
//!
//! // In a test, on a cluster that is played:
//! let cluster = Cluster::new();
//! cluster.put(json!({
//!     "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "web-1", "labels": {"app": "web"}},
//!     "spec": {"containers": [{"name": "app", "image": "web:7"}]},
//! }));
//! assert_eq!(images("shop").unwrap(), ["web:7"]);
//! ```
//!
//! An error has a [code](Error::code) of the contract, the API server's [status](Error::status) and
//! [reason](Error::reason) where there was an answer, and says whether [it may pass later](Error::may_pass_later). Reads
//! are repeated by the host where that is safe, writes never.

mod api;
mod exec;
mod options;
mod stream;
mod target;
mod write;

use serde::Deserialize;

pub use api::Api;
pub use exec::{Execution, Output};
pub use options::{ExecOptions, LogQuery, Query, RemoveOptions, WriteOptions};
pub use stream::{Event, Listing, Log, Watching};
pub use target::{Object, Resource, Scope};
pub use write::Patch;

use crate::{Error, outside};

/// A kind that this plugin may touch, by one rule of its grant.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Granted {
    /// Empty for the core group.
    #[serde(default)]
    pub group: String,
    /// The version that the API server prefers.
    pub version: String,
    /// `pods`, or `pods/log`.
    pub plural: String,
    /// `Pod`.
    pub kind: String,
    /// Whether its objects lie in namespaces.
    pub namespaced: bool,
    /// Of the grant: `get`, `list`, ….
    #[serde(default)]
    pub verbs: Vec<String>,
    /// Of the grant; `*` is every namespace.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// Of the grant: globs; empty is every name.
    #[serde(default)]
    pub names: Vec<String>,
}

/// What this plugin may touch here: what the grant names and the cluster has.
///
/// # Errors
/// `unavailable` where the API server does not answer.
pub fn granted() -> Result<Vec<Granted>, Error> {
    read(&outside::kubernetes::resources()?, || "the list of resources".to_owned())
}

/// An answer as the type that the plugin wants.
fn read<T: serde::de::DeserializeOwned>(text: &str, what: impl FnOnce() -> String) -> Result<T, Error> {
    serde_json::from_str(text)
        .map_err(|error| Error::failed(format!("{} does not fit what the plugin expects: {error}", what())))
}
