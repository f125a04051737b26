//! `helm.repo_add`, `helm.repo_list` and `helm.repo_update`: repositories that the agent keeps under names.

use claiflow_sdk::{Error, command};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{failure::About, former::Former, helm};

/// What to keep under which name.
#[derive(Deserialize, JsonSchema)]
pub struct RepoAdd {
    /// The name under which it is known from now on.
    #[schemars(length(min = 1))]
    repo_name: String,
    /// The repository's address.
    #[schemars(length(min = 1))]
    repo_url: String,
    /// The name of a credential that goes along: `user:password`, which the operator keeps and grants.
    credential: Option<String>,
    /// Take the place of another address of that name.
    replace: Option<bool>,
}

/// Which repository.
#[derive(Deserialize, JsonSchema)]
pub struct RepoUpdate {
    /// The name under which the repository was added.
    #[schemars(length(min = 1))]
    repo_name: String,
}

/// A repository that is kept.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Repository {
    name: String,
    url: String,
}

/// Keeps a chart repository under a name, once its index was fetched.
#[command("helm.repo_add", effect = "idempotent")]
pub fn repo_add(inputs: Former<RepoAdd>) -> Result<String, Error> {
    let RepoAdd { repo_name, repo_url, credential, replace } = inputs.known();
    let mut args = Map::new();
    args.insert("repo_name".to_owned(), json!(repo_name));
    args.insert("repo_url".to_owned(), json!(repo_url));
    args.extend(credential.filter(|it| !it.is_empty()).map(|it| ("credential".to_owned(), Value::from(it))));
    args.insert("replace".to_owned(), json!(replace.unwrap_or_default()));
    helm::run("helm.repo_add", &args, b"", &About::default())?;
    Ok(format!("\"{repo_name}\" has been added to your repositories"))
}

/// The chart repositories that are kept.
#[command("helm.repo_list", effect = "read")]
pub fn repo_list() -> Result<Vec<Repository>, Error> {
    let output = helm::run("helm.repo_list", &json!({}), b"", &About::default())?;
    serde_json::from_slice(&output).map_err(|error| Error::failed(format!("the list cannot be read: {error}")))
}

/// Fetches the index of a chart repository again.
#[command("helm.repo_update", effect = "idempotent")]
pub fn repo_update(inputs: Former<RepoUpdate>) -> Result<String, Error> {
    let RepoUpdate { repo_name } = inputs.known();
    let output = helm::run("helm.repo_update", &json!({"repo_name": repo_name}), b"", &About::default())?;
    Ok(helm::text(&output))
}
