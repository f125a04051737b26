//! What people do, on a fresh server: they follow README, click through Swagger UI, run the demo and end it with Ctrl-C.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    browser::Browser,
    cluster_of_two::{Built, Pair},
    foreign,
    process::{Process, until},
    readme, root, target, tls,
};

/// One promise, kept or broken, with a folder of its own.
type Story = fn(&Built, &Path) -> Result<()>;

/// Runs the stories; how many promises held.
pub(crate) fn run(built: &Built, directory: &Path) -> Vec<(&'static str, Result<()>)> {
    let stories: [(&'static str, Story); 7] = [
        ("README's curl lines give what README shows", walk),
        ("README lets people in, each as far as their token says", crate::access::walk),
        ("Swagger UI calls for whom it was authorised", crate::access::swagger),
        ("docs/tls.md leads to a task over certificates, which are renewed meanwhile", tls::walk),
        ("Swagger UI can be tried out in a real browser", swagger),
        ("a page of another origin neither changes nor reads anything, in a real browser", foreign::page),
        ("the demo shows its results, and Ctrl-C leaves nothing behind", demo),
    ];
    let mut outcomes = Vec::new();
    for (number, (name, story)) in stories.into_iter().enumerate() {
        let home = directory.join(number.to_string());
        let outcome = std::fs::create_dir_all(&home).map_err(Into::into).and_then(|()| story(built, &home));
        eprintln!("  {} {name}", if outcome.is_ok() { "ok  " } else { "FAIL" });
        outcomes.push((name, outcome));
    }
    outcomes
}

fn walk(built: &Built, home: &Path) -> Result<()> {
    let mut pair = Pair::start(built, home, None, (0, 0))?;
    let address = format!("127.0.0.1:{}", pair.http_port());
    // README starts the agent once its cluster, token and templates are declared.
    readme::walk(&root().join("README.md"), &[("localhost:8099", address)], |block| {
        if block == 2 { pair.start_agent() } else { Ok(()) }
    })
}

fn swagger(built: &Built, home: &Path) -> Result<()> {
    let pair = Pair::start(built, home, None, (0, 0))?;
    let browser = Browser::start(home)?;
    browser.open(&format!("{}/swagger/index.html", pair.base()))?;
    let operation = "#operations-cluster-create_cluster";
    browser.click(&format!("{operation} .opblock-summary-control"))?;
    browser.click(&format!("{operation} .try-out__btn"))?;
    browser.click(&format!("{operation} .execute"))?;
    let status = browser.text(&format!("{operation} .live-responses-table .response .response-col_status"))?;
    ensure!(status.trim().starts_with("200"), "the example that Swagger UI shows was answered with {status:?}");
    let clusters = pair.get("/api/v1/cluster")?;
    ensure!(clusters.as_array().is_some_and(|all| all.len() == 1), "Swagger UI's call declared no cluster: {clusters}");
    Ok(())
}

fn demo(_: &Built, home: &Path) -> Result<()> {
    // The tests have built this program anew since it was started.
    let program = target().join("debug/xtask");
    let mut demo = Process::start("demo", Command::new(program).arg("demo").current_dir(root()), home)?;
    until("the demo shows its results", Duration::from_secs(300), || {
        let said = demo.said();
        ensure!(said.contains("Ctrl-C"), "it said {said}");
        Ok(())
    })?;
    let said = demo.said();
    for shown in
        [r#""hello world""#, "[1,4,9,16,25]", r#"{"value1":"foo","value2":"bar"}"#, "/swagger/index.html", "/metrics"]
    {
        ensure!(said.contains(shown), "the demo does not show {shown}: {said}");
    }
    let children = children(demo.id())?;
    ensure!(children.len() >= 2, "the demo runs a server and an agent, not {children:?}");
    let id = i32::try_from(demo.id()).ok().and_then(Pid::from_raw).context("no process id")?;
    kill_process(id, Signal::INT)?;
    let status = demo.ended_within(Duration::from_secs(60))?.context("the demo did not end after Ctrl-C")?;
    ensure!(status.success(), "it ended with {status}: {}", demo.said());
    let left: Vec<u32> = children.into_iter().filter(|child| Path::new(&format!("/proc/{child}")).exists()).collect();
    ensure!(left.is_empty(), "processes {left:?} outlive the demo");
    Ok(())
}

/// The processes that a process has started.
fn children(parent: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process that ended meanwhile has no parent any more.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let of = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        if of == Some(parent) {
            found.push(id);
        }
    }
    Ok(found)
}
