//! Writes down what is asked and what it gives, while the API server answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use super::{Exchange, Executed, Gave, KindEntry, Told};
use crate::{
    grants::kubernetes::{Access, Request},
    kubernetes::{Error, Piece, Served},
    tape::redact,
};

/// More than this nobody reads.
const EXCHANGES_MAX: usize = 10_000;
const BYTES_MAX: usize = 64 << 20;

/// See [`super::Tape::Recorder`].
#[derive(Default)]
pub struct Recorder(Mutex<State>);

/// What a recorder holds.
pub struct Recorded {
    /// The kinds that were looked up.
    pub kinds: Vec<KindEntry>,
    /// In order, without secrets.
    pub exchanges: Vec<Exchange>,
    /// What was taken out of them, which a plugin may have carried on.
    pub secrets: BTreeSet<String>,
}

#[derive(Default)]
struct State {
    kinds: BTreeMap<(String, String, String), KindEntry>,
    /// What the plugin was allowed last: who asks for something else is the agent itself.
    judged: Option<Judged>,
    heard: Vec<Heard>,
    /// What was taken out.
    secrets: BTreeSet<String>,
    bytes: usize,
    too_much: bool,
}

struct Judged {
    verb: &'static str,
    group: String,
    resource: String,
    fields: Option<Vec<String>>,
}

/// An exchange that may not be over.
struct Heard {
    exchange: Exchange,
    /// A stream's bytes so far.
    raw: Vec<u8>,
    output: Vec<(bool, Vec<u8>)>,
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
        let state = &mut *state;
        if state.too_much {
            return Err(format!(
                "there is too much to record: a cassette holds at most {EXCHANGES_MAX} requests and {BYTES_MAX} bytes"
            ));
        }
        let exchanges = state.heard.iter().map(|heard| heard.exchange(&mut state.secrets)).collect();
        let kinds = state.kinds.values().cloned().collect();
        Ok(Recorded { kinds, exchanges, secrets: state.secrets.clone() })
    }

    pub(super) fn found(&self, served: &Served) {
        let entry = KindEntry::of(served);
        let key = (entry.group.clone(), entry.resource.clone(), entry.version.clone());
        self.state().kinds.insert(key, entry);
    }

    pub(super) fn judged(&self, access: &Access<'_>) {
        let fields = match access.request {
            Request::Get { fields, .. } | Request::List { fields, .. } | Request::Watch { fields, .. } => fields,
            _ => None,
        };
        self.state().judged = Some(Judged {
            verb: access.request.verb().as_str(),
            group: access.kind.group.clone(),
            resource: access.kind.resource(),
            fields: fields.map(|fields| fields.texts().to_vec()),
        });
    }

    /// A document without secrets; they are remembered.
    pub(super) fn without_secrets(&self, value: Value, secret: bool) -> Value {
        redact::taken(value, secret, &mut self.state().secrets)
    }

    /// Writes an exchange down; the number by which more can be added to it.
    pub(super) fn hear(&self, request: Told, gave: Gave) -> usize {
        let mut state = self.state();
        let judged = state.judged.as_ref().filter(|judged| {
            judged.verb == request.verb && judged.group == request.group && judged.resource == request.resource
        });
        let (asked_by_agent, fields) = (judged.is_none(), judged.and_then(|judged| judged.fields.clone()));
        let exchange = Exchange { function: request.function().to_owned(), request, fields, asked_by_agent, gave };
        if state.heard.len() >= EXCHANGES_MAX {
            state.too_much = true;
            return usize::MAX;
        }
        state.heard.push(Heard { exchange, raw: Vec::new(), output: Vec::new() });
        state.heard.len() - 1
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
        let mut exchange = self.exchange.clone();
        let secret = exchange.request.is_of_secrets();
        match &mut exchange.gave {
            Gave::Answer(_) | Gave::Failed { .. } | Gave::Refused { .. } => {}
            Gave::Events { lines, .. } => {
                let whole = self.raw.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
                *lines = whole.map(|line| redact::taken(line, secret, secrets)).collect();
            }
            Gave::Log { text, .. } => *text = redact::text(&String::from_utf8_lossy(&self.raw)),
            Gave::Executed(executed) => {
                executed.stdin = redact::text(&String::from_utf8_lossy(&self.raw));
                let piece = |(is_error, data): &(bool, Vec<u8>)| {
                    let stream = if *is_error { "stderr" } else { "stdout" };
                    [(stream.to_owned(), redact::text(&String::from_utf8_lossy(data)))].into()
                };
                executed.output = self.output.iter().map(piece).collect();
            }
        }
        exchange
    }
}

/// Listens to what comes of one exchange.
#[derive(Debug)]
pub(in crate::kubernetes) struct Ear {
    recorder: Arc<Recorder>,
    index: usize,
}

impl Ear {
    pub(super) fn new(recorder: &Arc<Recorder>, index: usize) -> Self {
        Self { recorder: Arc::clone(recorder), index }
    }

    /// More of a stream, or of what is written to a command.
    pub(in crate::kubernetes) fn bytes(&self, data: &[u8]) {
        self.recorder.more(self.index, data.len(), |heard| heard.raw.extend_from_slice(data));
    }

    /// The stream is over.
    pub(in crate::kubernetes) fn ended(&self) {
        self.recorder.more(self.index, 0, |heard| {
            if let Gave::Events { ended, .. } | Gave::Log { ended, .. } = &mut heard.exchange.gave {
                *ended = true;
            }
        });
    }

    /// What a command said.
    pub(in crate::kubernetes) fn piece(&self, piece: &Piece) {
        self.recorder.more(self.index, piece.data.len(), |heard| match heard.output.last_mut() {
            Some((is_error, data)) if *is_error == piece.is_error => data.extend_from_slice(&piece.data),
            _ => heard.output.push((piece.is_error, piece.data.to_vec())),
        });
    }

    /// How a command ended.
    pub(in crate::kubernetes) fn status(&self, status: &Value) {
        self.recorder.more(self.index, 0, |heard| {
            if let Gave::Executed(Executed { status: said, .. }) = &mut heard.exchange.gave {
                *said = Some(status.clone());
            }
        });
    }
}

/// What a request that came to nothing gave.
pub(super) fn failed(error: &Error) -> Gave {
    match error {
        Error::Refused(refusal) => Gave::Refused {
            status: redact::value(refusal.status.clone(), false),
            retry_after_ms: refusal.retry_after.and_then(|after| u64::try_from(after.as_millis()).ok()),
        },
        Error::Failed(failure) => Gave::Failed {
            code: failure.code.to_owned(),
            message: redact::text(&failure.message),
            effect: failure.effect.as_str().to_owned(),
        },
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("exchanges", &self.state().heard.len()).finish_non_exhaustive()
    }
}
