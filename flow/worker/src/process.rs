//! One worker, as its parent sees it.

use std::{convert::Infallible, fs, future, io, path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::{sleep, timeout},
};

use crate::{
    fault::Fault,
    message::{ANSWER_BYTES, Answer, READY, Request, framed},
};

/// One expression's time on a processor.
const EXPRESSION: Duration = Duration::from_millis(100);
/// One expression's time in all, on a machine that has no processor free.
const WAIT: Duration = Duration::from_secs(5);
/// A worker's time to start.
const START: Duration = Duration::from_secs(10);
/// Pauses between attempts to start a worker: what a machine lacks for a moment should fail no step.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// A running worker. It is killed when it is dropped.
pub(crate) struct Worker {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

/// How a worker failed its request.
pub(crate) enum Failure {
    /// It ended, or said what is no answer.
    Broken(io::Error),
    /// It took too long.
    Overran,
}

impl Failure {
    /// As the author of the expression is told of it.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Broken(error) if error.kind() == io::ErrorKind::InvalidData => {
                Fault::Evaluator(format!("the evaluator gave no valid answer: {error}"))
            }
            Self::Broken(_) => Fault::Expression(
                "the expression ended the evaluator: it uses too much memory or nests too deeply".to_owned(),
            ),
            Self::Overran => {
                Fault::Expression(format!("the expression took longer than {} ms", EXPRESSION.as_millis()))
            }
        }
    }
}

impl Worker {
    /// Starts `program` as a worker.
    ///
    /// # Errors
    /// A sentence, after a few attempts.
    pub(crate) async fn start(program: &Path) -> Result<Self, String> {
        let mut pauses = PAUSES.iter();
        loop {
            let error = match timeout(START, Self::spawn(program)).await {
                Ok(Ok(worker)) => return Ok(worker),
                Ok(Err(error)) => error,
                Err(_) => return Err(format!("the evaluator did not start within {} s", START.as_secs())),
            };
            match pauses.next() {
                Some(pause) => sleep(*pause).await,
                None => return Err(format!("the evaluator cannot be started: {error}")),
            }
        }
    }

    async fn spawn(program: &Path) -> io::Result<Self> {
        let mut child = Command::new(program)
            .arg("jq-worker")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let no_pipe = || io::Error::other("it has no pipes");
        let (input, output) = (child.stdin.take().ok_or_else(no_pipe)?, child.stdout.take().ok_or_else(no_pipe)?);
        let mut worker = Self { child, input, output };
        match worker.output.read_u8().await {
            Ok(READY) => Ok(worker),
            Ok(_) => Err(io::Error::other("it is another program")),
            Err(_) => Err(io::Error::other(format!("it ended with {}", worker.end().await?))),
        }
    }

    /// Whether it can be asked. One that somebody killed while it was idle cannot.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends the worker, and leaves no zombie.
    pub(crate) async fn end(mut self) -> io::Result<std::process::ExitStatus> {
        self.child.start_kill()?;
        self.child.wait().await
    }

    /// Sends all requests and hands over each answer as it comes, in order.
    ///
    /// # Errors
    /// The request that follows the last answer failed; the worker can no longer be used.
    pub(crate) async fn ask(
        &mut self,
        requests: &[&Request],
        mut answered: impl FnMut(Result<String, String>),
    ) -> Result<(), Failure> {
        let process = self.child.id();
        let (input, output) = (&mut self.input, &mut self.output);
        let write = async {
            for request in requests {
                input.write_all(&framed(*request)?).await?;
            }
            input.flush().await
        };
        let read = async {
            for request in requests {
                let answer = within(process, read_answer(output)).await?;
                if answer.id != request.id {
                    return Err(Failure::Broken(invalid("it answers another request")));
                }
                answered(answer.outcome);
            }
            Ok(())
        };
        // A worker that dies while it is written to may have answered before, so only the reading side decides.
        let write = async {
            match write.await {
                Ok(()) | Err(_) => future::pending::<Infallible>().await,
            }
        };
        tokio::select! {
            biased;
            end = read => end,
            never = write => match never {},
        }
    }
}

async fn read_answer(output: &mut ChildStdout) -> io::Result<Answer> {
    let length = usize::try_from(output.read_u32().await?).unwrap_or(usize::MAX);
    if length > ANSWER_BYTES {
        return Err(invalid("it is too long"));
    }
    let mut answer = vec![0; length];
    output.read_exact(&mut answer).await?;
    serde_json::from_slice(&answer).map_err(|_| invalid("it is not of the protocol"))
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Waits for an answer while the worker has used less than its time on a processor.
async fn within(process: Option<u32>, answer: impl Future<Output = io::Result<Answer>>) -> Result<Answer, Failure> {
    let mut answer = std::pin::pin!(answer);
    let before = processor_time(process);
    let mut waited = Duration::ZERO;
    while waited < WAIT {
        match timeout(EXPRESSION, &mut answer).await {
            Ok(answer) => return answer.map_err(Failure::Broken),
            Err(_) => waited += EXPRESSION,
        }
        match (before, processor_time(process)) {
            (Some(before), Some(now)) if now.saturating_sub(before) < EXPRESSION => {}
            _ => break,
        }
    }
    Err(Failure::Overran)
}

/// What a process with one thread has used, where the kernel tells it.
fn processor_time(process: Option<u32>) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{}/schedstat", process?)).ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}
