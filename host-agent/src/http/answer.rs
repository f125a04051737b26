//! The body of an answer: bounded, under its deadline, without the credential that it may echo.

use std::{
    any::Any,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    BODY_MAX_BYTES,
    client::Timing,
    failure::{Failure, chain},
    mask::Mask,
    tape::Ear,
};

/// A body as it comes.
pub struct Answer {
    body: Source,
    url: String,
    mask: Option<Mask>,
    /// Whoever writes down what the plugin sees.
    ear: Option<Ear>,
    left_bytes: usize,
    between: Duration,
    end: Instant,
    /// When the next piece must be there.
    patience: Pin<Box<Sleep>>,
    /// Nothing follows but what the mask held back.
    ended: bool,
    /// The connection, and whatever else ends with the answer.
    _kept: Box<dyn Any + Send>,
}

/// From where a body comes.
pub(super) enum Source {
    /// From a server.
    Sent(Incoming),
    /// From a cassette: all of it, and what comes in the place of its end.
    Played { bytes: Bytes, broke: Option<Failure> },
}

impl Answer {
    pub(super) fn new(
        body: Source,
        url: String,
        (mask, ear): (Option<Mask>, Option<Ear>),
        timing: &Timing,
        kept: Box<dyn Any + Send>,
    ) -> Self {
        let (between, end) = (timing.between_bytes, timing.end);
        Self {
            body,
            url,
            mask,
            ear,
            left_bytes: BODY_MAX_BYTES,
            between,
            end,
            patience: Box::pin(sleep_until(end.min(Instant::now() + between))),
            ended: false,
            _kept: kept,
        }
    }

    /// What may be passed on of a piece; none where all of it is held back.
    fn take(&mut self, piece: Bytes) -> Result<Option<Bytes>, Failure> {
        self.left_bytes = self.left_bytes.checked_sub(piece.len()).ok_or_else(|| {
            let message = format!("{} answers with more than {BODY_MAX_BYTES} bytes", self.url);
            Failure::new("too-large", message)
        })?;
        let passed = match &mut self.mask {
            Some(mask) => mask.push(&piece),
            None => piece,
        };
        Ok((!passed.is_empty()).then_some(passed))
    }

    fn fail(&mut self, failure: Failure) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        self.ended = true;
        self.mask = None;
        if let Some(ear) = &self.ear {
            ear.failed(&failure);
        }
        Poll::Ready(Some(Err(failure)))
    }

    fn pass(&self, piece: Bytes) -> Frame<Bytes> {
        if let Some(ear) = &self.ear {
            ear.got(&piece);
        }
        Frame::data(piece)
    }

    fn poll_source(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let url = &self.url;
        match &mut self.body {
            Source::Sent(body) => Pin::new(body)
                .poll_frame(context)
                .map_err(|error| Failure::new("unavailable", format!("{url} broke off: {}", chain(&error)))),
            Source::Played { bytes, broke } if bytes.is_empty() => Poll::Ready(broke.take().map(Err)),
            Source::Played { bytes, .. } => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        while !this.ended {
            let Poll::Ready(frame) = this.poll_source(context) else {
                ready!(this.patience.as_mut().poll(context));
                let failure = Failure::new("timeout", format!("{}: the answer's body did not come in time", this.url));
                return this.fail(failure);
            };
            let next = this.end.min(Instant::now() + this.between);
            this.patience.as_mut().reset(next);
            match frame {
                None => this.ended = true,
                Some(Err(failure)) => return this.fail(failure),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) => match this.take(piece) {
                        Ok(Some(piece)) => return Poll::Ready(Some(Ok(this.pass(piece)))),
                        Ok(None) => {}
                        Err(failure) => return this.fail(failure),
                    },
                    // Trailers could say what was cut out of headers and body.
                    Err(_) if this.mask.is_some() => {}
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
            }
        }
        let held = this.mask.take().map(|mut mask| mask.finish()).filter(|held| !held.is_empty());
        Poll::Ready(held.map(|held| Ok(this.pass(held))))
    }

    fn is_end_stream(&self) -> bool {
        let is_over = match &self.body {
            Source::Sent(body) => body.is_end_stream(),
            Source::Played { bytes, broke } => bytes.is_empty() && broke.is_none(),
        };
        self.mask.is_none() && (self.ended || is_over)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Source::Sent(body) if self.mask.is_none() => body.size_hint(),
            _ => SizeHint::default(),
        }
    }
}
