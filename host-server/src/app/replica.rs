//! This server among the others on the same database: its heartbeat and clock, and what they tell each other.

use std::sync::OnceLock;

use hmac::{Hmac, Mac as _};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tokio::sync::watch;

use super::{App, Error};
use crate::model::{
    ids::{Id, hex, unhex},
    replica::{Offset, Peer, PeerEvent},
};

/// A replica that was not seen for longer than this is not counted on, microseconds.
pub const STALE_US: i64 = 15_000_000;
/// What the key of replicas' tokens is derived for.
const PURPOSE: &[u8] = b"claiflow.peer.v1";
/// A token is shown at once.
const TOKEN_LIFE_S: i64 = 60;

/// See the module.
pub(super) struct Replicas {
    id: Id,
    address: OnceLock<String>,
    offset: Mutex<Option<Offset>>,
    others: watch::Sender<Vec<Peer>>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    from: String,
    to: String,
    exp: i64,
}

impl Replicas {
    pub(super) fn new(id: Id) -> Self {
        Self { id, address: OnceLock::new(), offset: Mutex::default(), others: watch::Sender::default() }
    }
}

impl App {
    /// This process, among those on the same database.
    #[must_use]
    pub fn replica_id(&self) -> Id {
        self.replicas.id
    }

    /// Says where other replicas reach this one, `host:port`. The first word counts.
    pub fn reached_at(&self, address: String) {
        self.replicas.address.get_or_init(|| address);
    }

    /// The other replicas, as the last heartbeat found them.
    #[must_use]
    pub fn other_replicas(&self) -> watch::Receiver<Vec<Peer>> {
        self.replicas.others.subscribe()
    }

    /// Writes the heartbeat, measures how far our clock is from the database's, and looks who else is there.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn beat(&self) -> Result<(), Error> {
        let address = self.replicas.address.get().map_or("", String::as_str);
        self.store.beat(self.replicas.id, address).await?;
        let sent = self.source.now_us();
        let (database_us, mut all) = self.store.replicas(STALE_US).await?;
        self.note_clock(Offset::measured(sent, self.source.now_us(), database_us));
        self.metrics.replicas.set(i64::try_from(all.len()).unwrap_or(i64::MAX));
        all.retain(|peer| peer.id != self.replicas.id);
        all.sort_by_key(|peer| peer.id);
        self.replicas.others.send_if_modified(|others| {
            let changed = *others != all;
            *others = all;
            changed
        });
        Ok(())
    }

    /// Takes this replica's row away, so that nobody looks for it.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn say_goodbye(&self) -> Result<(), Error> {
        Ok(self.store.forget_replica(self.replicas.id).await?)
    }

    /// Keeps a measurement, by which [`App::ready`] decides.
    pub(super) fn note_clock(&self, offset: Offset) {
        self.metrics.clock_offset_seconds.set(offset.us as f64 / 1e6);
        let before = self.replicas.offset.lock().replace(offset);
        if offset.is_too_far() && !before.is_some_and(|before| before.is_too_far()) {
            tracing::warn!(clock.offset_us = offset.us, "this machine's clock is too far from the database's");
        }
    }

    /// Refuses while the clocks differ by more than a second.
    pub(super) fn clock_is_right(&self) -> Result<(), Error> {
        match *self.replicas.offset.lock() {
            Some(offset) if offset.is_too_far() => Err(Error::Unready(format!(
                "this machine's clock is {} ms {} the database's; above 1000 ms times would not be in order: let NTP set both",
                offset.us.unsigned_abs() / 1_000,
                if offset.us > 0 { "ahead of" } else { "behind" },
            ))),
            _ => Ok(()),
        }
    }

    /// What proves to the replica `to` that we share its secret.
    ///
    /// # Errors
    /// [`Error::Refused`] when it cannot be signed.
    pub fn peer_token(&self, to: Id) -> Result<String, Error> {
        let exp = self.source.now_us() / 1_000_000 + TOKEN_LIFE_S;
        let claims = Claims { from: hex(&self.replicas.id), to: hex(&to), exp };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&self.peer_key()?))
            .map_err(|_| Error::Refused("a token for another replica could not be signed".into()))
    }

    /// The replica that made a token for us.
    ///
    /// # Errors
    /// [`Error::Refused`] for anything else.
    pub fn peer_of(&self, token: &str) -> Result<Id, Error> {
        let refused =
            || Error::Refused("this is for other replicas of the server, which show a token for this one".into());
        let key = DecodingKey::from_secret(&self.peer_key()?);
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &Validation::new(Algorithm::HS256))
            .map_err(|_| refused())?
            .claims;
        if claims.to != hex(&self.replicas.id) {
            return Err(refused());
        }
        unhex(&claims.from).ok_or_else(refused)
    }

    /// A key of its own, so that no token of one kind passes for another.
    fn peer_key(&self) -> Result<Vec<u8>, Error> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.settings().secret)
            .map_err(|_| Error::Refused("the session secret is no key".into()))?;
        mac.update(PURPOSE);
        Ok(mac.finalize().into_bytes().to_vec())
    }

    /// Does what another replica's event asks for.
    pub fn heed(&self, event: PeerEvent) {
        match event {
            PeerEvent::ClusterDeleted(cluster, uuid) => {
                self.clusters.lock().remove(&uuid);
                self.dispatch.disconnect_cluster(cluster);
            }
            PeerEvent::SessionRevoked(uuid) => self.dispatch.disconnect_session(&uuid),
            PeerEvent::Waiting(cluster) => self.dispatch.look_here(cluster),
            PeerEvent::Wish(cluster, task) => {
                let dispatch = self.dispatch.clone();
                tokio::spawn(async move {
                    if let Err(error) = dispatch.remind_here(cluster, task).await {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "a wish of another replica was not told"
                        );
                    }
                });
            }
        }
    }

    /// Looks up what events of another replica may have been missed: ends the streams of sessions that are gone, and forgets
    /// what was remembered of clusters.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn catch_up(&self) -> Result<(), Error> {
        self.clusters.lock().clear();
        for uuid in self.store.gone_sessions(self.dispatch.session_uuids()).await? {
            self.dispatch.disconnect_session(&uuid);
        }
        Ok(())
    }
}
