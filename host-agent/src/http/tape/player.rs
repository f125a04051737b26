//! Answers what was recorded, and says of any other request what comes nearest.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, request};
use serde_json::Value;

use super::{Answered, Exchange, Gave, Told, exchange::Failed};
use crate::{
    grants::http::Allowed,
    http::failure::Failure,
    tape::differ::{self, Difference},
};

/// The codes of a failure; another one is taken as `failed`.
const CODES: [&str; 7] = ["denied", "invalid", "too-large", "timeout", "unavailable", "stopped", "budget"];

/// See [`super::Tape::Player`].
pub struct Player {
    exchanges: Vec<Exchange>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By the index of an exchange.
    served: Vec<bool>,
    missed: Vec<String>,
}

/// A body and what comes in the place of its end.
pub(in crate::http) struct Played {
    pub(in crate::http) bytes: Bytes,
    pub(in crate::http) broke: Option<Failure>,
}

impl Player {
    /// Serves each exchange once, of equal requests the first that is left.
    #[must_use]
    pub fn new(exchanges: Vec<Exchange>) -> Arc<Self> {
        let state = Mutex::new(State { served: vec![false; exchanges.len()], missed: Vec::new() });
        Arc::new(Self { exchanges, state })
    }

    /// What was asked and is not there, each with what comes nearest.
    #[must_use]
    pub fn missed(&self) -> Vec<String> {
        self.state().missed.clone()
    }

    /// The exchanges that nobody asked for, by number from 1, and their requests.
    #[must_use]
    pub fn left(&self) -> Vec<(usize, String)> {
        let state = self.state();
        let of = self.exchanges.iter().zip(&state.served).enumerate();
        of.filter(|(_, (_, served))| !**served).map(|(index, (it, _))| (index + 1, sentence(&it.request))).collect()
    }

    /// What the request gave when it was recorded.
    pub(in crate::http) fn play(
        &self,
        allowed: &Allowed,
        head: &request::Parts,
        body: &[u8],
    ) -> Result<Response<Played>, Failure> {
        let told = Told::of(allowed, head, body, &mut BTreeSet::new());
        let mut state = self.state();
        let free = |index: usize| state.served.get(index).is_some_and(|served| !served);
        let equal = |exchange: &Exchange| between(&exchange.request, &told).is_empty();
        let found = self.exchanges.iter().enumerate().find(|(index, exchange)| free(*index) && equal(exchange));
        let Some((index, exchange)) = found else {
            let message = self.nothing(&told, &state.served);
            state.missed.push(message.clone());
            return Err(Failure::new("failed", message));
        };
        if let Some(served) = state.served.get_mut(index) {
            *served = true;
        }
        match &exchange.gave {
            Gave::Failed(failed) => Err(failed.failure()),
            Gave::Answer(answered) => response(answered)
                .map_err(|why| Failure::new("failed", format!("request {} of the cassette: {why}", index + 1))),
        }
    }

    /// Why there is nothing to answer.
    fn nothing(&self, told: &Told, served: &[bool]) -> String {
        let asked = sentence(told);
        let all = || self.exchanges.iter().enumerate();
        let equal = all().filter(|(_, exchange)| between(&exchange.request, told).is_empty()).count();
        if equal > 0 {
            let times = if equal == 1 { "once".to_owned() } else { format!("{equal} times") };
            return format!("the cassette has `{asked}` {times}, and it is asked for once more; record it anew");
        }
        let nearest = all().map(|(index, exchange)| (index, exchange, between(&exchange.request, told))).min_by_key(
            |(index, _, differences)| (weight(differences), served.get(*index).copied().unwrap_or(true), *index),
        );
        match nearest {
            None => {
                format!("the cassette has no request over HTTP at all, and the plugin sends `{asked}`; record it anew")
            }
            Some((index, exchange, differences)) => format!(
                "the cassette has no `{asked}`; the nearest is request {}, `{}`, which differs in {}",
                index + 1,
                sentence(&exchange.request),
                differ::listed(&differences),
            ),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failed {
    fn failure(&self) -> Failure {
        let code = CODES.into_iter().find(|known| *known == self.code).unwrap_or("failed");
        Failure::new(code, self.message.clone())
    }
}

fn response(answered: &Answered) -> Result<Response<Played>, String> {
    let Answered { status, headers, body, broke } = answered;
    let bytes = body.as_ref().map(super::Content::bytes).transpose()?.unwrap_or_default();
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let header = HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is no header"))?;
        let value =
            HeaderValue::try_from(value.as_str()).map_err(|_| format!("what `{name}` has is no value of a header"))?;
        map.append(header, value);
    }
    let broke = broke.as_ref().map(Failed::failure);
    let mut response = Response::new(Played { bytes, broke });
    *response.status_mut() = StatusCode::from_u16(*status).map_err(|_| format!("{status} is no status"))?;
    *response.headers_mut() = map;
    Ok(response)
}

/// `GET https://example.com/x`.
fn sentence(told: &Told) -> String {
    format!("{} {}", told.method, told.url)
}

fn between(recorded: &Told, asked: &Told) -> Vec<Difference> {
    // What is told can always be said in JSON.
    let value = |told: &Told| serde_json::to_value(told).unwrap_or(Value::Null);
    differ::of_values("", &value(recorded), &value(asked))
}

/// What is asked for weighs more than how.
fn weight(differences: &[Difference]) -> usize {
    let of = |difference: &Difference| match difference.field.as_str() {
        "url" => 100,
        "method" => 10,
        _ => 1,
    };
    differences.iter().map(of).sum()
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player").field("exchanges", &self.exchanges.len()).finish_non_exhaustive()
    }
}
