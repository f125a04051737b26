//! Answers what was recorded, and says of any other request what comes nearest.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Exchange, Gave, KindEntry, Told, differ};
use crate::{
    kubernetes::{Effect, Error, Failure, Refusal, Request, Served},
    tape::differ::listed,
};

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
                listed(&differences),
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Gave, Player};
    use crate::{
        grants::kubernetes::{Kind, Name, Namespace, Object},
        kubernetes::{Effect, Error, Request, Writing},
    };

    fn pods() -> Kind {
        let (plural, kind) = ("pods".to_owned(), "Pod".to_owned());
        let (version, api_version) = ("v1".to_owned(), "v1".to_owned());
        Kind { group: String::new(), version, plural, subresource: String::new(), kind, api_version, namespaced: true }
    }

    fn at(name: &str) -> Object {
        Object { namespace: Some(Namespace::new("shop").unwrap()), name: Some(Name::new(name).unwrap()) }
    }

    fn get(name: &str) -> Request {
        Request::get(&pods(), &at(name)).unwrap()
    }

    fn player(calls: &[(&str, &str, Value)]) -> std::sync::Arc<Player> {
        let call = |(verb, name, gave): &(&str, &str, Value)| {
            let request = json!({"verb": verb, "group": "", "version": "v1", "resource": "pods", "namespace": "shop", "name": name});
            serde_json::from_value(json!({"function": "f", "request": request, "gave": gave})).unwrap()
        };
        Player::new(Vec::new(), calls.iter().map(call).collect())
    }

    #[test]
    fn equal_requests_are_answered_in_the_order_in_which_they_were_recorded() {
        let answer = |n: u32| json!({"answer": n});
        let player = player(&[("get", "a", answer(1)), ("get", "b", answer(2)), ("get", "a", answer(3))]);
        for (name, given) in [("a", 1), ("a", 3), ("b", 2)] {
            let Ok(Gave::Answer(found)) = player.play(&get(name)) else { panic!("{name} {given}") };
            assert_eq!(found, given);
        }
        for (name, said) in [
            ("a", "the cassette has `get pods shop/a` 2 times, and it is asked for once more; record it anew"),
            (
                "c",
                "the cassette has no `get pods shop/c`; the nearest is call 1, `get pods shop/a`, which differs in `name` \
                   (recorded \"a\", asked \"c\")",
            ),
        ] {
            assert_eq!(player.play(&get(name)).unwrap_err().failure(|status| status).message, said);
        }
        assert_eq!((player.missed().len(), player.left().len()), (2, 0));
    }

    #[test]
    fn what_failed_fails_as_it_did() {
        let refused =
            json!({"refused": {"status": {"kind": "Status", "code": 404, "reason": "NotFound", "message": "gone"}}});
        let failed = json!({"failed": {"code": "timeout", "message": "late", "effect": "unknown"}});
        let player = player(&[("get", "a", refused), ("create", "b", failed)]);
        let failure = player.play(&get("a")).unwrap_err().failure(|status| status);
        assert_eq!((failure.code, failure.message.as_str(), failure.status), ("not-found", "gone", Some(404)));
        let writing = Writing { manager: "claiflow:tool".into(), dry_run: false };
        let mut kind = pods();
        let create = Request::create(&kind, &at("b"), &json!({}), &writing).unwrap();
        // A new object's name stands in its body.
        assert!(matches!(player.play(&create), Err(Error::Failed(failure)) if failure.message.contains("`name`")));
        kind.subresource = "eviction".into();
        let evict = Request::create(&kind, &at("b"), &json!({}), &writing).unwrap();
        let error = player.play(&evict).unwrap_err();
        assert_eq!(error.effect(), Effect::None);
        assert_eq!(player.left(), [(2, "f".to_owned())]);
    }
}
