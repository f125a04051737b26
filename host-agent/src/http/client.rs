//! One request, from what was granted to the head of its answer.

use std::{error::Error, fmt, net::IpAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::{
    answer::{Answer, Source},
    connect::{Connection, connect},
    credentials::{Credentials, Nowhere},
    failure::{Failure, chain, late},
    mask::Mask,
    play::play,
    prepare::{prepared, too_long},
    resolve::{Resolve, System},
    secret::Secret,
    tape::{Ear, Overheard, Tape},
    trust::Trusts,
};
use crate::grants::http::{Allowed, Use};

const HEADERS_MAX: usize = 100;
/// Of the head of an answer, and of what waits of a body.
const BUFFER_MAX_BYTES: usize = 64 << 10;

/// Sends for everybody.
pub struct Client {
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) trusts: Trusts,
    credentials: Arc<dyn Credentials>,
    own: ArcSwap<Vec<IpAddr>>,
    /// What records or answers in the servers' place.
    tape: Option<Tape>,
}

/// How long the parts of a request may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Until there is a connection.
    pub connect: Duration,
    /// From there to the head of the answer.
    pub first_byte: Duration,
    /// Between pieces of the answer's body.
    pub between_bytes: Duration,
    /// For all of it.
    pub end: Instant,
}

impl Default for Client {
    /// With the system's resolver and without credentials.
    fn default() -> Self {
        Self::new(Arc::new(System::default()), Arc::new(Nowhere))
    }
}

impl Client {
    /// Nothing is looked up or read yet.
    #[must_use]
    pub fn new(resolver: Arc<dyn Resolve>, credentials: Arc<dyn Credentials>) -> Self {
        Self { resolver, trusts: Trusts::default(), credentials, own: ArcSwap::default(), tape: None }
    }

    /// The same with a tape behind it.
    #[must_use]
    pub fn taped(self, tape: Tape) -> Self {
        Self { tape: Some(tape), ..self }
    }

    /// The bytes of a credential, for another sender than this one. That it may be used was decided before.
    ///
    /// # Errors
    /// `denied` where it is not there, `unavailable` where the store does not answer.
    pub async fn lend(&self, credential: &Use) -> Result<Secret, Failure> {
        Ok(self.credentials.carried(&credential.name, credential.header.as_deref()).await?.value)
    }

    /// Says which addresses are the agent's own pod and the API server; no request goes there.
    pub fn protect(&self, own: Vec<IpAddr>) {
        self.own.store(Arc::new(own));
    }

    pub(super) fn own(&self) -> Arc<Vec<IpAddr>> {
        self.own.load_full()
    }

    /// Sends it. `begin` is asked when there is a connection and nothing was written to it yet: from there on the request may
    /// have its effect. `permit` lives as long as the answer.
    ///
    /// # Errors
    /// What `begin` answers; `denied`, `unavailable`, `timeout`, `too-large` or `failed`.
    pub async fn send<B, P>(
        &self,
        allowed: &Allowed,
        request: Request<B>,
        timing: &Timing,
        begin: impl FnOnce() -> Result<(), Failure>,
        permit: P,
    ) -> Result<Response<Answer>, Failure>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
        P: Send + 'static,
    {
        let (head, body) = request.into_parts();
        let recorder = match &self.tape {
            Some(Tape::Player(player)) => return play(player, allowed, (head, body), timing, begin, permit).await,
            Some(Tape::Recorder(recorder)) => Some(recorder),
            None => None,
        };
        let ear = recorder.map(|recorder| recorder.hear(allowed, &head));
        let request = Request::from_parts(head, Overheard::new(body, ear.clone()));
        let answer = self.dispatch(allowed, request, timing, begin, permit, ear.as_ref()).await;
        if let (Some(ear), Err(failure)) = (&ear, &answer) {
            ear.failed(failure);
        }
        answer
    }

    async fn dispatch<B, P>(
        &self,
        allowed: &Allowed,
        request: Request<B>,
        timing: &Timing,
        begin: impl FnOnce() -> Result<(), Failure>,
        permit: P,
        ear: Option<&Ear>,
    ) -> Result<Response<Answer>, Failure>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
        P: Send + 'static,
    {
        let url = &allowed.entry.url;
        let late = |what: &str| late(url, what);
        let carried = match &allowed.credential {
            Some(credential) => Some(self.credentials.carried(&credential.name, credential.header.as_deref()).await?),
            None => None,
        };
        if let (Some(ear), Some(carried)) = (ear, &carried) {
            ear.secret(&carried.value);
        }
        let request = prepared(allowed, request, carried.as_ref())?;
        let by = timing.end.min(Instant::now() + timing.connect);
        let connection = timeout_at(by, connect(self, allowed)).await;
        let connection = connection.map_err(|_| late("no connection came about in time"))??;
        if let (Some(ear), Some(address)) = (ear, connection.address()) {
            ear.connected(address);
        }
        begin()?;
        let by = timing.end.min(Instant::now() + timing.first_byte);
        let answered = timeout_at(by, exchange(connection, request)).await;
        let (response, driven) =
            answered.map_err(|_| late("no answer came in time"))?.map_err(|error| broken(&url.to_string(), &error))?;
        let (mut head, body) = response.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Failure::new("failed", format!("{url} wants to speak another protocol")));
        }
        let mask = carried.as_ref().map(|carried| Mask::of(&carried.value));
        if let Some(mask) = &mask {
            let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
            if !head.headers.get_all(header::CONTENT_ENCODING).iter().all(plain) {
                let message = format!("{url} answers with an encoded body, out of which no credential can be cut");
                return Err(Failure::new("failed", message));
            }
            mask.headers(&mut head.headers);
            // Stars are shorter or longer than what they stand for.
            head.headers.remove(header::CONTENT_LENGTH);
        }
        if let Some(ear) = ear {
            ear.answered(head.status, &head.headers);
        }
        let heard = (mask, ear.cloned());
        let body = Answer::new(Source::Sent(body), url.to_string(), heard, timing, Box::new((driven, permit)));
        Ok(Response::from_parts(head, body))
    }
}

type Driven = AbortOnDropHandle<()>;

async fn exchange<B>(
    connection: Connection,
    request: Request<Limited<B>>,
) -> Result<(Response<hyper::body::Incoming>, Driven), hyper::Error>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut builder = http1::Builder::new();
    builder.max_headers(HEADERS_MAX).max_buf_size(BUFFER_MAX_BYTES);
    let (mut sender, driver) = builder.handshake(TokioIo::new(connection)).await?;
    // How it ends is told to whoever reads the answer.
    let driven = AbortOnDropHandle::new(tokio::spawn(async move { drop(driver.await) }));
    let response = sender.send_request(request).await?;
    Ok((response, driven))
}

fn broken(url: &str, error: &hyper::Error) -> Failure {
    let mut causes = std::iter::successors(error.source(), |cause| (*cause).source());
    if causes.any(|cause| cause.is::<LengthLimitError>()) {
        return too_long();
    }
    if error.is_parse_too_large() {
        return Failure::new(
            "too-large",
            format!("{url} answers with more than {HEADERS_MAX} headers or {BUFFER_MAX_BYTES} bytes of them"),
        );
    }
    let code = if error.is_parse() { "failed" } else { "unavailable" };
    Failure::new(code, format!("{url} gave no answer: {}", chain(error)))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("resolver", &self.resolver)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
