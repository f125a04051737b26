//! Servers that answer what a test says.

use std::{cell::RefCell, collections::VecDeque, marker::PhantomData, time::Duration};

use crate::{Error, http::Request};

/// A request that a command sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Upper-case.
    pub method: String,
    /// As it was asked for.
    pub url: String,
    /// Lower-case name and value.
    pub headers: Vec<(String, Vec<u8>)>,
    /// What was sent.
    pub body: Vec<u8>,
    /// How long each step may take, where the command said so.
    pub timeout: Option<Duration>,
}

impl Sent {
    /// The first value of a header, where that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        std::str::from_utf8(value).ok()
    }
}

struct Scripted {
    method: String,
    url: String,
    answer: Result<Answer, Error>,
}

type Answer = (u16, Vec<(String, Vec<u8>)>, Vec<u8>);

#[derive(Default)]
struct Script {
    answers: VecDeque<Scripted>,
    sent: Vec<Sent>,
}

thread_local! {
    static WEB: RefCell<Option<Script>> = const { RefCell::new(None) };
}

/// What this thread's commands reach over HTTP, until it is dropped. What no answer was given for is `denied`, as without a
/// grant.
#[derive(Debug)]
pub struct Web {
    /// It is of one thread.
    thread: PhantomData<*const ()>,
}

impl Default for Web {
    fn default() -> Self {
        Self::new()
    }
}

impl Web {
    /// One that answers nothing.
    pub fn new() -> Self {
        WEB.set(Some(Script::default()));
        Self { thread: PhantomData }
    }

    /// The next request of that method and URL gets this answer; the last one given is answered again and again.
    pub fn answers(&self, method: &str, url: &str, status: u16, body: impl Into<Vec<u8>>) {
        self.answers_with(method, url, status, &[], body);
    }

    /// The same with headers.
    pub fn answers_with(
        &self,
        method: &str,
        url: &str,
        status: u16,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) {
        let headers = headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_bytes().to_vec()));
        self.script(method, url, Ok((status, headers.collect(), body.into())));
    }

    /// The next request of that method and URL fails.
    pub fn fails(&self, method: &str, url: &str, error: Error) {
        self.script(method, url, Err(error));
    }

    /// The requests so far.
    pub fn sent(&self) -> Vec<Sent> {
        WEB.with_borrow(|script| script.as_ref().map(|script| script.sent.clone()).unwrap_or_default())
    }

    fn script(&self, method: &str, url: &str, answer: Result<Answer, Error>) {
        let scripted = Scripted { method: method.to_owned(), url: url.to_owned(), answer };
        WEB.with_borrow_mut(|script| script.get_or_insert_default().answers.push_back(scripted));
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        WEB.set(None);
    }
}

pub(crate) fn send(request: &Request) -> Result<Answer, Error> {
    let Request { method, url, headers, body, timeout, .. } = request;
    WEB.with_borrow_mut(|script| {
        let denied = || Error::new("denied", format!("the plugin may not send {method} to {url}"));
        let script = script.as_mut().ok_or_else(denied)?;
        let (method, url) = (method.clone(), url.clone());
        script.sent.push(Sent {
            method: method.clone(),
            url: url.clone(),
            headers: headers.clone(),
            body: body.clone(),
            timeout: *timeout,
        });
        let fits = |scripted: &Scripted| scripted.method == method && scripted.url == url;
        let at = script.answers.iter().position(fits).ok_or_else(denied)?;
        let is_last = script.answers.iter().filter(|scripted| fits(scripted)).count() == 1;
        let answer = script.answers.get(at).map(|scripted| scripted.answer.clone()).ok_or_else(denied)?;
        if !is_last {
            script.answers.remove(at);
        }
        answer
    })
}
