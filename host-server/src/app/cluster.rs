//! Clusters: declared, renamed, deleted.

use super::{
    App, Error,
    text::{name, required_name, summary, unchanged},
};
use crate::model::{
    ids::{hex, lookup, uuid_text},
    list::Listing,
    nouns::Cluster,
    replica::PeerEvent,
    state::State,
};

/// What a caller says about a cluster.
#[derive(Debug, Default)]
pub struct Declare {
    /// Made when absent.
    pub uuid: Option<String>,
    /// Required on create.
    pub name: Option<String>,
    /// Any text.
    pub summary: Option<String>,
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
        let row = Cluster { id: 0, uuid: uuid.clone(), name, summary, created: now, updated: now, deleted: None };
        match self.store.cluster(&uuid).await? {
            None => {
                self.store.insert_cluster(&row).await?;
            }
            Some(found) if found.deleted.is_some() => {
                self.store.update_cluster(&row).await?;
            }
            Some(found) if found.name == row.name && found.summary == row.summary => return Ok(found),
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
        row.updated = self.source.now_us();
        self.store.update_cluster(&row).await?;
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
        self.cluster_ids.lock().remove(&row.uuid);
        self.dispatch.disconnect_cluster(row.id);
        self.dispatch.peers().tell(&PeerEvent::ClusterDeleted(row.id, row.uuid));
        let cancelled = self.store.cancel_waiting(row.id, "the cluster was deleted", self.source.now_us()).await?;
        self.metrics.tasks_ended.with_label_values(&[State::Cancelled.word()]).inc_by(cancelled);
        Ok(())
    }

    /// The version of a connected agent, or none.
    #[must_use]
    pub fn alive(&self, cluster: Option<&Cluster>) -> Option<String> {
        self.dispatch.agent_version(cluster?.id)
    }
}
