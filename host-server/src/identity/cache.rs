//! The issuer's keys as they were last heard of. Whoever sends tokens decides neither how often the issuer is asked, nor how much is kept.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use super::{Refusal, keys::Key, provider::Provider, token::Token};

/// Two questions are this far apart at least, whoever asks and however it ended, microseconds.
const APART_US: i64 = 10_000_000;
/// Older keys are asked for again beside the request, microseconds.
const OLD_US: i64 = 300_000_000;
/// Keys of which nothing was heard for so long are not believed any more: one of them may have been taken back. Microseconds.
const TOO_OLD_US: i64 = 24 * 3_600_000_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Cache {
    provider: Provider,
    known: Arc<Mutex<Known>>,
    /// Held by the one who asks.
    asking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Known {
    keys: Arc<Vec<Key>>,
    heard_us: Option<i64>,
    asked_us: Option<i64>,
    /// Whether the last question was answered.
    answered: bool,
}

/// What is known without asking.
pub(super) enum Found {
    Key(Key),
    None,
}

impl Cache {
    pub(super) fn new(provider: Provider) -> Self {
        Self { provider, known: Arc::default(), asking: Arc::default() }
    }

    /// The key of a token, when it is known. Old keys are asked for again, and serve meanwhile.
    pub(super) fn find(&self, token: &Token<'_>, now_us: i64) -> Found {
        let (key, is_old) = {
            let known = self.known.lock();
            (known.key(token, now_us), !within(known.heard_us, now_us, OLD_US))
        };
        let Some(key) = key else { return Found::None };
        if is_old && let Ok(guard) = Arc::clone(&self.asking).try_lock_owned() {
            drop(self.ask_once(guard, now_us));
        }
        Found::Key(key)
    }

    /// The key of a token after asking the issuer, or without where that was done just now.
    ///
    /// # Errors
    /// [`Refusal::Unreachable`] where the issuer did not answer the last time.
    pub(super) async fn ask(&self, token: &Token<'_>, now_us: i64) -> Result<Option<Key>, Refusal> {
        let guard = Arc::clone(&self.asking).lock_owned().await;
        if let Some(asked) = self.ask_once(guard, now_us) {
            // It goes on when whoever waits here leaves.
            asked.await.map_err(|_| Refusal::Unreachable)?;
        }
        let known = self.known.lock();
        match known.key(token, now_us) {
            None if !known.answered => Err(Refusal::Unreachable),
            key => Ok(key),
        }
    }

    /// Asks, unless it was done just now.
    fn ask_once(&self, guard: OwnedMutexGuard<()>, now_us: i64) -> Option<tokio::task::JoinHandle<()>> {
        {
            let mut known = self.known.lock();
            if within(known.asked_us, now_us, APART_US) {
                return None;
            }
            known.asked_us = Some(now_us);
        }
        let (provider, known) = (self.provider.clone(), Arc::clone(&self.known));
        Some(tokio::spawn(async move {
            let answer = provider.keys().await;
            let mut known = known.lock();
            known.answered = answer.is_ok();
            match answer {
                Ok(keys) => {
                    tracing::debug!(oidc.keys = keys.len(), "the issuer named its keys");
                    known.keys = Arc::new(keys);
                    known.heard_us = Some(now_us);
                }
                Err(why) => tracing::warn!(error = why, "the issuer of tokens could not be asked for its keys"),
            }
            drop(guard);
        }))
    }
}

impl Known {
    /// A token that names no key has one only where no other could be meant.
    fn key(&self, token: &Token<'_>, now_us: i64) -> Option<Key> {
        if !within(self.heard_us, now_us, TOO_OLD_US) {
            return None;
        }
        let mut fitting = self.keys.iter().filter(|key| key.may_sign(token));
        let first = fitting.next()?;
        (token.key_id.is_some() || fitting.next().is_none()).then(|| first.clone())
    }
}

/// Whether something happened less than `span_us` ago. A clock that was set back makes nothing last for ever.
fn within(then_us: Option<i64>, now_us: i64, span_us: i64) -> bool {
    then_us.is_some_and(|then| now_us.abs_diff(then) < span_us.unsigned_abs())
}
