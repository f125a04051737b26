//! How often one caller may call, and how often an address may fail to say who it is.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

use axum::http::{Method, StatusCode};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::problem::Problem;
use crate::model::{
    people::Caller,
    rate::{Buckets, Rate},
};

/// Callers that are told apart at a time; further ones share.
const CALLERS_MAX: usize = 16_384;
/// What a call costs that may change something; a call that reads costs 1.
const WRITE_COST: u32 = 2;
/// Failures of an address: a person's mistakes pass, a guesser's do not.
const FAILURES: Rate = Rate { per_second: 2, burst: 60 };
/// Credentials that are looked at together, of all that come from addresses that have spent their failures.
const DOUBTED: usize = 4;

/// The buckets of one server.
#[derive(Debug)]
pub(super) struct Rates {
    started: Instant,
    callers: Option<Mutex<Buckets<Who>>>,
    failures: Mutex<Buckets<IpAddr>>,
    doubted: Semaphore,
}

/// Whose bucket it is.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Who {
    /// Somebody who was recognised.
    Name(String),
    /// Anybody else.
    Address(IpAddr),
}

impl Rates {
    /// `rate`: what one caller may ask for; none is no limit. Failures are always limited.
    #[must_use]
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Self {
            started: Instant::now(),
            callers: rate.map(|rate| Mutex::new(Buckets::new(rate, CALLERS_MAX))),
            failures: Mutex::new(Buckets::new(FAILURES, CALLERS_MAX)),
            doubted: Semaphore::new(DOUBTED),
        }
    }

    /// A call of somebody who was recognised, or of anybody from an address, where nobody was.
    ///
    /// # Errors
    /// The answer to whoever calls too often.
    pub(super) fn share(&self, caller: Option<&Caller>, from: Option<IpAddr>, method: &Method) -> Result<(), Problem> {
        let Some(callers) = &self.callers else { return Ok(()) };
        let named = caller.filter(|caller| **caller != Caller::anonymous());
        let who = named.map_or_else(|| Who::Address(network(from)), |caller| Who::Name(caller.name.clone()));
        let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let taken = callers.lock().take(who, if reads { 1 } else { WRITE_COST }, self.now_ns());
        taken.map_err(|wait| too_many("you call more often than one caller may", wait))
    }

    /// Lets `recognise` find out whose credentials these are. An address that failed too often is not told for a while that
    /// others are wrong; right ones always pass, since many callers may share an address.
    ///
    /// # Errors
    /// What `recognise` says, or the answer to an address that fails too often.
    pub(super) async fn recognised(
        &self,
        from: Option<IpAddr>,
        recognise: impl Future<Output = Result<Caller, Problem>>,
    ) -> Result<Caller, Problem> {
        let from = network(from);
        let has_spent = self.failures.lock().look(&from, 1, self.now_ns()).is_err();
        // Never closed, so that a place is all that can be got.
        let _place = if has_spent { self.doubted.acquire().await.ok() } else { None };
        let caller = recognise.await;
        match caller {
            Err(problem) if problem.status() == 401 => {
                let taken = self.failures.lock().take(from, 1, self.now_ns());
                Err(taken
                    .err()
                    .map_or(problem, |wait| too_many("wrong credentials came from this address too often", wait)))
            }
            other => other,
        }
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// An address as far as one customer of a network reaches: of IPv6 a /64. Those without one share.
fn network(address: Option<IpAddr>) -> IpAddr {
    match address.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |address| address.to_canonical()) {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}

/// Rounded up to seconds: whoever comes back then is not refused again.
fn too_many(what: &str, wait: Duration) -> Problem {
    let seconds = (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1);
    let detail = format!("{what}; try again in {seconds} s, as the header `Retry-After` says");
    Problem::of(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Slow down", detail).after(seconds)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use axum::http::{Method, StatusCode};

    use super::{Rates, network};
    use crate::{
        model::{
            people::{Caller, Role, Scope},
            rate::Rate,
        },
        rest::problem::Problem,
    };

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn caller(name: &str) -> Caller {
        Caller { name: name.into(), role: Role::Viewer, scope: Scope::default() }
    }

    #[test]
    fn addresses_of_one_customer_are_one() {
        for (a, b, same) in [
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ] {
            assert_eq!(network(address(a)) == network(address(b)), same, "{a} {b}");
        }
    }

    #[test]
    fn each_caller_has_a_share_and_nobody_another_ones() {
        let rates = Rates::new(Some(Rate { per_second: 1, burst: 10 }));
        let from = address("10.0.0.1");
        for _ in 0..5 {
            assert!(rates.share(Some(&caller("token:a")), from, &Method::POST).is_ok());
        }
        let refused = rates.share(Some(&caller("token:a")), from, &Method::GET).unwrap_err();
        assert_eq!(refused.status(), 429);
        assert!(rates.share(Some(&caller("oidc:a")), from, &Method::GET).is_ok());
        // Whoever was not recognised has the share of their address.
        for _ in 0..10 {
            assert!(rates.share(Some(&Caller::anonymous()), from, &Method::GET).is_ok());
        }
        assert!(rates.share(None, from, &Method::GET).is_err());
        assert!(rates.share(None, address("10.0.0.2"), &Method::GET).is_ok());
        assert!((0..20_000).all(|_| Rates::new(None).share(None, from, &Method::POST).is_ok()));
    }

    #[tokio::test]
    async fn an_address_that_guesses_is_told_to_wait_and_what_is_right_passes() {
        let rates = Rates::new(None);
        let (guesser, other) = (address("10.0.0.1"), address("10.0.0.2"));
        let wrong = || async { Err(Problem::of(StatusCode::UNAUTHORIZED, "unauthenticated", "", String::new())) };
        let right = || async { Ok(caller("token:a")) };
        let away = || async { Err(Problem::of(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "", String::new())) };
        assert!(rates.recognised(guesser, right()).await.is_ok());
        for _ in 0..200 {
            assert_eq!(rates.recognised(other, away()).await.unwrap_err().status(), 503);
        }
        let mut said = Vec::new();
        for _ in 0..500 {
            said.push(rates.recognised(guesser, wrong()).await.unwrap_err().status());
        }
        assert_eq!(said[..60], [401; 60]);
        assert!(said.iter().filter(|status| **status == 401).count() < 100);
        assert!(rates.recognised(guesser, right()).await.is_ok());
        assert!(rates.recognised(other, right()).await.is_ok());
    }
}
