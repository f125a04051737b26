//! Sending: under a deadline, as an actor, again only where that is safe.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use kube::client::Body;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    Actor, Effect, Error, Failure, Refusal, Request,
    body::{self, BODY_MAX_BYTES, Incoming, Unread, chain},
    cluster::Cluster,
};

/// Of a refusal no more is read.
const REFUSAL_MAX_BYTES: usize = 256 << 10;
const ATTEMPTS_MAX: u32 = 5;
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// What may be done with a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Safety {
    /// It leaves nothing behind, or nothing that matters: again while its answer may change.
    Repeatable,
    /// It writes: again only where it certainly did not arrive.
    Once,
}

/// One attempt that failed.
pub(super) struct Trouble {
    pub(super) error: Error,
    /// Whether another attempt is safe and may end otherwise.
    pub(super) again: bool,
}

impl Cluster {
    /// The answer's JSON, and its size: as an [`Unmanaged`](super::Unmanaged) where it is shown, as a `Value` where all of it
    /// counts. Of a write that took effect and whose answer cannot be read, the failure says so.
    ///
    /// # Errors
    /// What the API server or the way to it says; `timeout` at the deadline; `too-large` for more than `most` bytes.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        actor: &Actor,
        request: &Request,
        most: usize,
        deadline: Instant,
    ) -> Result<(T, usize), Error> {
        let answer = self.read(actor, request, most, deadline).await?;
        // kube would log the whole body here.
        let value = serde_json::from_slice(&answer).map_err(|error| {
            let message = format!("the API server's answer is not JSON: {error}");
            Failure::new("unavailable", message).with(request.answered())
        })?;
        Ok((value, answer.len()))
    }

    /// An answer to what a plugin asks: `most` bytes of it are read.
    pub(super) async fn read(
        &self,
        actor: &Actor,
        request: &Request,
        most: usize,
        deadline: Instant,
    ) -> Result<Bytes, Error> {
        match &self.tape {
            None => self.whole(actor, request, request.safety(), most, deadline).await,
            Some(tape) => Box::pin(tape.whole(self, actor, request, most, deadline)).await,
        }
    }

    pub(super) async fn whole(
        &self,
        actor: &Actor,
        request: &Request,
        safety: Safety,
        most: usize,
        deadline: Instant,
    ) -> Result<Bytes, Error> {
        let most = most.min(BODY_MAX_BYTES);
        let mut attempts = Attempts::until(deadline);
        loop {
            match self.whole_once(actor, request, safety, most, deadline).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => attempts.again(trouble).await?,
            }
        }
    }

    /// The answer's body as it comes.
    pub(super) async fn stream(&self, actor: &Actor, request: &Request, deadline: Instant) -> Result<Incoming, Error> {
        match &self.tape {
            None => self.direct_stream(actor, request, deadline).await.map(Incoming::from),
            Some(tape) => Box::pin(tape.stream(self, actor, request, deadline)).await,
        }
    }

    pub(super) async fn direct_stream(
        &self,
        actor: &Actor,
        request: &Request,
        deadline: Instant,
    ) -> Result<Body, Error> {
        let mut attempts = Attempts::until(deadline);
        loop {
            match self.answer(actor, request, request.safety(), deadline).await {
                Ok(body) => return Ok(body),
                Err(trouble) => attempts.again(trouble).await?,
            }
        }
    }

    async fn whole_once(
        &self,
        actor: &Actor,
        request: &Request,
        safety: Safety,
        most: usize,
        deadline: Instant,
    ) -> Result<Bytes, Trouble> {
        let body = self.answer(actor, request, safety, deadline).await?;
        match timeout_at(deadline, body::whole(body, most)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Unread::TooLarge(most))) => {
                Err(Trouble { error: too_large(most, request.answered()), again: false })
            }
            Ok(Err(Unread::Broken(why))) => Err(Trouble {
                error: Failure::new("unavailable", format!("the API server's answer broke off: {why}"))
                    .with(request.answered())
                    .into(),
                again: safety == Safety::Repeatable,
            }),
            Err(_) => Err(late(request.answered())),
        }
    }

    /// One attempt, and one more with a new token where the old one was not accepted.
    async fn answer(
        &self,
        actor: &Actor,
        request: &Request,
        safety: Safety,
        deadline: Instant,
    ) -> Result<Body, Trouble> {
        let mut renewed = false;
        loop {
            let (client, prepared) = match self.as_actor(actor, &request.http, deadline).await {
                Ok(prepared) => prepared,
                Err(error) => return Err(Trouble { error, again: false }),
            };
            let response = match timeout_at(deadline, client.send(prepared)).await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return Err(unreached(&error, request, safety)),
                Err(_) => return Err(late(request.lost())),
            };
            let status = response.status();
            if status.is_success() {
                return Ok(response.into_body());
            }
            // Whoever is not known has done nothing.
            if status == StatusCode::UNAUTHORIZED && !renewed && self.forget_token(actor).await {
                renewed = true;
                continue;
            }
            let (parts, body) = response.into_parts();
            let said = timeout_at(deadline, body::beginning(body, REFUSAL_MAX_BYTES)).await.unwrap_or_default();
            let refusal = Refusal::read(status.as_u16(), &parts.headers, &said, request.writes);
            let again = safety == Safety::Repeatable && refusal.is_passing();
            return Err(Trouble { error: Error::Refused(Box::new(refusal)), again });
        }
    }
}

impl Request {
    pub(super) fn safety(&self) -> Safety {
        if self.writes { Safety::Once } else { Safety::Repeatable }
    }

    /// What it has done once it was answered with success.
    pub(super) fn answered(&self) -> Effect {
        if self.writes { Effect::Done } else { Effect::None }
    }

    /// What it has done when nobody heard of it again.
    pub(super) fn lost(&self) -> Effect {
        if self.writes { Effect::Unknown } else { Effect::None }
    }
}

/// Attempts until one succeeds, cannot be made again, or would come after the deadline: whoever waits is told the last
/// failure while there is time to act on it.
pub(super) struct Attempts {
    deadline: Instant,
    failed: u32,
    wait: Duration,
}

impl Attempts {
    pub(super) fn until(deadline: Instant) -> Self {
        Self { deadline, failed: 0, wait: WAIT_FIRST }
    }

    /// Waits until another attempt is due.
    ///
    /// # Errors
    /// The last failure, where there is none.
    pub(super) async fn again(&mut self, trouble: Trouble) -> Result<(), Error> {
        let Trouble { error, again } = trouble;
        self.failed += 1;
        let asked = match &error {
            Error::Refused(refusal) => refusal.retry_after,
            Error::Failed(failure) => failure.retry_after,
        };
        let pause = asked.unwrap_or(self.wait).max(self.wait);
        if !again || self.failed >= ATTEMPTS_MAX || Instant::now() + pause >= self.deadline {
            return Err(error);
        }
        sleep(pause).await;
        self.wait = (self.wait * 2).min(WAIT_MAX);
        Ok(())
    }
}

/// Waits for what others may hold, and sends nothing meanwhile.
pub(super) async fn in_time<T>(deadline: Instant, awaited: impl Future<Output = T>) -> Result<T, Error> {
    timeout_at(deadline, awaited).await.map_err(|_| late(Effect::None).error)
}

pub(super) fn too_large(most: usize, effect: Effect) -> Error {
    let message =
        format!("the API server's answer has more than {most} bytes; ask for less, for instance for one object");
    Failure::new("too-large", message).with(effect).into()
}

pub(super) fn late(effect: Effect) -> Trouble {
    let message = "the API server did not answer in time";
    Trouble { error: Failure::new("timeout", message).with(effect).into(), again: false }
}

/// The way to the API server failed.
pub(super) fn unreached(error: &kube::Error, request: &Request, safety: Safety) -> Trouble {
    let unsent = never_sent(error);
    let effect = if unsent { Effect::None } else { request.lost() };
    let message = format!("the API server cannot be reached: {}", chain(error));
    Trouble {
        error: Failure::new("unavailable", message).with(effect).into(),
        again: unsent || safety == Safety::Repeatable,
    }
}

/// Whether it is certain that nothing of the request left.
fn never_sent(error: &kube::Error) -> bool {
    match error {
        kube::Error::Auth(_) => true,
        kube::Error::Service(error) => {
            error.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| error.is_connect())
        }
        _ => false,
    }
}
