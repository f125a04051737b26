//! Answers what was recorded, and says of any other request what comes nearest.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Exchange, Gave, KindEntry, Told, differ};
use crate::kubernetes::{Effect, Error, Failure, Refusal, Request, Served};

const CODES: [&str; 11] = [
    "denied",
    "invalid",
    "not-found",
    "exists",
    "gone",
    "conflict",
    "too-large",
    "timeout",
    "unavailable",
    "stopped",
    "budget",
];

/// See [`super::Tape::Player`].
pub struct Player {
    kinds: Vec<KindEntry>,
    exchanges: Vec<Exchange>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By the index of an exchange.
    served: Vec<bool>,
    missed: Vec<String>,
}

impl Player {
    /// Serves each exchange once, of equal requests the first that is left.
    #[must_use]
    pub fn new(kinds: Vec<KindEntry>, exchanges: Vec<Exchange>) -> Arc<Self> {
        let state = Mutex::new(State { served: vec![false; exchanges.len()], missed: Vec::new() });
        Arc::new(Self { kinds, exchanges, state })
    }

    /// What was asked and is not there, each with what comes nearest.
    #[must_use]
    pub fn missed(&self) -> Vec<String> {
        self.state().missed.clone()
    }

    /// In what two documents differ, times left aside; empty: in nothing.
    #[must_use]
    pub fn differences(recorded: &serde_json::Value, found: &serde_json::Value) -> String {
        differ::listed(&differ::of_values("result", recorded, found))
    }

    /// The exchanges that nobody asked for, by number from 1, and their functions.
    #[must_use]
    pub fn left(&self) -> Vec<(usize, String)> {
        let state = self.state();
        let of = self.exchanges.iter().zip(&state.served).enumerate();
        of.filter(|(_, (_, served))| !**served).map(|(index, (it, _))| (index + 1, it.function.clone())).collect()
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = Served> {
        self.kinds.iter().map(KindEntry::served)
    }

    /// What the request gave when it was recorded.
    pub(super) fn play(&self, request: &Request) -> Result<Gave, Error> {
        let told = Told::of(request);
        let mut state = self.state();
        let free = |index: usize| state.served.get(index).is_some_and(|served| !served);
        let equal = |exchange: &Exchange| differ::between(&exchange.request, &told).is_empty();
        let found = self.exchanges.iter().enumerate().find(|(index, exchange)| free(*index) && equal(exchange));
        let Some((index, exchange)) = found else {
            let message = self.nothing(&told, &state.served);
            state.missed.push(message.clone());
            return Err(Failure::new("failed", message).into());
        };
        if let Some(served) = state.served.get_mut(index) {
            *served = true;
        }
        match &exchange.gave {
            Gave::Refused { status, retry_after_ms } => {
                let mut refusal = Refusal::of(status.clone(), request.writes);
                refusal.retry_after = retry_after_ms.map(Duration::from_millis);
                Err(Error::Refused(Box::new(refusal)))
            }
            Gave::Failed { code, message, effect } => {
                let code = CODES.into_iter().find(|known| known == code).unwrap_or("failed");
                let effect = match effect.as_str() {
                    "done" => Effect::Done,
                    "unknown" => Effect::Unknown,
                    _ => Effect::None,
                };
                Err(Failure::new(code, message.clone()).with(effect).into())
            }
            gave => Ok(gave.clone()),
        }
    }

    /// Why there is nothing to answer.
    fn nothing(&self, told: &Told, served: &[bool]) -> String {
        let asked = differ::sentence(told);
        let all = || self.exchanges.iter().enumerate();
        let equal = all().filter(|(_, exchange)| differ::between(&exchange.request, told).is_empty()).count();
        if equal > 0 {
            let times = if equal == 1 { "once".to_owned() } else { format!("{equal} times") };
            return format!("the cassette has `{asked}` {times}, and it is asked for once more; record it anew");
        }
        let nearest = all()
            .map(|(index, exchange)| (index, exchange, differ::between(&exchange.request, told)))
            .min_by_key(|(index, _, differences)| {
                (differ::weight(differences), served.get(*index).copied().unwrap_or(true), *index)
            });
        match nearest {
            None => format!("the cassette has no request at all, and the plugin asks `{asked}`; record it anew"),
            Some((index, exchange, differences)) => format!(
                "the cassette has no `{asked}`; the nearest is call {}, `{}`, which differs in {}",
                index + 1,
                differ::sentence(&exchange.request),
                differ::listed(&differences),
            ),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An exchange gave something else than the request can take.
pub(super) fn unfit(request: &Request) -> Error {
    let asked = differ::sentence(&Told::of(request));
    let message = format!("the cassette's answer to `{asked}` is of another shape than such a request gives");
    Failure::new("failed", message).into()
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player").field("exchanges", &self.exchanges.len()).finish_non_exhaustive()
    }
}
