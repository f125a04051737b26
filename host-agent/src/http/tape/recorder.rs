//! Writes down what is asked and what it gives, while servers answer.

use std::{
    collections::BTreeSet,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{HeaderMap, StatusCode, request};

use super::{
    Answered, Content, Exchange, Gave, Told,
    exchange::{Failed, authority, told},
};
use crate::{
    grants::http::Allowed,
    http::{failure::Failure, secret::Secret},
    tape::redact,
};

/// More than this nobody reads.
const EXCHANGES_MAX: usize = 10_000;
const BYTES_MAX: usize = 64 << 20;

/// See [`super::Tape::Recorder`].
#[derive(Default)]
pub struct Recorder(Mutex<State>);

/// What a recorder holds.
#[derive(Default)]
pub struct Recorded {
    /// In order, without secrets.
    pub exchanges: Vec<Exchange>,
    /// What was taken out of them, which a plugin may have carried on.
    pub secrets: BTreeSet<String>,
}

#[derive(Default)]
struct State {
    heard: Vec<Heard>,
    /// Credentials that the host put in.
    secrets: BTreeSet<String>,
    bytes: usize,
    too_much: bool,
}

/// An exchange that may not be over.
struct Heard {
    allowed: Allowed,
    head: request::Parts,
    sent: Vec<u8>,
    address: Option<IpAddr>,
    answer: Option<(StatusCode, HeaderMap)>,
    got: Vec<u8>,
    failed: Option<Failed>,
}

impl Recorder {
    /// Nothing was asked yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Everything so far.
    ///
    /// # Errors
    /// When there was more than a cassette holds.
    pub fn finish(&self) -> Result<Recorded, String> {
        let mut state = self.state();
        if state.too_much {
            return Err(format!(
                "there is too much to record: a cassette holds at most {EXCHANGES_MAX} requests and {BYTES_MAX} bytes"
            ));
        }
        let mut secrets = std::mem::take(&mut state.secrets);
        let exchanges = state.heard.iter().map(|heard| heard.exchange(&mut secrets)).collect();
        Ok(Recorded { exchanges, secrets })
    }

    /// A request begins, as the plugin made it.
    pub(in crate::http) fn hear(self: &Arc<Self>, allowed: &Allowed, head: &request::Parts) -> Ear {
        let mut state = self.state();
        let ear = |index| Ear { recorder: Arc::clone(self), index };
        if state.heard.len() >= EXCHANGES_MAX {
            state.too_much = true;
            return ear(usize::MAX);
        }
        state.heard.push(Heard {
            allowed: allowed.clone(),
            head: head.clone(),
            sent: Vec::new(),
            address: None,
            answer: None,
            got: Vec::new(),
            failed: None,
        });
        ear(state.heard.len() - 1)
    }

    fn more(&self, index: usize, bytes: usize, add: impl FnOnce(&mut Heard)) {
        let mut state = self.state();
        state.bytes += bytes;
        if state.bytes > BYTES_MAX {
            state.too_much = true;
        } else if let Some(heard) = state.heard.get_mut(index) {
            add(heard);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    fn exchange(&self, secrets: &mut BTreeSet<String>) -> Exchange {
        let Self { allowed, head, sent, address, answer, got, failed } = self;
        let broken =
            || Failed { code: "stopped".to_owned(), message: "the call ended before there was an answer".to_owned() };
        let gave = match answer {
            None => Gave::Failed(failed.clone().unwrap_or_else(broken)),
            Some((status, headers)) => {
                let body = Content::of(got, "", secrets);
                Gave::Answer(Answered {
                    status: status.as_u16(),
                    headers: told(headers, &[], secrets),
                    body,
                    broke: failed.clone(),
                })
            }
        };
        Exchange {
            request: Told::of(allowed, head, sent, secrets),
            address: *address,
            ca: authority(&allowed.entry.ca),
            reads: allowed.only_reads(),
            gave,
        }
    }
}

/// Listens to what comes of one exchange.
#[derive(Clone)]
pub(in crate::http) struct Ear {
    recorder: Arc<Recorder>,
    index: usize,
}

impl Ear {
    /// The credential that goes with the request: nothing of it is written down, wherever it comes back.
    pub(in crate::http) fn secret(&self, secret: &Secret) {
        let parts = secret.parts().into_iter().filter_map(|part| String::from_utf8(part).ok());
        self.recorder.state().secrets.extend(parts);
    }

    /// There is a connection.
    pub(in crate::http) fn connected(&self, address: IpAddr) {
        self.recorder.more(self.index, 0, |heard| heard.address = Some(address));
    }

    /// More of the request's body.
    pub(super) fn sent(&self, piece: &[u8]) {
        self.recorder.more(self.index, piece.len(), |heard| heard.sent.extend_from_slice(piece));
    }

    /// The answer's head, as the plugin sees it.
    pub(in crate::http) fn answered(&self, status: StatusCode, headers: &HeaderMap) {
        self.recorder.more(self.index, 0, |heard| heard.answer = Some((status, headers.clone())));
    }

    /// More of the answer's body, as the plugin sees it.
    pub(in crate::http) fn got(&self, piece: &[u8]) {
        self.recorder.more(self.index, piece.len(), |heard| heard.got.extend_from_slice(piece));
    }

    /// It came to nothing, or its answer broke off.
    pub(in crate::http) fn failed(&self, failure: &Failure) {
        let failed = Failed { code: failure.code.to_owned(), message: redact::text(&failure.message) };
        self.recorder.more(self.index, 0, |heard| heard.failed = Some(failed));
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("exchanges", &self.state().heard.len()).finish_non_exhaustive()
    }
}
