//! All stores as one: who looks for a credential does not say where it is.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::time::Instant;

use super::{
    carried::carried,
    credential::{Credential, Entry, Put, check_key},
    failure::missing,
    in_secret::InSecret,
    mounted::Mounted,
    storage::Storage,
    volume::Volume,
};
use crate::{
    http::{self, Carried, Credentials},
    kubernetes::{Cluster, Effect, Failure},
};

/// For a credential that goes with a request.
const FIND_MAX: Duration = Duration::from_secs(10);

/// The stores that an agent has. The default has none.
#[derive(Debug, Default)]
pub struct Stores {
    mounted: Option<Mounted>,
    volume: Option<Arc<Volume>>,
    secret: Option<InSecret>,
}

/// What all stores hold, without any of their data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// By storage and key.
    pub entries: Vec<Entry>,
    /// Those that did not answer.
    pub unavailable: Vec<Silent>,
}

/// A store that did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Silent {
    /// Which.
    pub storage: &'static str,
    /// Why.
    pub message: String,
}

impl Stores {
    /// Nothing is read yet. `mounted`: a directory with a file for each credential.
    #[must_use]
    pub fn new(mounted: Option<PathBuf>, volume: Option<Volume>, cluster: Option<Arc<Cluster>>) -> Self {
        Self { mounted: mounted.map(Mounted::new), volume: volume.map(Arc::new), secret: cluster.map(InSecret::new) }
    }

    /// The credential of this key. Where several stores have one, that of the operator's files counts, then the agent's own, then the
    /// Secret's: what is near answers while the cluster does not.
    ///
    /// # Errors
    /// `denied` where it is not there, `unavailable` where a store that is asked does not answer.
    pub async fn find(&self, key: &str, deadline: Instant) -> Result<Credential, Failure> {
        check_key(key)?;
        let name = key.to_owned();
        if let Some(mounted) = self.mounted.clone()
            && let Some(found) = waiting(deadline, move || mounted.find(&name)).await?
        {
            return Ok(found);
        }
        let name = key.to_owned();
        if let Some(volume) = self.volume.clone()
            && let Some(found) = waiting(deadline, move || volume.find(&name)).await?
        {
            return Ok(found);
        }
        match &self.secret {
            Some(secret) => Box::pin(secret.find(key, deadline)).await?.ok_or_else(|| missing(key)),
            None => Err(missing(key)),
        }
    }

    /// What there is. A store that does not answer is named, since a part of the list would read as the whole.
    pub async fn list(&self, deadline: Instant) -> Listed {
        let mut listed = Listed::default();
        if let Some(mounted) = self.mounted.clone() {
            listed.take(Storage::Mounted, waiting(deadline, move || mounted.entries()).await);
        }
        if let Some(volume) = self.volume.clone() {
            listed.take(Storage::Volume, waiting(deadline, move || volume.entries()).await);
        }
        if let Some(secret) = &self.secret {
            listed.take(Storage::Secret, Box::pin(secret.entries(deadline)).await);
        }
        listed
    }

    /// The keys that are known now.
    pub async fn keys(&self, deadline: Instant) -> BTreeSet<String> {
        self.list(deadline).await.entries.into_iter().map(|entry| entry.key).collect()
    }

    /// Puts one credential.
    ///
    /// # Errors
    /// `exists` or `not-found` against its [`super::Mode`]; `invalid`, `unavailable`; each with the effect that it may have had.
    pub async fn put(&self, key: &str, storage: Storage, put: Put, deadline: Instant) -> Result<(), Failure> {
        check_key(key)?;
        match (storage, &self.volume, &self.secret) {
            (Storage::Volume, Some(volume), _) => {
                let (volume, key) = (volume.clone(), key.to_owned());
                waiting(deadline, move || volume.put(&key, &put, deadline.into_std())).await
            }
            (Storage::Secret, _, Some(secret)) => Box::pin(secret.put(key, &put, deadline)).await,
            _ => Err(none(storage)),
        }
    }

    /// Removes one credential.
    ///
    /// # Errors
    /// `not-found`; `unavailable`; each with the effect that it may have had.
    pub async fn remove(&self, key: &str, storage: Storage, deadline: Instant) -> Result<(), Failure> {
        check_key(key)?;
        match (storage, &self.volume, &self.secret) {
            (Storage::Volume, Some(volume), _) => {
                let (volume, key) = (volume.clone(), key.to_owned());
                waiting(deadline, move || volume.remove(&key, deadline.into_std())).await
            }
            (Storage::Secret, _, Some(secret)) => Box::pin(secret.remove(key, deadline)).await,
            _ => Err(none(storage)),
        }
    }
}

impl Listed {
    fn take(&mut self, storage: Storage, answer: Result<Vec<Entry>, Failure>) {
        match answer {
            Ok(entries) => self.entries.extend(entries),
            Err(failure) => self.unavailable.push(Silent { storage: storage.as_str(), message: failure.message }),
        }
    }
}

#[async_trait::async_trait]
impl Credentials for Stores {
    async fn carried(&self, name: &str, header: Option<&str>) -> Result<Carried, http::Failure> {
        let found = self.find(name, Instant::now() + FIND_MAX).await;
        let credential = found.map_err(|Failure { code, message, .. }| http::Failure::new(code, message))?;
        carried(name, &credential, header)
    }
}

/// File work, beside the threads that may not wait. Where nobody waits for it any more, it may still take effect.
async fn waiting<T: Send + 'static>(
    deadline: Instant,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::time::timeout_at(deadline, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(Failure::new("failed", "the store of credentials broke off").with(Effect::Unknown)),
        Err(_) => Err(Failure::new("timeout", "the disk that holds credentials does not answer").with(Effect::Unknown)),
    }
}

fn none(storage: Storage) -> Failure {
    let why = match storage {
        Storage::Secret => {
            "this agent has no cluster: it runs in none with its account mounted, and was given no `--kubeconfig`; write \
             `storage: volume`"
        }
        Storage::Volume => "this agent has no directory for it; write `storage: k8s/secret`",
        Storage::Mounted => "it is only read",
    };
    Failure::new("unavailable", format!("the storage `{storage}` is not there: {why}"))
}
