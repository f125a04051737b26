//! Workers that are kept warm, and killed and replaced when they overrun.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use claiflow_flow::{Expression, read_json};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::{
    fault::Fault,
    message::{Request, VALUES_BYTES},
    process::Worker,
};

/// Expressions that one caller may have evaluated before others get their turn.
const ROUND: usize = 32;

/// A few jq workers. Cheap to clone.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    program: PathBuf,
    idle: Mutex<Vec<Worker>>,
    permits: Semaphore,
}

impl Pool {
    /// Workers are started with the first expression. `program` calls [`crate::serve`] when its first argument is
    /// `jq-worker`.
    #[must_use]
    pub fn new(program: PathBuf, workers: usize) -> Self {
        Self(Arc::new(Inner { program, idle: Mutex::default(), permits: Semaphore::new(workers.max(1)) }))
    }

    /// Evaluates expressions in order. Each has its own outcome, also where another one kills its worker: the value of
    /// its first output that is not null (or null), or why there is none.
    pub async fn evaluate(&self, expressions: Vec<Expression>) -> Vec<Result<Value, Fault>> {
        let requests = expressions.into_iter().map(|Expression { id, program, input, variables }| Request {
            id,
            program,
            input,
            variables,
            check: false,
        });
        let outcomes = self.ask(&requests.collect::<Vec<_>>()).await;
        outcomes.into_iter().map(|outcome| outcome.and_then(|text| json(&text))).collect()
    }

    /// Whether an expression parses and uses only what is available.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn check(&self, program: &str, variables: &[&str]) -> Result<(), Fault> {
        let null = "null".to_owned();
        let variables = variables.iter().map(|name| ((*name).to_owned(), null.clone())).collect();
        let request = Request { id: 0, program: program.to_owned(), input: null, variables, check: true };
        self.ask(&[request]).await.pop().unwrap_or_else(|| Ok(String::new())).map(drop)
    }

    async fn ask(&self, requests: &[Request]) -> Vec<Result<String, Fault>> {
        let mut outcomes = Vec::with_capacity(requests.len());
        while let Some((first, rest)) = requests.get(outcomes.len()..).and_then(<[_]>::split_first) {
            if !first.fits() {
                let message = format!("the values that the expression reads exceed {VALUES_BYTES} bytes");
                outcomes.push(Err(Fault::Expression(message)));
                continue;
            }
            let fitting = 1 + rest.iter().take_while(|request| request.fits()).take(ROUND - 1).count();
            let round = requests.iter().skip(outcomes.len()).take(fitting);
            if let Err(message) = self.round(round.collect(), &mut outcomes).await {
                // Without a worker, none of the others has an answer either.
                outcomes.resize(requests.len(), Err(Fault::Evaluator(message)));
            }
        }
        outcomes
    }

    /// Evaluates until the end, or until an expression ends its worker; at least one gets its outcome.
    ///
    /// # Errors
    /// There is no worker.
    async fn round(&self, requests: Vec<&Request>, outcomes: &mut Vec<Result<String, Fault>>) -> Result<(), String> {
        let _permit = self.0.permits.acquire().await.map_err(|_| "the evaluator has stopped".to_owned())?;
        let mut worker = match self.idle() {
            Some(worker) => worker,
            None => Worker::start(&self.0.program).await?,
        };
        match worker.ask(&requests, |outcome| outcomes.push(outcome.map_err(Fault::Expression))).await {
            Ok(()) => self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker),
            Err(failure) => {
                outcomes.push(Err(failure.fault()));
                worker.end().await.map_err(|error| format!("the evaluator cannot be ended: {error}"))?;
            }
        }
        Ok(())
    }

    fn idle(&self) -> Option<Worker> {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut worker) = idle.pop() {
            if worker.is_alive() {
                return Some(worker);
            }
        }
        None
    }
}

/// What jaq wrote, as JSON.
fn json(text: &str) -> Result<Value, Fault> {
    read_json(text).map_err(|error| {
        Fault::Expression(format!(
            "the output is not JSON (a number may be infinite, a key no text, or the nesting too deep): {error}"
        ))
    })
}
