//! The parent's side: workers that are kept warm, and killed and replaced when they overrun.

use std::{path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use claiflow_flow::Expression;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{Mutex, Semaphore},
    time::timeout,
};

use crate::{Answer, MESSAGE_BYTES, Request};

/// One expression's time.
const EXPRESSION: Duration = Duration::from_millis(100);
/// A worker's time to start.
const START: Duration = Duration::from_secs(10);

/// A few jq workers. Cheap to clone.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    program: PathBuf,
    idle: Mutex<Vec<Worker>>,
    permits: Semaphore,
}

struct Worker {
    _child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Pool {
    /// Workers are started with the first expression. `program` calls [`crate::serve`] when its first argument is
    /// `jq-worker`.
    #[must_use]
    pub fn new(program: PathBuf, workers: usize) -> Self {
        Self(Arc::new(Inner { program, idle: Mutex::default(), permits: Semaphore::new(workers.max(1)) }))
    }

    /// Evaluates expressions in order; each has its own outcome.
    pub async fn evaluate(&self, expressions: Vec<Expression>) -> Vec<Result<Value, String>> {
        let mut outcomes = Vec::with_capacity(expressions.len());
        for Expression { program, input, variables, .. } in expressions {
            outcomes.push(self.ask(&Request { program, input, variables, check: false }).await);
        }
        outcomes
    }

    /// Whether an expression parses and uses only what is available.
    ///
    /// # Errors
    /// A sentence for its author.
    pub async fn check(&self, program: &str, variables: &[&str]) -> Result<(), String> {
        let variables = variables.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
        self.ask(&Request { program: program.to_owned(), input: Value::Null, variables, check: true }).await.map(drop)
    }

    async fn ask(&self, request: &Request) -> Result<Value, String> {
        let away = |error: std::io::Error| format!("the expression could not be evaluated: {error}");
        let _permit = self.0.permits.acquire().await.map_err(|_| "the evaluator has stopped".to_owned())?;
        let idle = self.0.idle.lock().await.pop();
        let mut worker = match idle {
            Some(worker) => worker,
            None => timeout(START, Worker::start(&self.0.program))
                .await
                .map_err(|_| "the evaluator did not start".to_owned())?
                .map_err(away)?,
        };
        // A worker that is dropped is killed.
        match timeout(EXPRESSION, worker.round_trip(request)).await {
            Ok(Ok(answer)) => {
                self.0.idle.lock().await.push(worker);
                answer.error.map_or(Ok(answer.value), Err)
            }
            Ok(Err(_)) => Err("the expression used too much memory or nested too deeply".into()),
            Err(_) => Err(format!("the expression took longer than {} ms", EXPRESSION.as_millis())),
        }
    }
}

impl Worker {
    async fn start(program: &PathBuf) -> std::io::Result<Self> {
        let mut child = Command::new(program)
            .arg("jq-worker")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let broken = || std::io::Error::other("the worker has no pipes");
        let (input, mut output) = (child.stdin.take().ok_or_else(broken)?, child.stdout.take().ok_or_else(broken)?);
        output.read_u8().await?;
        Ok(Self { _child: child, input, output })
    }

    async fn round_trip(&mut self, request: &Request) -> std::io::Result<Answer> {
        let request = serde_json::to_vec(request)?;
        if request.len() > MESSAGE_BYTES {
            return Err(std::io::Error::other("the values that the expression reads are too large"));
        }
        self.input.write_u32(u32::try_from(request.len()).unwrap_or(u32::MAX)).await?;
        self.input.write_all(&request).await?;
        self.input.flush().await?;
        let length = usize::try_from(self.output.read_u32().await?).unwrap_or(usize::MAX);
        let mut answer = vec![0; length.min(MESSAGE_BYTES)];
        self.output.read_exact(&mut answer).await?;
        Ok(serde_json::from_slice(&answer)?)
    }
}
