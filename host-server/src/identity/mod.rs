//! Who a token of an OpenID Connect provider speaks for. Knows no storage, no front and no use case: a token in, a caller out.
//!
//! Only tokens that are signed (JWS, compact) by a key that the issuer publishes are believed; no token is sent anywhere.

mod cache;
mod claims;
mod fetch;
mod keys;
mod provider;
mod settings;
mod token;
mod trust;

use std::sync::Arc;

pub use settings::{Grant, Settings};

use crate::model::people::Caller;
use cache::{Cache, Found};
use token::Token;

/// How far the issuer's clock may be from ours, seconds.
const LEEWAY_S: i64 = 30;

/// Why a token is not believed. `Display` is for whoever sent it; nothing of the token is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is wrong, and will be when it is sent again.
    #[error("{0}")]
    Bad(String),
    /// Its key is not known, and the issuer cannot be asked; why stands in the log.
    #[error("the issuer of the token cannot be asked for its keys at the moment; try again")]
    Unreachable,
}

impl Refusal {
    fn bad(why: impl Into<String>) -> Self {
        Self::Bad(why.into())
    }
}

/// Whether an issuer may have this address.
///
/// # Errors
/// A sentence that says what would be right.
pub fn issuer(url: &str) -> Result<(), String> {
    if url.contains('?') {
        return Err(format!("`{url}` has a query, which no issuer has"));
    }
    fetch::address(url).map(drop)
}

/// Believes what one issuer signs.
#[derive(Clone, Debug)]
pub struct Oidc(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    cache: Cache,
}

impl Oidc {
    /// For one issuer, which is asked when the first token comes: the server starts without it.
    ///
    /// # Errors
    /// A sentence about certificates that cannot be used.
    pub async fn open(settings: Settings) -> Result<Self, String> {
        if settings.issuer.starts_with("https:") {
            trust::config(settings.ca_file.clone()).await?;
        }
        let cache = Cache::new(provider::Provider::new(&settings));
        Ok(Self(Arc::new(Inner { settings, cache })))
    }

    /// The caller that a token speaks for. `now_us`: microseconds since 1970.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn caller(&self, token: &str, now_us: i64) -> Result<Caller, Refusal> {
        let Inner { settings, cache } = &*self.0;
        let token = Token::read(token)?;
        // What cannot be right whoever signed it makes nobody ask the issuer.
        claims::check(&token.claims, settings, now_us / 1_000_000)?;
        let is_signed = match cache.find(&token, now_us) {
            Found::Key(key) => key.signed(&token),
            Found::None => match cache.ask(&token, now_us).await? {
                Some(key) => key.signed(&token),
                None => return Err(Refusal::bad("the token is signed with a key that its issuer does not publish")),
            },
        };
        if !is_signed {
            return Err(Refusal::bad("the token's signature is wrong"));
        }
        claims::caller(&token.claims, settings)
    }
}
