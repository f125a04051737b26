//! A container's log as it comes.

use bytes::{Buf as _, Bytes};
use tokio::time::{Instant, timeout_at};

use super::{
    Actor, Cluster, Error, Failure, LogOptions, Request,
    body::{Incoming, Unread},
};
use crate::grants::kubernetes::{Kind, Object};

/// A stream of bytes that is being read. What is not read waits in the connection.
pub struct ByteStream {
    body: Option<Incoming>,
    read: Bytes,
}

impl Cluster {
    /// Opens a container's log.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn log(
        &self,
        actor: &Actor,
        kind: &Kind,
        pod: &Object,
        options: &LogOptions,
        deadline: Instant,
    ) -> Result<ByteStream, Error> {
        let request = Request::log(kind, pod, options)?;
        let body = self.stream(actor, &request, deadline).await?;
        Ok(ByteStream { body: Some(body), read: Bytes::new() })
    }
}

impl ByteStream {
    /// At most `most` bytes; none at the end, an empty piece when nothing came until then. Nothing is lost where the future is
    /// dropped.
    ///
    /// # Errors
    /// `unavailable` where the connection broke.
    pub async fn read(&mut self, most: usize, until: Instant) -> Result<Option<Bytes>, Error> {
        while self.read.is_empty() {
            let Some(body) = &mut self.body else { return Ok(None) };
            match timeout_at(until, body.piece()).await {
                Err(_) => return Ok(Some(Bytes::new())),
                Ok(Ok(Some(piece))) => self.read = piece,
                Ok(Ok(None)) => self.body = None,
                Ok(Err(Unread::Broken(why))) => {
                    self.body = None;
                    return Err(Failure::new("unavailable", format!("the log broke off: {why}")).into());
                }
                Ok(Err(Unread::TooLarge(_))) => self.body = None,
            }
        }
        let length = self.read.remaining().min(most.max(1));
        Ok(Some(self.read.split_to(length)))
    }

    /// Bytes that wait here.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.read.len()
    }
}
