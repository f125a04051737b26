//! The Secret `claiflow-credential` in the agent's namespace: a value for each credential. It is read and changed as the agent
//! itself, one value at a time and only in the version that was read, so that whoever else changes it loses nothing.

use std::{collections::BTreeMap, fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    credential::{Credential, Entry, Mode, Put, is_key},
    failure::{absent, there, unreadable},
    storage::Storage,
};
use crate::{
    grants::kubernetes::{CREDENTIALS as SECRET, Kind, Name, Namespace, Object, Patch},
    kubernetes::{Actor, Cluster, Error, Failure, Request, Writing},
};

const HERE: Storage = Storage::Secret;
const MANAGER: &str = "claiflow-agent";
/// An API server stores 1.5 MiB, which base64 makes 2.
const ANSWER_MAX_BYTES: usize = 4 << 20;
/// Each time somebody else was faster.
const ATTEMPTS_MAX: usize = 8;

/// The way to the Secret.
#[derive(Clone)]
pub struct InSecret(Arc<Cluster>);

/// What of the Secret counts.
#[derive(Deserialize)]
struct Found {
    metadata: Metadata,
    #[serde(default)]
    data: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "resourceVersion")]
    resource_version: String,
}

impl InSecret {
    /// Nothing is asked yet.
    #[must_use]
    pub const fn new(cluster: Arc<Cluster>) -> Self {
        Self(cluster)
    }

    pub(super) async fn find(&self, key: &str, deadline: Instant) -> Result<Option<Credential>, Failure> {
        let Some(found) = self.get(deadline).await? else { return Ok(None) };
        found.value(key).transpose()
    }

    pub(super) async fn entries(&self, deadline: Instant) -> Result<Vec<Entry>, Failure> {
        let Some(found) = self.get(deadline).await? else { return Ok(Vec::new()) };
        let keys = found.data.iter().flatten().map(|(key, _)| key).filter(|key| is_key(key));
        let entry = |key: &String| match found.value(key)? {
            Ok(credential) => Some(credential.entry(key, HERE)),
            Err(failure) => Some(Entry::broken(key, HERE, failure.message)),
        };
        Ok(keys.filter_map(entry).collect())
    }

    /// # Errors
    /// `exists` or `not-found` against its [`Mode`]; what the API server says, with the effect that it may have had.
    pub(super) async fn put(&self, key: &str, put: &Put, deadline: Instant) -> Result<(), Failure> {
        let value = STANDARD.encode(put.credential.write(key, HERE)?);
        self.change(deadline, key, |is_there| match (put.mode, is_there) {
            (Mode::Add, true) => Err(there(key, HERE)),
            (Mode::Update, false) => Err(absent(key, HERE)),
            _ => Ok(Value::from(value.clone())),
        })
        .await
    }

    /// # Errors
    /// `not-found`; what the API server says, with the effect that it may have had.
    pub(super) async fn remove(&self, key: &str, deadline: Instant) -> Result<(), Failure> {
        let change = |is_there| if is_there { Ok(Value::Null) } else { Err(absent(key, HERE)) };
        self.change(deadline, key, change).await
    }

    /// Sets one value to what `decide` makes of whether it is there; null takes it away.
    async fn change(
        &self,
        deadline: Instant,
        key: &str,
        decide: impl Fn(bool) -> Result<Value, Failure>,
    ) -> Result<(), Failure> {
        let (kind, at) = (kind(), self.at()?);
        let writing = Writing { manager: MANAGER.to_owned(), dry_run: false };
        let mut attempt = 1;
        loop {
            let found = self.get(deadline).await?;
            let is_there = found.as_ref().is_some_and(|found| found.data.iter().flatten().any(|(at, _)| at == key));
            let data = json!({key: decide(is_there)?});
            let request = match found {
                Some(Found { metadata: Metadata { resource_version }, .. }) => {
                    let patch = json!({"metadata": {"resourceVersion": resource_version}, "data": data});
                    let patch = Patch::parse("merge", patch).map_err(|error| self.wrong(&error))?;
                    Request::patch(&kind, &at, &patch, &writing)?
                }
                None => {
                    let metadata = json!({"name": SECRET, "namespace": self.0.namespace()});
                    let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data});
                    Request::create(&kind, &at, &body, &writing)?
                }
            };
            match self.0.ask::<Value>(&Actor::Agent, &request, ANSWER_MAX_BYTES, deadline).await {
                Ok(_) => return Ok(()),
                Err(error) => {
                    let failure = self.failure("changed", "patch", error);
                    // Somebody else changed or made it: what was decided is decided anew.
                    if failure.status != Some(409) || attempt >= ATTEMPTS_MAX {
                        return Err(failure);
                    }
                    attempt += 1;
                }
            }
        }
    }

    async fn get(&self, deadline: Instant) -> Result<Option<Found>, Failure> {
        let request = Request::get(&kind(), &self.at()?)?;
        match self.0.ask(&Actor::Agent, &request, ANSWER_MAX_BYTES, deadline).await {
            Ok((value, _)) => serde_json::from_value(value).map(Some).map_err(|_| {
                // Serde would quote what it does not expect.
                self.wrong(&"what the API server answers is no Secret")
            }),
            Err(error) => match self.failure("read", "get", error) {
                failure if failure.status == Some(404) => Ok(None),
                failure => Err(failure),
            },
        }
    }

    fn at(&self) -> Result<Object, Failure> {
        let namespace = Namespace::new(self.0.namespace()).map_err(|error| self.wrong(&error))?;
        Ok(Object { namespace: Some(namespace), name: Some(Name::new(SECRET).map_err(|error| self.wrong(&error))?) })
    }

    /// The API server may quote a body: of what it says only the code and its own word are told.
    fn failure(&self, done: &str, verb: &str, error: Error) -> Failure {
        let failure = error.failure(|status| status);
        let namespace = self.0.namespace();
        let why = match failure.status {
            Some(403) => format!(
                "the agent's account may not; it needs {verb} on `secrets` by the name `{SECRET}` in `{namespace}`, and the \
                 Secret has to be there: the agent may not create one"
            ),
            Some(status) => {
                let reason = failure.reason.as_deref().unwrap_or("no reason given");
                format!("the API server answers {status}, {reason}")
            }
            None => failure.message.clone(),
        };
        Failure { message: format!("the Secret `{namespace}/{SECRET}` cannot be {done}: {why}"), ..failure }
    }

    fn wrong(&self, why: &dyn fmt::Display) -> Failure {
        Failure::new("unavailable", format!("the Secret `{}/{SECRET}` cannot be used: {why}", self.0.namespace()))
    }
}

impl Found {
    fn value(&self, key: &str) -> Option<Result<Credential, Failure>> {
        let value = self.data.as_ref()?.get(key)?;
        Some(match STANDARD.decode(value) {
            Ok(bytes) => Ok(Credential::read(&bytes)),
            Err(_) => Err(unreadable(key, HERE, "it is not base64")),
        })
    }
}

fn kind() -> Kind {
    Kind {
        group: String::new(),
        version: "v1".to_owned(),
        plural: "secrets".to_owned(),
        subresource: String::new(),
        kind: "Secret".to_owned(),
        api_version: "v1".to_owned(),
        namespaced: true,
    }
}

impl fmt::Debug for InSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InSecret").field(&self.0.namespace()).finish()
    }
}
