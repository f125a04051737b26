//! The audit trail: a row for every change, for every request for tasks, and for what was denied to somebody who is known.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    App, Error,
    rights::{Named, Noun, Right},
};
use crate::model::{
    audit::{Audit, AuditListing},
    ids::{hex, lookup, stored},
    people::Asked,
    task::View,
};

/// How a resource stood; none: there was none.
pub type Digest = Option<String>;

/// Of a document without secrets, SHA-256 in hexadecimal digits.
pub(super) fn digest(document: &Value) -> String {
    hex(&Sha256::digest(document.to_string()))
}

/// A task as the trail sees it: where it stands, and what it was asked to do.
pub(super) fn task_digest(view: &View) -> String {
    digest(&json!({
        "cluster_uuid": view.cluster_uuid, "uuid": view.uuid, "snapshot": hex(&view.snapshot), "name": view.name,
        "inputs": view.inputs, "state": view.state, "cancel_requested": view.cancel_requested, "attempt": view.attempt,
        "error": view.error,
    }))
}

/// A row of what somebody asked for, with nothing known of what came of it.
pub(super) fn row(asked: &Asked, at: i64, noun: Option<Noun>) -> Audit {
    Audit {
        at,
        caller: asked.caller.name.clone(),
        operation: asked.operation.to_owned(),
        resource_type: noun.map_or_else(String::new, |noun| noun.word().to_owned()),
        address: asked.address.clone(),
        request_id: asked.request_id.clone(),
        code: 200,
        ..Audit::default()
    }
}

impl App {
    /// How a resource stands, as one number: of its JSON without secrets, and without what changes by itself.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn digest(&self, noun: Noun, uuid: &str) -> Result<Digest, Error> {
        let document = match noun {
            Noun::Cluster => self.store.cluster(&lookup(uuid)).await?.filter(|row| row.deleted.is_none()).map(|row| {
                json!({"uuid": row.uuid, "name": row.name, "summary": row.summary, "labels": row.labels,
                    "paused": row.paused, "concurrency": row.concurrency, "updated": row.updated})
            }),
            Noun::ClusterToken => self.store.token(&lookup(uuid)).await?.map(|row| {
                json!({"uuid": row.uuid, "name": row.name, "summary": row.summary, "cluster_uuid": row.cluster_uuid,
                    "expires_at": row.expires_at, "updated": row.updated})
            }),
            Noun::Session => self.store.session(&lookup(uuid)).await?.map(|row| {
                json!({"uuid": row.uuid, "cluster_uuid": row.cluster_uuid, "token_uuid": row.token_uuid,
                    "issued_at": row.issued_at})
            }),
            Noun::Template => self.store.template(stored(uuid)).await?.map(|row| {
                json!({"uuid": row.uuid, "name": row.name, "summary": row.summary, "flow": row.flow,
                    "inputs": row.inputs, "options": row.options, "origin": row.origin})
            }),
            Noun::Webhook => self.store.webhook(&lookup(uuid)).await?.map(|row| {
                json!({"uuid": row.uuid, "name": row.name, "summary": row.summary, "url": row.url,
                    "method": row.method, "timeout": row.timeout, "condition_validator": row.condition_validator,
                    "condition_filter": row.condition_filter, "updated": row.updated})
            }),
            // Its value may be the secret that signs sessions; that it was changed shows in the time.
            Noun::Variable => {
                self.store.variable_row(&lookup(uuid)).await?.map(
                    |row| json!({"uuid": row.uuid, "name": row.name, "summary": row.summary, "updated": row.updated}),
                )
            }
            Noun::ApiToken => self.store.api_token(&lookup(uuid)).await?.map(|row| {
                json!({"uuid": row.uuid, "name": row.name, "summary": row.summary, "role": row.role,
                    "clusters": row.clusters, "templates": row.templates, "expires_at": row.expires_at,
                    "updated": row.updated})
            }),
            // Use cases of tasks write their rows themselves.
            Noun::Service => None,
        };
        Ok(document.as_ref().map(digest))
    }

    /// Writes down that a resource was changed: how it stood before, and how it stands. Where there is none before and after,
    /// nothing was changed, and nothing is written.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: the change was made, and nobody wrote it down.
    pub async fn note_change(&self, asked: &Asked, noun: Noun, uuid: &str, before: Digest) -> Result<(), Error> {
        let after = self.digest(noun, uuid).await?;
        if before.is_none() && after.is_none() {
            return Ok(());
        }
        let at = self.source.now_us();
        let row = Audit {
            resource_uuid: uuid_of(noun, uuid),
            digest_before: before,
            digest_after: after,
            ..row(asked, at, Some(noun))
        };
        Ok(self.store.audit(&row).await?)
    }

    /// Writes down that something was denied to somebody who is known.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn note_denial(
        &self,
        asked: &Asked,
        right: &Right,
        named: &Named,
        code: u16,
        why: &str,
    ) -> Result<(), Error> {
        let row = Audit {
            resource_uuid: named.uuid.clone().unwrap_or_default(),
            cluster_uuid: named.cluster.clone(),
            code: i32::from(code),
            detail: Some(why.to_owned()).filter(|why| !why.is_empty()),
            ..row(asked, self.source.now_us(), right.changes)
        };
        Ok(self.store.audit(&row).await?)
    }

    /// A page of the trail.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn audits(&self, listing: &AuditListing) -> Result<Vec<Audit>, Error> {
        Ok(self.store.audits(listing).await?)
    }
}

/// As the resource's own answers print it.
fn uuid_of(noun: Noun, uuid: &str) -> String {
    if noun == Noun::Template { uuid.to_owned() } else { lookup(uuid) }
}
