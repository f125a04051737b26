//! What people say to a server, over REST.

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

/// A server that is away answers nothing within this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Calls one server, which may be away.
#[derive(Clone)]
pub(super) struct Caller {
    agent: ureq::Agent,
    base: String,
}

impl Caller {
    pub(super) fn new(port: u16) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        Self { agent: config.into(), base: format!("http://127.0.0.1:{port}") }
    }

    /// The status and the JSON body; an error when there was no answer.
    pub(super) fn get(&self, path: &str) -> Result<(u16, Value)> {
        let mut response = self.agent.get(format!("{}{path}", self.base)).call()?;
        let text = response.body_mut().read_to_string()?;
        Ok((response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// As [`Caller::get`].
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        let request = self.agent.post(format!("{}{path}", self.base)).header("content-type", "application/json");
        let mut response = request.send(body.to_string())?;
        let text = response.body_mut().read_to_string()?;
        Ok((response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// A POST that must be answered with 200.
    pub(super) fn store(&self, path: &str, body: &Value) -> Result<Value> {
        match self.post(path, body)? {
            (200, answer) => Ok(answer),
            (status, answer) => bail!("POST {path}: {status} {answer}"),
        }
    }

    /// A counter of `/metrics`; 0 where it is not told.
    pub(super) fn counter(&self, name: &str) -> u64 {
        let text = match self.get("/metrics") {
            Ok((200, Value::String(text))) => text,
            _ => return 0,
        };
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
    }
}
