//! `wasi:http/outgoing-handler`: requests, each of which is counted, authorised over the grants as they are now, and sent by
//! our own sender. From the moment one that writes is sent, an ending without result may have had its effect.

mod asked;
mod counting;

use std::{pin::Pin, sync::Arc, time::Duration};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use crate::{
    grants::http::Allowed,
    http::{Answer, Failure, Timing},
    plugin::{standing::Standing, state::CallState},
};

use self::{
    asked::Asked,
    counting::{Counting, counted},
};

/// Requests of one call whose answers are not read yet.
const IN_FLIGHT_MAX: usize = 8;
/// A guest that writes faster than the server reads waits when so much is on its way.
const CHUNKS_MAX: usize = 1;
const CHUNK_MAX_BYTES: usize = 64 << 10;
/// Where the guest asks for no other time.
const CONNECT_DEFAULT: Duration = Duration::from_secs(10);

/// Sends for one call.
pub(in crate::plugin) struct Sender {
    standing: Arc<Standing>,
    flights: Arc<Semaphore>,
}

/// What becomes of a request, and nothing beside it.
type Sending<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;
type Beside = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl Sender {
    pub(in crate::plugin) fn new(standing: Arc<Standing>) -> Self {
        Self { standing, flights: Arc::new(Semaphore::new(IN_FLIGHT_MAX)) }
    }

    fn send(
        &self,
        mut request: Request<WasiBody>,
        options: RequestOptions,
        counting: &mut Counting,
    ) -> Result<Sending<Response<Answer>>, Failure> {
        let standing = Arc::clone(&self.standing);
        standing.count()?;
        let asked = Asked::take(&mut request)?;
        let allowed = asked.authorise(&standing)?;
        counting.of(&allowed);
        if allowed.writes() {
            may_write(&standing, &allowed)?;
        }
        let left = standing.time_left();
        let end = Instant::now() + left;
        let timing = Timing {
            connect: options.connect_timeout.unwrap_or(CONNECT_DEFAULT).min(left),
            first_byte: options.first_byte_timeout.unwrap_or(left).min(left),
            between_bytes: options.between_bytes_timeout.unwrap_or(left).min(left),
            end,
        };
        let flights = Arc::clone(&self.flights);
        Ok(Box::pin(async move {
            let Ok(Ok(permit)) = timeout_at(end, flights.acquire_owned()).await else {
                let message = format!(
                    "{IN_FLIGHT_MAX} answers were not read to their end in time, and no more requests are made beside them"
                );
                return Err(Failure::new("timeout", message));
            };
            let client = Arc::clone(&standing.caller.surroundings.http);
            // Resolving and connecting took their time: what was withdrawn meanwhile is not sent.
            let begin = || {
                let allowed = asked.authorise(&standing)?;
                if allowed.writes() {
                    may_write(&standing, &allowed)?;
                    standing.begin_effect()?;
                }
                Ok(())
            };
            let request = request.map(|body| counted(body, &standing, "sent"));
            client.send(&allowed, request, &timing, begin, permit).await
        }))
    }
}

impl WasiHttpHooks for Sender {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _upload: Beside,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Beside), Error>> + Send> {
        let standing = Arc::clone(&self.standing);
        let mut counting = Counting::begin(&standing, request.method());
        let sending = self.send(request, options.unwrap_or_default(), &mut counting);
        Box::new(async move {
            let answer = match sending {
                Ok(sending) => sending.await,
                Err(failure) => Err(failure),
            };
            counting.end(&answer);
            let response =
                answer.map_err(error)?.map(|body| counted(body, &standing, "received").map_err(error).boxed_unsync());
            Ok((response, Box::new(std::future::ready(Ok(()))) as Beside))
        })
    }

    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        CHUNKS_MAX
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_MAX_BYTES
    }
}

/// # Errors
/// `denied` or `stopped`, with what would allow it where the server changes nothing.
fn may_write(standing: &Standing, allowed: &Allowed) -> Result<(), Failure> {
    standing.may_write(false).map_err(|refused| {
        let failure = Failure::from(refused);
        if failure.code != "denied" || allowed.method != "POST" {
            return failure;
        }
        let message = format!("{}; where a POST changes nothing, its entry may say `reads: [POST]`", failure.message);
        Failure::new(failure.code, message)
    })
}

/// Every failure is an `internal-error`, the one case that carries a text: `CODE: MESSAGE` with a code of the contract, so that
/// what would allow a request reaches whoever reads the error, in every language.
fn error(failure: Failure) -> Error {
    Error::InternalError(Some(failure.to_string()))
}

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http_context, table: &mut self.resources, hooks: &mut self.http }
    }
}
