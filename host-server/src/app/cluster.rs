//! Clusters: declared, renamed, deleted.

use super::{
    App, Error,
    text::{Labels, labels_text, name, required_name, summary, unchanged},
};
use crate::model::{
    ids::{hex, lookup, uuid_text},
    list::Listing,
    nouns::Cluster,
    replica::PeerEvent,
    state::State,
};
use crate::storage::Ending;

/// What a caller says about a cluster.
#[derive(Debug, Default)]
pub struct Declare {
    /// Made when absent.
    pub uuid: Option<String>,
    /// Required on create.
    pub name: Option<String>,
    /// Any text.
    pub summary: Option<String>,
    /// A JSON object of texts.
    pub labels: Option<Labels>,
    /// Nothing is offered to its agents while it is paused; what runs goes on.
    pub paused: Option<bool>,
    /// Tasks that run at once; 0 is no limit.
    pub concurrency: Option<u32>,
}

/// The largest limit that can be set.
const LIMIT_MOST: u32 = 1_000_000;

/// A limit as it is stored.
fn limit(given: Option<u32>) -> Result<Option<i32>, Error> {
    match given.filter(|limit| *limit > 0) {
        Some(limit) if limit > LIMIT_MOST => {
            Err(Error::Malformed(format!("`concurrency` is a number up to {LIMIT_MOST}; 0 is no limit")))
        }
        limit => Ok(limit.and_then(|limit| i32::try_from(limit).ok())),
    }
}

fn same(found: &Cluster, row: &Cluster) -> bool {
    found.name == row.name
        && found.summary == row.summary
        && found.labels == row.labels
        && found.paused == row.paused
        && found.concurrency == row.concurrency
}

/// Which cluster was not found.
pub(crate) fn no_cluster(uuid: &str) -> Error {
    Error::NotFound(format!("there is no cluster `{uuid}`; GET /api/v1/cluster lists those that are declared"))
}

impl App {
    /// Declares a cluster; the same again answers as the first time.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Conflict`].
    pub async fn declare_cluster(&self, new: Declare) -> Result<Cluster, Error> {
        let (name, summary) = (required_name(new.name)?, summary(new.summary)?);
        let uuid = match &new.uuid {
            Some(uuid) => uuid_text("uuid", uuid).map_err(Error::Malformed)?,
            None => hex(&self.source.id()),
        };
        let now = self.source.now_us();
        let row = Cluster {
            id: 0,
            uuid: uuid.clone(),
            name,
            summary,
            labels: labels_text(new.labels)?,
            paused: new.paused.unwrap_or_default(),
            concurrency: limit(new.concurrency)?,
            created: now,
            updated: now,
            deleted: None,
        };
        match self.store.cluster(&uuid).await? {
            None => {
                self.store.insert_cluster(&row).await?;
            }
            Some(found) if found.deleted.is_some() => {
                self.store.update_cluster(&row).await?;
            }
            Some(found) if same(&found, &row) => return Ok(found),
            Some(_) => {
                return Err(Error::Conflict(format!("cluster `{uuid}` exists with other content; PUT changes it")));
            }
        }
        self.cluster(&uuid).await
    }

    /// One cluster.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn cluster(&self, uuid: &str) -> Result<Cluster, Error> {
        self.store.cluster(&lookup(uuid)).await?.filter(|found| found.deleted.is_none()).ok_or_else(|| no_cluster(uuid))
    }

    /// Clusters in the order of their declaration.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn clusters(&self, listing: &Listing<i64>) -> Result<Vec<Cluster>, Error> {
        Ok(self.store.clusters(listing).await?)
    }

    /// Changes what is given.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Malformed`].
    pub async fn change_cluster(&self, uuid: &str, change: Declare) -> Result<Cluster, Error> {
        let mut row = self.cluster(uuid).await?;
        unchanged("uuid", &row.uuid, change.uuid.as_deref())?;
        row.name = name(change.name)?.unwrap_or(row.name);
        row.summary = summary(change.summary)?.or(row.summary);
        row.labels = labels_text(change.labels)?.or(row.labels);
        row.paused = change.paused.unwrap_or(row.paused);
        if change.concurrency.is_some() {
            row.concurrency = limit(change.concurrency)?;
        }
        row.updated = self.source.now_us();
        self.store.update_cluster(&row).await?;
        self.clusters.lock().remove(&row.uuid);
        self.dispatch.look_at(row.id);
        Ok(row)
    }

    /// Removes a cluster with its tokens and sessions, and cancels its waiting tasks. All of its tasks stay readable. Unknown
    /// ones are no error.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn delete_cluster(&self, uuid: &str) -> Result<(), Error> {
        let mut row = match self.cluster(uuid).await {
            Ok(row) => row,
            Err(Error::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        row.deleted = Some(self.source.now_us());
        self.store.update_cluster(&row).await?;
        self.store.forget_cluster_access(&row.uuid).await?;
        self.clusters.lock().remove(&row.uuid);
        self.dispatch.disconnect_cluster(row.id);
        self.dispatch.peers().tell(&PeerEvent::ClusterDeleted(row.id, row.uuid));
        let ending = Ending {
            state: State::Cancelled,
            error: "cancelled: the cluster was deleted",
            timeline: r#"{"steps":[]}"#,
            now_us: self.source.now_us(),
        };
        let cancelled = self.store.cancel_cluster(row.id, ending).await?;
        self.metrics.tasks_ended.with_label_values(&[State::Cancelled.word()]).inc_by(cancelled);
        Ok(())
    }

    /// The versions of a connected agent and of its library, or none.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn alive(&self, cluster: Option<&Cluster>) -> Result<Option<(String, String)>, Error> {
        let Some(cluster) = cluster else { return Ok(None) };
        match self.dispatch.agent_version(cluster.id) {
            Some(version) => Ok(Some((version.clone(), version))),
            None => Ok(self.store.former_versions(&cluster.uuid, self.source.now_us()).await?),
        }
    }
}
