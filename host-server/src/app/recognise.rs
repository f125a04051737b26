//! Who calls: a bearer becomes a caller, or nobody. What is wrong with a bearer is told in the same words, whatever it is.

use std::{
    collections::HashMap,
    sync::OnceLock,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{App, Error};
use crate::{
    identity::{Oidc, Refusal},
    model::{people::Caller, rate::Rate},
};

/// What every API token begins with; other bearers are not ours.
pub const PREFIX: &str = "claiflow_";
/// Of what somebody shows, bytes at most.
const BEARER_BYTES: usize = 16_384;
/// For so long a token is known without a look at the database: so long may a revoked one pass on another replica.
const KNOWN_LIFE: Duration = Duration::from_secs(2);
/// Tokens that are known at once at most.
const KNOWN: usize = 10_000;
/// `last_used` is written down this often at most.
const USED_EVERY_US: i64 = 60_000_000;

/// What was found a moment ago, by the digests of what was shown.
#[derive(Default)]
pub(super) struct Recognised(Mutex<HashMap<[u8; 32], Known>>);

/// What the wiring says about callers, once, before the first of them.
#[derive(Default)]
pub(super) struct Believed {
    /// Whose tokens are believed beside our own.
    oidc: OnceLock<Oidc>,
    /// How much one caller may ask for.
    rate: OnceLock<Option<Rate>>,
}

#[derive(Clone)]
struct Known {
    caller: Caller,
    uuid: String,
    expires_at: Option<i64>,
    read: Instant,
    /// When the token was last written down as used.
    used: Option<i64>,
}

impl Recognised {
    /// A token was changed or revoked here.
    pub(super) fn forget(&self, uuid: &str) {
        self.0.lock().retain(|_, known| known.uuid != uuid);
    }

    fn get(&self, digest: &[u8; 32]) -> Option<Known> {
        self.0.lock().get(digest).filter(|known| known.read.elapsed() < KNOWN_LIFE).cloned()
    }

    fn keep(&self, digest: [u8; 32], known: Known) {
        let mut all = self.0.lock();
        if all.len() >= KNOWN {
            all.clear();
        }
        all.insert(digest, known);
    }

    /// Whether the use is to be written down now; the next one is asked a minute later.
    fn is_due(&self, digest: &[u8; 32], now_us: i64) -> bool {
        let mut all = self.0.lock();
        let Some(known) = all.get_mut(digest) else { return false };
        let is_due = known.used.is_none_or(|used| now_us - used >= USED_EVERY_US);
        if is_due {
            known.used = Some(now_us);
        }
        is_due
    }
}

/// The same words for no bearer, an unknown, a forged, an expired and a revoked one.
#[must_use]
pub fn nobody() -> Error {
    Error::Unauthenticated("send `Authorization: Bearer …` with a token that is known here and has not expired".into())
}

/// What is stored of a secret.
pub(super) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

impl App {
    /// Believes the tokens of an issuer from now on, beside our own.
    pub fn believe(&self, oidc: Oidc) {
        // The first is kept; there is one issuer.
        let _other = self.believed.oidc.set(oidc);
    }

    /// Says how much one caller may ask for; none is no limit.
    pub fn limit_callers(&self, rate: Option<Rate>) {
        let _other = self.believed.rate.set(rate);
    }

    /// How much one caller may ask for: the usual, where nothing else was said.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        self.believed.rate.get().copied().unwrap_or_else(|| Some(Rate::default()))
    }

    /// Who shows this bearer. API tokens are known by their beginning; anything else can be a token of an issuer.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], in the same words whatever is wrong with an API token, [`Error::Unavailable`],
    /// [`Error::Away`] where the issuer is.
    pub async fn caller_of(&self, bearer: &str) -> Result<Caller, Error> {
        if bearer.len() > BEARER_BYTES {
            return Err(nobody());
        }
        if bearer.starts_with(PREFIX) {
            return self.caller_of_api_token(bearer).await;
        }
        let oidc = self.believed.oidc.get().ok_or_else(nobody)?;
        oidc.caller(bearer, self.source.now_us()).await.map_err(|refusal| match refusal {
            Refusal::Bad(why) => Error::Unauthenticated(why),
            Refusal::Unreachable => Error::Away(refusal.to_string()),
        })
    }

    async fn caller_of_api_token(&self, bearer: &str) -> Result<Caller, Error> {
        let (digest, now_us) = (digest(bearer), self.source.now_us());
        let known = match self.recognised.get(&digest) {
            Some(known) => known,
            None => {
                let known = self.look_up(digest).await?;
                self.recognised.keep(digest, known.clone());
                known
            }
        };
        if known.expires_at.is_some_and(|end| end <= now_us) {
            return Err(nobody());
        }
        if self.recognised.is_due(&digest, now_us) {
            let (store, uuid) = (self.store.clone(), known.uuid);
            // Nobody waits for it, and the next use tells it again.
            tokio::spawn(async move {
                if let Err(error) = store.api_token_used(&uuid, now_us).await {
                    tracing::debug!(error = &error as &dyn std::error::Error, "the use of a token is not written down");
                }
            });
        }
        Ok(known.caller)
    }

    async fn look_up(&self, digest: [u8; 32]) -> Result<Known, Error> {
        let row = self.store.api_token_shown(digest).await?.ok_or_else(nobody)?;
        if !bool::from(row.digest.as_slice().ct_eq(&digest)) {
            return Err(nobody());
        }
        let Some(caller) = row.caller() else {
            tracing::warn!(
                api_token.uuid = row.uuid,
                "the role or the scope of a token cannot be understood; it lets nobody in"
            );
            return Err(nobody());
        };
        Ok(Known { caller, uuid: row.uuid, expires_at: row.expires_at, read: Instant::now(), used: row.last_used })
    }
}
