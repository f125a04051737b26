//! One exchange of a story, as data: what is sent, and what the answer must be.

use std::collections::BTreeMap;

use axum::{body::Body, http::Request};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    agent::Agent,
    server::{Answer, Server},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    /// What is shown, a sentence.
    pub(crate) name: String,
    /// What an agent says before.
    agent: Option<Agent>,
    /// Method and path.
    send: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// A JSON body.
    body: Option<Value>,
    /// A body that is sent as it stands.
    text: Option<String>,
    status: u16,
    /// JSON pointer into the answer, and its value there.
    #[serde(default)]
    has: BTreeMap<String, Value>,
    /// JSON pointers that lead nowhere.
    #[serde(default)]
    lacks: Vec<String>,
    /// Words somewhere in the answer.
    #[serde(default)]
    says: Vec<String>,
    /// Header, and words in it; no words: it is absent.
    #[serde(default)]
    answers: BTreeMap<String, String>,
}

impl Exchange {
    pub(crate) async fn run(&self, server: &Server) {
        if let Some(agent) = &self.agent {
            agent.speak(server).await;
        }
        let (method, path) = self.send.split_once(' ').unwrap();
        let body = self.text.clone().or_else(|| self.body.as_ref().map(Value::to_string)).unwrap_or_default();
        let mut request = Request::builder().method(method).uri(path);
        if !body.is_empty() {
            request = request.header("content-length", body.len());
            if !self.headers.contains_key("content-type") {
                request = request.header("content-type", "application/json");
            }
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let answer = server.send(request.body(Body::from(body)).unwrap()).await;
        self.check(&answer);
    }

    fn check(&self, answer: &Answer) {
        let what =
            format!("{}: {} was answered {} {:?} {}", self.name, self.send, answer.status, answer.headers, answer.text);
        assert_eq!(answer.status, self.status, "{what}");
        assert!(!answer.header("x-request-id").is_empty(), "no request id: {what}");
        if self.status >= 400 {
            assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
            let problem = answer.json();
            assert_eq!(problem["request_id"], answer.header("x-request-id"), "{what}");
            assert_eq!((&problem["status"], &problem["code"]), (&self.status.into(), &self.status.into()), "{what}");
            assert_eq!(problem["message"], problem["detail"], "{what}");
        }
        for (pointer, value) in &self.has {
            assert_eq!(answer.json().pointer(pointer), Some(value), "{pointer}: {what}");
        }
        for pointer in &self.lacks {
            assert_eq!(answer.json().pointer(pointer), None, "{pointer}: {what}");
        }
        for words in &self.says {
            assert!(answer.text.contains(words.as_str()), "{words}: {what}");
        }
        for (name, words) in &self.answers {
            let header = answer.header(name);
            assert!(
                if words.is_empty() { header.is_empty() } else { header.contains(words.as_str()) },
                "{name}: {what}"
            );
        }
    }
}
