//! A request's body, heard while it passes.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::Ear;

/// The body itself; without an ear, nothing beside it.
pub(in crate::http) struct Overheard<B> {
    body: B,
    ear: Option<Ear>,
}

impl<B> Overheard<B> {
    pub(in crate::http) fn new(body: B, ear: Option<Ear>) -> Self {
        Self { body, ear }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Overheard<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let (Some(ear), Poll::Ready(Some(Ok(frame)))) = (&self.ear, &polled)
            && let Some(piece) = frame.data_ref()
        {
            ear.sent(piece);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
