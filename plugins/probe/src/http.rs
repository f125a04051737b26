//! Requests over HTTP.

use std::{collections::BTreeMap, time::Duration};

use claiflow_sdk::{Error, http::Request};
use serde::Deserialize;
use serde_json::{Value, json};

/// How much of a body is answered.
const BODY_MAX_CHARS: usize = 2_000;

/// One request.
#[derive(Deserialize)]
pub(crate) struct Http {
    #[serde(default = "get")]
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    credential: Option<String>,
    timeout_ms: Option<u64>,
    #[serde(default)]
    stay: bool,
}

fn get() -> String {
    "GET".to_owned()
}

impl Http {
    pub(crate) fn make(self) -> Result<Value, Error> {
        let mut request = Request::new(self.method, self.url).body(self.body);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(name) = &self.credential {
            request = request.credential(name);
        }
        if let Some(timeout_ms) = self.timeout_ms {
            request = request.timeout(Duration::from_millis(timeout_ms));
        }
        if self.stay {
            request = request.no_redirects();
        }
        let answer = request.send()?;
        let headers: BTreeMap<_, _> =
            answer.headers.iter().map(|(name, value)| (name, String::from_utf8_lossy(value))).collect();
        let body: String = String::from_utf8_lossy(&answer.body).chars().take(BODY_MAX_CHARS).collect();
        Ok(json!({"status": answer.status, "headers": headers, "bytes": answer.body.len(), "body": body}))
    }
}

/// Their handles are kept, so that only the end of the call ends them.
#[cfg(target_family = "wasm")]
pub(crate) fn abandon(url: &str, times: usize) -> Result<Value, Error> {
    use claiflow_sdk::guest::wasi::http::{
        outgoing_handler::{OutgoingRequest, handle},
        types::{Fields, Scheme},
    };
    let authority = url.strip_prefix("http://").ok_or_else(|| Error::invalid("the URL begins with http://"))?;
    let mut begun = 0;
    for _ in 0..times {
        let request = OutgoingRequest::new(Fields::new());
        let set = request.set_scheme(Some(&Scheme::Http)).and_then(|()| request.set_authority(Some(authority)));
        set.map_err(|()| Error::invalid("the URL cannot be sent"))?;
        if let Ok(future) = handle(request, None) {
            std::mem::forget(future);
            begun += 1;
        }
    }
    Ok(json!(begun))
}

/// Only a sandbox can be left.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn abandon(_: &str, _: usize) -> Result<Value, Error> {
    Err(Error::failed("nothing is abandoned in a test"))
}
