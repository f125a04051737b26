//! Agents' access: a cluster token for a signed session. No token or session ever reaches a log or an error.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use subtle::ConstantTimeEq as _;

use super::{App, Error};
use crate::model::{
    duration::micros,
    ids::{hex, lookup},
    list::Listing,
    nouns::Session,
    replica::PeerEvent,
};

#[derive(Serialize, Deserialize)]
struct Claims {
    #[serde(rename = "cluster-uuid")]
    cluster: String,
    uuid: String,
    exp: i64,
}

/// The same words, whatever is wrong with a session.
pub(super) fn no_session() -> Error {
    Error::Refused("the session is unknown or has expired; authenticate again".into())
}

impl App {
    /// Exchanges a cluster token for a signed session, and says for how long a stream may be opened with it.
    ///
    /// # Errors
    /// [`Error::Refused`] with the same words for a wrong, an expired and a foreign token.
    pub async fn authenticate(
        &self,
        cluster_uuid: &str,
        token: &str,
        agent_version: &str,
    ) -> Result<(String, Duration), Error> {
        let life = self.read_variables().await?.session_life;
        let session = self.admit(cluster_uuid, token, agent_version, micros(life)).await?;
        self.store.insert_session(&session).await?;
        // A life of less than a second is one of a second.
        let exp = session.expires_at.saturating_add(999_999) / 1_000_000;
        let signed = self.sign(&Claims { exp, cluster: session.cluster_uuid, uuid: session.uuid })?;
        Ok((signed, life))
    }

    /// A session for whoever knows a token of the cluster; it is not stored yet.
    ///
    /// # Errors
    /// As [`App::authenticate`].
    pub(super) async fn admit(
        &self,
        cluster_uuid: &str,
        token: &str,
        agent_version: &str,
        life_us: i64,
    ) -> Result<Session, Error> {
        let refused = || Error::Refused("the cluster token is wrong, expired, or of another cluster".into());
        let cluster = self.cluster(cluster_uuid).await.map_err(|error| error.or_if_missing(refused))?;
        let now = self.source.now_us();
        let mut matching = None;
        for row in self.store.tokens_like(&cluster.uuid, token).await? {
            let equal: bool = row.token.as_bytes().ct_eq(token.as_bytes()).into();
            if equal && row.expires_at > now {
                matching = Some(row.uuid);
            }
        }
        Ok(Session {
            id: 0,
            uuid: hex(&self.source.id()),
            cluster_uuid: cluster.uuid,
            token_uuid: matching.ok_or_else(refused)?,
            agent_version: agent_version.chars().take(64).collect(),
            issued_at: now,
            expires_at: now.saturating_add(life_us),
            created: now,
            updated: now,
            deleted: None,
        })
    }

    pub(super) fn sign(&self, claims: &impl Serialize) -> Result<String, Error> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(&self.settings().secret))
            .map_err(|_| Error::Refused("the session could not be signed".into()))
    }

    /// What this server signed.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub(super) async fn signed<T: DeserializeOwned>(&self, bearer: &str, validation: &Validation) -> Result<T, Error> {
        let read = || {
            let key = DecodingKey::from_secret(&self.settings().secret);
            jsonwebtoken::decode::<T>(bearer, &key, validation)
        };
        match read() {
            Ok(data) => Ok(data.claims),
            // Another replica may have signed it with a secret that was changed a moment ago.
            Err(error) if *error.kind() == ErrorKind::InvalidSignature && self.secret_may_be_new().await? => {
                Ok(read().map_err(|_| no_session())?.claims)
            }
            Err(_) => Err(no_session()),
        }
    }

    /// The session behind a bearer, with its cluster's row.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Unavailable`].
    pub async fn session_of(&self, bearer: &str) -> Result<(Session, i64), Error> {
        let claims: Claims = self.signed(bearer, &Validation::new(Algorithm::HS256)).await?;
        let session = self.store.session(&claims.uuid).await?.ok_or_else(no_session)?;
        let cluster = self.cluster(&claims.cluster).await.map_err(|error| error.or_if_missing(no_session))?;
        Ok((session, cluster.id))
    }

    /// Sessions in the order of their opening.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn sessions(&self, listing: &Listing<i64>) -> Result<Vec<Session>, Error> {
        Ok(self.store.sessions(listing).await?)
    }

    /// One session.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn session(&self, uuid: &str) -> Result<Session, Error> {
        self.store.session(&lookup(uuid)).await?.ok_or_else(|| Error::NotFound(format!("there is no session `{uuid}`")))
    }

    /// Revokes a session and closes its stream. Unknown ones are no error.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn revoke_session(&self, uuid: &str) -> Result<(), Error> {
        let uuid = lookup(uuid);
        self.store.delete_session(&uuid, self.source.now_us()).await?;
        self.end_session(uuid);
        Ok(())
    }

    /// Ends a session's stream, here or on another replica.
    pub(super) fn end_session(&self, uuid: String) {
        self.dispatch.disconnect_session(&uuid);
        self.dispatch.peers().tell(&PeerEvent::SessionRevoked(uuid));
    }
}
