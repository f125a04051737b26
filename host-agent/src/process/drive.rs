//! Follows the programs of one call to their end, whoever still listens.

use std::{
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::ExitStatus,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process,
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::{
    Failure,
    child::{Ended, Piece},
    files::Private,
    starter::Starter,
    steps::Steps,
};
use crate::http::Mask;

const PIECE_MAX_BYTES: usize = 32 << 10;
/// What the programs of one call may say.
const OUTPUT_MAX_BYTES: usize = 16 << 20;

/// All that a call's programs need.
pub(super) struct Work {
    pub(super) starter: Arc<Starter>,
    pub(super) program: PathBuf,
    pub(super) private: Private,
    pub(super) environment: Vec<(&'static str, PathBuf)>,
    pub(super) steps: Steps,
    /// For the last program.
    pub(super) stdin: Vec<u8>,
    pub(super) cut: Vec<Vec<u8>>,
    pub(super) grace: Duration,
    pub(super) pieces: mpsc::Sender<Piece>,
    pub(super) stop: CancellationToken,
}

impl Work {
    /// Runs one after the other; the first that fails is the last. The private directory comes back with how it ended.
    pub(super) async fn run(self) -> (Private, Result<Ended, Failure>) {
        let said = AtomicUsize::new(0);
        let mut ended = Ok(Ended::Exit(0));
        for (index, arguments) in self.steps.runs.iter().enumerate() {
            let is_last = index + 1 == self.steps.runs.len();
            ended = self.step(arguments, is_last, &said).await;
            if ended != Ok(Ended::Exit(0)) {
                break;
            }
        }
        (self.private, ended)
    }

    async fn step(&self, arguments: &[String], is_last: bool, said: &AtomicUsize) -> Result<Ended, Failure> {
        if self.stop.is_cancelled() {
            return Err(Failure::new("stopped", "the program was not started: it should end"));
        }
        let lost = |error: std::io::Error| Failure::unavailable("the program cannot be started", &error);
        let started = self.starter.start(&self.program, arguments, self.private.path(), &self.environment).await;
        let mut child = started.map_err(lost)?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let input = if is_last { self.stdin.as_slice() } else { &[] };
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program that ends without reading all says so itself.
                let _ = stdin.write_all(input).await;
            }
        };
        let full = CancellationToken::new();
        // What an earlier program says matters only where it fails.
        let talk = async {
            tokio::join!(feed, self.pass(stdout, !is_last, said, &full), self.pass(stderr, true, said, &full));
        };
        let follow = async {
            let ended = tokio::select! {
                ended = child.wait() => ended,
                () = self.stop.cancelled() => self.end(&mut child, group).await,
                () = full.cancelled() => {
                    signal(group, Signal::KILL);
                    child.wait().await
                }
            };
            // Whatever it started goes with it.
            signal(group, Signal::KILL);
            ended
        };
        // A program that is asked to end goes on to be listened to: it would end at once where nobody did.
        let (ended, ()) = tokio::join!(follow, talk);
        if full.is_cancelled() {
            let message = format!("the program said more than {OUTPUT_MAX_BYTES} bytes, and was ended");
            return Err(Failure::new("too-large", message));
        }
        ended.map(told).map_err(|error| Failure::unavailable("how the program ended is not known", &error))
    }

    /// TERM, and KILL after the grace.
    async fn end(&self, child: &mut process::Child, group: Option<Pid>) -> std::io::Result<ExitStatus> {
        signal(group, Signal::TERM);
        match tokio::time::timeout(self.grace, child.wait()).await {
            Ok(ended) => ended,
            Err(_) => {
                signal(group, Signal::KILL);
                child.wait().await
            }
        }
    }

    /// Passes on what comes, without what must not be seen. Nobody may listen any more.
    async fn pass<R: AsyncRead + Unpin>(
        &self,
        from: Option<R>,
        is_error: bool,
        said: &AtomicUsize,
        full: &CancellationToken,
    ) {
        let Some(mut from) = from else { return };
        let mut mask = Mask::over(self.cut.clone());
        let mut buffer = vec![0; PIECE_MAX_BYTES];
        loop {
            // A stream that breaks has ended.
            let read = from.read(&mut buffer).await.unwrap_or_default();
            if said.fetch_add(read, Ordering::Relaxed).saturating_add(read) > OUTPUT_MAX_BYTES {
                full.cancel();
            }
            let data = match buffer.get(..read) {
                Some(piece) if read > 0 => mask.push(piece),
                _ => mask.finish(),
            };
            if !data.is_empty() {
                let _ = self.pieces.send(Piece { is_error, data: data.to_vec() }).await;
            }
            if read == 0 {
                return;
            }
        }
    }
}

fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // Nobody may be left to hear it.
        let _ = kill_process_group(group, signal);
    }
}

fn told(status: ExitStatus) -> Ended {
    match status.signal() {
        Some(signal) => Ended::Signal(signal),
        None => Ended::Exit(status.code().unwrap_or(-1)),
    }
}
