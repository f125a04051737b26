//! A real browser without a window, driven through chromedriver (W3C WebDriver over HTTP).

use std::{env, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::process::{Process, free_port, until};

/// One browser with one page; ends when dropped.
pub(crate) struct Browser {
    session: String,
    http: ureq::Agent,
    _driver: Process,
}

impl Browser {
    /// Starts chromedriver and a browser whose profile lives in `directory`.
    ///
    /// Fails when either is missing; `CHROMEDRIVER_BIN` names another driver.
    pub(crate) fn start(directory: &Path) -> Result<Self> {
        Self::start_with(directory, &[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(directory: &Path, more: &[&str]) -> Result<Self> {
        let port = free_port(0)?;
        let program = env::var("CHROMEDRIVER_BIN").unwrap_or_else(|_| "chromedriver".into());
        let mut command = Command::new(program);
        command.arg(format!("--port={port}"));
        let driver = Process::start("chromedriver", &mut command, directory)
            .context("a browser is missing: apt-get install chromium chromium-driver")?;
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60)));
        let mut browser =
            Self { session: format!("http://127.0.0.1:{port}/session"), http: config.build().into(), _driver: driver };
        let profile = directory.join("profile");
        // A sandbox of its own needs rights that test machines do not give; the only page that is opened is our own.
        let profile = format!("--user-data-dir={}", profile.display());
        let mut arguments = vec![
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-sync",
            "--disable-background-networking",
            "--disable-component-update",
            "--window-size=1200,900",
            &profile,
        ];
        arguments.extend(more);
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}});
        let session = until("the browser starts", Duration::from_secs(60), || browser.post("", &wanted))?;
        let id = session.get("sessionId").and_then(Value::as_str).context("chromedriver gave no session")?;
        browser.session = format!("{}/{id}", browser.session);
        Ok(browser)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let mut response = self.http.post(format!("{}{path}", self.session)).send(body.to_string())?;
        value(response.body_mut().read_to_string()?)
    }

    pub(crate) fn open(&self, url: &str) -> Result<()> {
        self.post("/url", &json!({"url": url})).map(drop)
    }

    /// Runs the body of an async function in the page, with `argument` as `arguments[0]`; what it returns.
    pub(crate) fn script(&self, body: &str, argument: &Value) -> Result<Value> {
        let script = format!(
            "const done = arguments[arguments.length - 1]; const argument = arguments[0]; (async () => {{ {body} }})().then(done, (error) => done({{failed: String(error)}}));"
        );
        self.post("/execute/async", &json!({"script": script, "args": [argument]}))
    }

    fn element(&self, css: &str) -> Result<String> {
        let found = self.post("/element", &json!({"using": "css selector", "value": css}))?;
        let id = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
        id.map(str::to_owned).ok_or_else(|| anyhow!("no element `{css}`"))
    }

    /// Clicks the first element that the selector finds, once it is there.
    pub(crate) fn click(&self, css: &str) -> Result<()> {
        until(&format!("`{css}` can be clicked"), Duration::from_secs(20), || {
            let element = self.element(css)?;
            self.post(&format!("/element/{element}/click"), &json!({})).map(drop)
        })
    }

    /// Types into the first element that the selector finds, once it is there.
    pub(crate) fn write(&self, css: &str, text: &str) -> Result<()> {
        until(&format!("`{css}` can be written to"), Duration::from_secs(20), || {
            let element = self.element(css)?;
            self.post(&format!("/element/{element}/value"), &json!({"text": text})).map(drop)
        })
    }

    /// The text of the first element that the selector finds, once it is there.
    pub(crate) fn text(&self, css: &str) -> Result<String> {
        until(&format!("`{css}` is there"), Duration::from_secs(20), || {
            let element = self.element(css)?;
            let mut response = self.http.get(format!("{}/element/{element}/text", self.session)).call()?;
            let text = value(response.body_mut().read_to_string()?)?;
            text.as_str().map(str::to_owned).context("a text that is none")
        })
    }
}

fn value(text: String) -> Result<Value> {
    let answer: Value = serde_json::from_str(&text).with_context(|| format!("chromedriver said {text:?}"))?;
    let value = answer.get("value").cloned().unwrap_or_default();
    match value.get("error") {
        Some(error) => bail!("{error}: {}", value.get("message").unwrap_or(&Value::Null)),
        None => Ok(value),
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Err(error) = self.http.delete(&self.session).call() {
            eprintln!("the browser was not closed: {error}");
        }
    }
}
