//! A program while it runs, as its caller has it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::Failure;

/// A piece of what a program says. Nothing promises UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Of its error output.
    pub is_error: bool,
    /// At most what was asked for.
    pub data: Vec<u8>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

impl Ended {
    /// `{"exit":0}` or `{"signal":15}`.
    #[must_use]
    pub fn told(self) -> Value {
        match self {
            Self::Exit(code) => json!({"exit": code}),
            Self::Signal(signal) => json!({"signal": signal}),
        }
    }
}

/// How it ended; none while it runs.
pub(super) type End = Option<Result<Ended, Failure>>;

/// A program that runs. Dropping it ends the whole process group: TERM, then KILL after the profile's grace.
#[derive(Debug)]
pub struct Child {
    pieces: mpsc::Receiver<Piece>,
    /// Of a piece that was larger than what was asked for.
    rest: Option<Piece>,
    end: watch::Receiver<End>,
    stop: CancellationToken,
}

impl Child {
    pub(super) fn new(pieces: mpsc::Receiver<Piece>, end: watch::Receiver<End>, stop: CancellationToken) -> Self {
        Self { pieces, rest: None, end, stop }
    }

    /// What it said next: empty when nothing came until then, none once it said all.
    pub async fn read(&mut self, max_bytes: usize, until: Instant) -> Option<Piece> {
        let piece = match self.rest.take() {
            Some(piece) => piece,
            None => match timeout_at(until, self.pieces.recv()).await {
                Ok(piece) => piece?,
                Err(_) => return Some(Piece { is_error: false, data: Vec::new() }),
            },
        };
        let Piece { is_error, mut data } = piece;
        let most = max_bytes.max(1);
        if data.len() > most {
            self.rest = Some(Piece { is_error, data: data.split_off(most) });
        }
        Some(Piece { is_error, data })
    }

    /// How it ended, once it has. Read what it says first: a program that nobody listens to waits.
    ///
    /// # Errors
    /// `timeout` where it goes on after that time, and why it could not be followed to its end.
    pub async fn wait(&mut self, left: Duration) -> Result<Ended, Failure> {
        let gone = || Failure::new("failed", "nobody follows the program any more");
        let ended = tokio::time::timeout(left, self.end.wait_for(Option::is_some)).await;
        let late = || Failure::new("timeout", "the program did not end in time");
        let end = ended.map_err(|_| late())?.map_err(|_| gone())?;
        end.clone().unwrap_or_else(|| Err(gone()))
    }

    /// Asks it to end, and ends it after the profile's grace.
    pub fn terminate(&self) {
        self.stop.cancel();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
