//! What a web page of somebody else can do to a server that asks nobody who they are: nothing. Shown in a real browser.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{
    browser::Browser,
    cluster_of_two::{Built, CLUSTER, Pair},
};

const PAGE: &str = include_str!("foreign.html");
const ATTEMPTS: &str = include_str!("foreign.js");
/// A site whose name leads to this machine, as anybody's name can.
const SITE: &str = "evil.test";
const THEIRS: &str = "000000000000000000000000000000ee";
/// Stands in what the API answers to its own, and so in nothing that another page reads.
const MARK: &str = "only for our own";

/// The promise.
pub(crate) fn page(built: &Built, home: &Path) -> Result<()> {
    let pair = Pair::start(built, home, None, (0, 0))?;
    pair.post("/api/v1/cluster", &json!({"uuid": CLUSTER, "name": MARK}))?;
    let flow = json!([{"$id": "a", "$command": "helloworld"}]);
    pair.post("/api/v1/template", &json!({"uuid": "t", "name": "t", "flow": flow}))?;
    let task = pair.create("t", &json!({}))?;
    let before = state(&pair, &task)?;

    let rules = format!("--host-resolver-rules=MAP {SITE} 127.0.0.1");
    // Names of the outside are not looked up.
    let browser = Browser::start_with(home, &[&rules, "--disable-popup-blocking"])?;
    let port = serve_page()?;
    let cancel = format!("/api/v1/cluster/{CLUSTER}/service/{task}/cancel");
    for page in [format!("http://127.0.0.1:{port}/"), format!("http://{SITE}:{port}/")] {
        for host in ["127.0.0.1", "localhost"] {
            browser.open(&page)?;
            let api = format!("http://{host}:{}", pair.http_port());
            let argument = json!({"api": api, "uuid": THEIRS, "ours": CLUSTER, "cancel": cancel});
            let seen = browser.script(ATTEMPTS, &argument)?;
            let attempts = seen.as_object().context("the page tried nothing")?;
            ensure!(attempts.len() >= 17, "{page}: the page did not try all that it can: {seen}");
            for (name, outcome) in attempts {
                let text = outcome.as_str().unwrap_or_default();
                let is_harmless = !text.contains(MARK)
                    && !text.starts_with("read ")
                    && !["opened", "loaded"].contains(&text)
                    && !text.starts_with("cors")
                    && !text.starts_with("basic");
                ensure!(is_harmless, "{page} on {api}: {name}: {text}");
            }
            let after = state(&pair, &task)?;
            ensure!(before == after, "{page} on {api} changed {before} to {after}: {seen}");
        }
    }
    rebound(&pair, &browser)?;
    ensure!(before == state(&pair, &task)?, "a name that leads here changed something");
    // What it all was about is still possible for a page of the server's own.
    browser.open(&format!("{}/swagger/index.html", pair.base()))?;
    let own = browser.script("return await (await fetch('/api/v1/cluster')).text();", &Value::Null)?;
    ensure!(own.as_str().is_some_and(|text| text.contains(MARK)), "a page of its own reads {own}");
    Ok(())
}

/// All that an attack could have changed.
fn state(pair: &Pair<'_>, task: &str) -> Result<Value> {
    let clusters = pair.get("/api/v1/cluster")?;
    let task = pair.get(&format!("/api/v1/cluster/{CLUSTER}/service/{task}"))?;
    Ok(json!({"clusters": clusters, "state": task.get("state"), "templates": pair.get("/api/v1/template")?}))
}

/// A site whose name leads to the API itself: its pages and the API's are one origin then.
fn rebound(pair: &Pair<'_>, browser: &Browser) -> Result<()> {
    browser.open(&format!("http://{SITE}:{}/api/v1/cluster", pair.http_port()))?;
    let script = "
        const body = JSON.stringify({uuid: argument, name: 'theirs'});
        const headers = {'content-type': 'application/json'};
        const read = async (answer) => `${answer.status} ${await answer.text()}`;
        return [
          `200 ${document.body.innerText}`,
          await read(await fetch('/api/v1/cluster')),
          await read(await fetch('/api/v1/cluster', {method: 'POST', headers, body})),
        ];";
    let seen = browser.script(script, &json!(THEIRS))?;
    let answers = seen.as_array().context("the page tried nothing")?;
    ensure!(answers.len() == 3, "{seen}");
    for (number, answer) in answers.iter().enumerate() {
        let text = answer.as_str().unwrap_or_default();
        ensure!(!text.contains(MARK), "a page of {SITE} reads {text}");
        ensure!(number == 0 || text.starts_with("403"), "a page of {SITE} is answered with {text}");
    }
    Ok(())
}

/// Serves the page on a port of its own for as long as this process runs.
fn serve_page() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A browser opens connections that it does not use.
            thread::spawn(move || answer(stream));
        }
    });
    Ok(port)
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut request = [0; 16_384];
    let length = stream.read(&mut request)?;
    if length > 0 {
        let size = PAGE.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n{PAGE}"
        )?;
    }
    Ok(())
}
