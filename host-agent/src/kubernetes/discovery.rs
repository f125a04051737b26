//! Which kinds there are, kept and asked for again when one is missing.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use kube::core::discovery::v2::ACCEPT_AGGREGATED_DISCOVERY_V2;
use tokio::{sync::Mutex, time::Instant};

use super::{
    Actor, Catalogue, Cluster, Error, Failure, Request, Served,
    body::BODY_MAX_BYTES,
    send::{Safety, in_time},
};

/// A kind that is missing makes the agent look again, but no oftener than this, whoever asks.
const AGAIN_MIN: Duration = Duration::from_secs(2);
/// What is older is looked at again before it is believed.
const AGE_MAX: Duration = Duration::from_secs(300);

/// What was found last.
#[derive(Default)]
pub(super) struct Discovery {
    known: ArcSwapOption<Known>,
    /// One looks; the others wait and find what it found. Holds when somebody last looked, with or without success.
    looking: Mutex<Option<Instant>>,
}

struct Known {
    catalogue: Arc<Catalogue>,
    found: Instant,
}

impl Cluster {
    /// The resource of this name, whose parts passed the shape check; an empty `version` means the preferred one.
    ///
    /// # Errors
    /// `not-found` with the nearest known names; why discovery cannot be read where nothing is known yet.
    pub async fn served(
        &self,
        group: &str,
        version: &str,
        plural: &str,
        subresource: &str,
        deadline: Instant,
    ) -> Result<Arc<Served>, Error> {
        let catalogue = self.catalogue(deadline).await?;
        if let Some(served) = catalogue.find(group, version, plural, subresource) {
            self.found(served);
            return Ok(served.clone());
        }
        // It may have been added since.
        let catalogue = self.look(deadline).await.unwrap_or(catalogue);
        match catalogue.find(group, version, plural, subresource) {
            Some(served) => {
                self.found(served);
                Ok(served.clone())
            }
            None => Err(Failure::new("not-found", catalogue.unknown(group, version, plural, subresource)).into()),
        }
    }

    /// All kinds, as they were at most a few minutes ago.
    ///
    /// # Errors
    /// Why discovery cannot be read, where nothing is known yet.
    pub async fn catalogue(&self, deadline: Instant) -> Result<Arc<Catalogue>, Error> {
        let known = self.discovery.known.load_full();
        match known {
            Some(known) if known.found.elapsed() < AGE_MAX => Ok(known.catalogue.clone()),
            Some(known) => Ok(self.look(deadline).await.unwrap_or_else(|_| known.catalogue.clone())),
            None => self.look(deadline).await,
        }
    }

    /// Looks unless somebody has just done so.
    async fn look(&self, deadline: Instant) -> Result<Arc<Catalogue>, Error> {
        let mut looked = in_time(deadline, self.discovery.looking.lock()).await?;
        let known = self.discovery.known.load_full();
        if looked.is_some_and(|looked| looked.elapsed() < AGAIN_MIN)
            && let Some(known) = &known
        {
            return Ok(known.catalogue.clone());
        }
        *looked = Some(Instant::now());
        let began = Instant::now();
        let catalogue = Arc::new(self.discover(deadline).await?);
        if known.is_none() {
            let (kinds, took_ms) = (catalogue.served().count(), began.elapsed().as_millis());
            tracing::info!(
                kubernetes.kinds = kinds,
                kubernetes.discovery_ms = took_ms,
                "the cluster's kinds are known"
            );
        }
        self.discovery.known.store(Some(Arc::new(Known { catalogue: catalogue.clone(), found: Instant::now() })));
        Ok(catalogue)
    }

    async fn document(&self, path: &'static str, deadline: Instant) -> Result<Bytes, Error> {
        let request = Request::document(path, ACCEPT_AGGREGATED_DISCOVERY_V2)?;
        self.whole(&Actor::Agent, &request, Safety::Repeatable, BODY_MAX_BYTES, deadline).await
    }

    async fn discover(&self, deadline: Instant) -> Result<Catalogue, Error> {
        if let Some(played) = self.played_kinds() {
            return Ok(played);
        }
        let (core, groups) =
            futures_util::future::try_join(self.document("/api", deadline), self.document("/apis", deadline)).await?;
        let catalogue = Catalogue::read(&[&core, &groups]).map_err(|why| Failure::new("unavailable", why))?;
        Ok(catalogue)
    }
}
