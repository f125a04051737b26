//! `demo`: the README's walk, through real HTTP.

use std::sync::mpsc;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::cluster_of_two::{Built, CLUSTER, Pair, examples};

pub(crate) fn run(exit: bool) -> Result<()> {
    let (interrupt, interrupted) = mpsc::channel();
    ctrlc::set_handler(move || {
        // The receiver is gone only when the demo is about to leave anyway.
        let _ = interrupt.send(());
    })?;
    let built = Built::for_demo()?;
    let directory = tempfile::tempdir()?;
    let mut pair = Pair::start(&built, directory.path(), None, (8099, 18099))?;
    println!("server     {} (SQLite in {})", pair.base(), directory.path().display());
    pair.prints = true;
    pair.declare()?;
    pair.start_agent()?;
    println!("agent      of cluster {CLUSTER}, with the plugins in {}\n", built.plugins.display());
    for (name, _, inputs, expected) in examples() {
        let uuid = pair.create(name, &inputs)?;
        pair.ended(&uuid)?;
        let result = pair.get(&format!("/api/v1/cluster/{CLUSTER}/service/{uuid}/result"))?;
        let text = result.get("result").and_then(Value::as_str).unwrap_or_default();
        println!("GET  /api/v1/cluster/{CLUSTER}/service/{uuid}/result\n     {text}\n");
        if text != expected {
            bail!("{name} gave {text}, not {expected}");
        }
    }
    println!("Swagger UI {}/swagger/index.html\nmetrics    {}/metrics", pair.base(), pair.base());
    if !exit {
        println!("Ctrl-C ends server and agent.");
        interrupted.recv()?;
    }
    if let Some(mut agent) = pair.agent.take() {
        agent.stop()?;
    }
    pair.server.stop()?;
    println!("stopped.");
    Ok(())
}
