//! End to end, with real processes: what a user does, what a user does wrong, and processes that are killed.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{
    cluster_of_two::{Built, CLUSTER, Pair, examples},
    database::MariaDb,
    process::Process,
    stories::stories,
    wishes,
};

/// One promise, kept or broken on a server with its agent.
type Story = fn(&mut Pair<'_>) -> Result<()>;

/// Runs all stories on one engine; how many promises held.
pub(crate) fn run(built: &Built, directory: &Path, database: Option<&MariaDb>) -> Vec<(&'static str, Result<()>)> {
    let engine = if database.is_some() { "MariaDB" } else { "SQLite" };
    eprintln!("→ end to end on {engine}");
    let mut pair = match Pair::start(built, directory, database, (0, 0)).and_then(|pair| pair.declare().map(|()| pair))
    {
        Ok(pair) => pair,
        Err(error) => return vec![("server and database start", Err(error))],
    };
    let stories: [(&'static str, Story); 12] = [
        ("an agent with a wrong token exits with 1 and says so", wrong_token),
        ("tasks that were created before the agent came run when it comes", examples_run),
        ("every story of examples/ gives what it says", examples_told),
        ("a hostile command fails its own task with the reason, and the agent goes on", hostile),
        ("bad input gets a clear answer", bad_input),
        ("predefined templates come with the server, and stay as people left them", predefined),
        ("the same uuid and request give the stored answer, another request a conflict", repeated),
        ("a running task is cancelled, a final one stays, and the caller is told", wishes::cancel),
        ("a paused task stops before its next step and goes on from there", wishes::pause),
        ("what happens to a task is told as it happens", wishes::follow),
        ("a killed agent loses no task", agent_killed),
        ("a killed server loses no task", server_killed),
    ];
    stories
        .into_iter()
        .map(|(name, story)| {
            let outcome = story(&mut pair).with_context(|| format!("server said:\n{}", tail(&pair.server)));
            eprintln!("  {} {engine}: {name}", if outcome.is_ok() { "ok  " } else { "FAIL" });
            (name, outcome)
        })
        .collect()
}

fn tail(process: &Process) -> String {
    let said = process.said();
    let lines: Vec<&str> = said.lines().collect();
    lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n")
}

fn wrong_token(pair: &mut Pair<'_>) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut agent = Process::start("stranger", &mut pair.agent_command("SOMETHING_ELSE"), directory.path())?;
    let status = agent.ended_within(Duration::from_secs(60))?.context("the agent did not exit")?;
    let said = agent.said();
    ensure!(status.code() == Some(1), "it ended with {status}");
    ensure!(said.contains("--token"), "it said {said}");
    ensure!(!said.contains("SOMETHING_ELSE"), "the token is in its log");
    Ok(())
}

fn examples_run(pair: &mut Pair<'_>) -> Result<()> {
    let mut created = Vec::new();
    for (name, _, inputs, expected) in examples() {
        created.push((pair.create(name, &inputs)?, expected));
    }
    pair.start_agent()?;
    for (uuid, expected) in created {
        pair.ended(&uuid)?;
        let result = pair.get(&format!("/api/v1/cluster/{CLUSTER}/service/{uuid}/result"))?;
        ensure!(result.get("result") == Some(&json!(expected)), "{result} is not {expected}");
    }
    // Two steps: registered, sent, and two rows a step.
    let uuid = pair.create("example_pass_val", &json!({"input1": 1, "input2": [2]}))?;
    let task = pair.ended(&uuid)?;
    let statuses: Vec<(i64, i64)> = task
        .get("statuses")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|row| {
            (
                row.get("step_seq").and_then(Value::as_i64).unwrap_or(-1),
                row.get("status").and_then(Value::as_i64).unwrap_or(-1),
            )
        })
        .collect();
    ensure!(statuses == [(0, 0), (0, 1), (0, 2), (0, 2), (1, 2), (1, 4)], "the statuses are {statuses:?}");
    let alive = pair.get(&format!("/api/v1/cluster/{CLUSTER}/session/alive"))?;
    ensure!(alive.get("alive") == Some(&json!(true)), "{alive}");
    Ok(())
}

fn examples_told(pair: &mut Pair<'_>) -> Result<()> {
    // Those that need a cluster are told on one.
    for story in stories()?.into_iter().filter(|story| story.ground.is_none()) {
        match (story.sql.as_slice(), pair.database) {
            ([], _) => {}
            (files, Some(database)) => files.iter().try_for_each(|file| database.type_in(file))?,
            (_, None) => continue,
        }
        for template in &story.templates {
            pair.post("/api/v1/template", template)?;
        }
        for (request, expected) in &story.tasks {
            let created = pair.post("/api/v1/service", request)?;
            let uuid = created.pointer("/0/uuid").and_then(Value::as_str).context("no uuid in the answer")?;
            pair.ended(uuid)?;
            let answer = pair.get(&format!("/api/v1/cluster/{CLUSTER}/service/{uuid}/result"))?;
            let result: Value = serde_json::from_str(answer.get("result").and_then(Value::as_str).unwrap_or_default())?;
            ensure!(result == *expected, "{}: {request} gave {result}, not {expected}", story.name);
        }
    }
    Ok(())
}

fn hostile(pair: &mut Pair<'_>) -> Result<()> {
    for (command, reason) in
        [("trap", "trap"), ("eat", "memory"), ("recurse", "trapped"), ("spin", "CPU"), ("large", "")]
    {
        let name = format!("hostile_{command}");
        let flow = json!([{"$id": "a", "$command": format!("hostile.{command}"), "inputs": "$inputs"}]);
        pair.post("/api/v1/template", &json!({"uuid": name, "name": name, "flow": flow}))?;
        let uuid = pair.create(&name, &json!({}))?;
        let task = pair.ended(&uuid)?;
        let error = task.get("error").and_then(Value::as_str).unwrap_or_default().to_lowercase();
        ensure!(task.get("state") == Some(&json!("failed")), "{task}");
        ensure!(!error.is_empty() && error.contains(&reason.to_lowercase()), "{name} says {error:?}");
    }
    let uuid = pair.create("example_simple", &json!({"name": "again"}))?;
    let task = pair.ended(&uuid)?;
    ensure!(task.pointer("/results/0/result") == Some(&json!("\"hello again\"")), "{task}");
    Ok(())
}

fn bad_input(pair: &mut Pair<'_>) -> Result<()> {
    let schema = json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}});
    let flow = json!([{"$id": "a", "$command": "helloworld", "inputs": "$inputs"}]);
    pair.post("/api/v1/template", &json!({"uuid": "strict", "name": "strict", "flow": flow, "inputs": schema}))?;
    let service = |template: &str, cluster: &str, inputs: Value| {
        json!({"template_uuid": template, "cluster_uuids": [cluster], "inputs": inputs}).to_string()
    };
    let template = |flow: Value| json!({"uuid": "bad", "name": "bad", "flow": flow}).to_string();
    // So little over the limit that it is all on its way before the server answers.
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(4 << 20));
    let cases = [
        ("/api/v1/cluster", "{".to_owned(), 400, "JSON"),
        ("/api/v1/cluster", "{}".into(), 400, "`name`"),
        ("/api/v1/cluster", r#"{"name":5}"#.into(), 400, "string"),
        ("/api/v1/cluster", r#"{"name":"a","uuid":"zz"}"#.into(), 400, "32 hexadecimal"),
        ("/api/v1/cluster", format!(r#"{{"name":"other","uuid":"{CLUSTER}"}}"#), 409, "exists"),
        ("/api/v1/cluster", large, 413, "bytes"),
        (
            "/api/v1/cluster_token",
            r#"{"name":"a","cluster_uuid":"ffffffffffffffffffffffffffffffff"}"#.into(),
            404,
            "no cluster",
        ),
        ("/api/v1/service", service("nothing", CLUSTER, json!({})), 404, "no template"),
        (
            "/api/v1/service",
            service("strict", "ffffffffffffffffffffffffffffffff", json!({"name": "a"})),
            404,
            "no cluster",
        ),
        ("/api/v1/service", service("strict", CLUSTER, json!({"name": 5})), 422, "/inputs/name"),
        ("/api/v1/service", service("strict", CLUSTER, json!({})), 422, "name"),
        ("/api/v1/service", r#"{"template_uuid":"strict"}"#.into(), 400, "cluster_uuids"),
        ("/api/v1/template", template(json!([])), 422, "no step"),
        ("/api/v1/template", template(json!({"a": 1})), 422, "array of steps"),
        (
            "/api/v1/template",
            template(json!([{"$id": "a", "$command": "c", "inputs": {"x": "$inputs | env"}}])),
            422,
            "/flow/0/inputs/x",
        ),
        (
            "/api/v1/template",
            template(json!([{"$id": "a", "$command": "c", "inputs": {"x": "$b.outputs"}}])),
            422,
            "/flow/0/inputs/x",
        ),
    ];
    for (path, body, status, says) in cases {
        let (found, answer) = pair.call("POST", path, Some(&body))?;
        let shown: String = body.chars().take(120).collect();
        ensure!(found == status, "POST {path} {shown}: {found} {answer}, not {status}");
        ensure!(answer.to_string().contains(says), "POST {path} {shown}: {answer} does not say {says:?}");
    }
    let killer = json!([{"$id": "a", "$command": "helloworld", "inputs": {"name": "$inputs | def f: 1 + f; f"}}]);
    pair.post("/api/v1/template", &json!({"uuid": "killer", "name": "killer", "flow": killer}))?;
    let uuid = pair.create("killer", &json!({}))?;
    let task = pair.ended(&uuid)?;
    ensure!(task.get("state") == Some(&json!("failed")), "{task}");
    let (status, _) = pair.call("GET", &format!("/api/v1/cluster/{CLUSTER}/service/{uuid}/result"), None)?;
    ensure!(status == 404, "the result of a failed task is answered with {status}");
    Ok(())
}

fn predefined(pair: &mut Pair<'_>) -> Result<()> {
    const EXEC: &str = "00000000000000000000000000000035";
    const REBOUNCE: &str = "99990000000000000000000000000001";
    let count = |pair: &Pair<'_>, query: &str| -> Result<usize> {
        let list = pair.get(&format!("/api/v1/template?{query}"))?;
        Ok(list.as_array().context("a list is an array")?.len())
    };
    ensure!(count(pair, "origin=predefined")? == 229 && count(pair, "origin=predefined&limit=100")? == 100);
    ensure!(count(pair, "origin=system")? == 6);
    let task = |inputs: Value| json!({"template_uuid": EXEC, "cluster_uuids": [CLUSTER], "inputs": inputs}).to_string();
    let wrong = task(json!({"name": "web-1", "namespace": "shop"}));
    let (status, answer) = pair.call("POST", "/api/v1/service", Some(&wrong))?;
    ensure!(status == 422 && answer.to_string().contains("command"), "{status} {answer}");
    let one = format!("/api/v1/template/{EXEC}");
    pair.call("PUT", &one, Some(r#"{"options":{"concurrency":{"cluster":1}}}"#))?;
    pair.call("DELETE", &format!("/api/v1/template/{REBOUNCE}"), None)?;
    pair.restart_server()?;
    ensure!(pair.get(&one)?.get("origin") == Some(&json!("userdefined")), "{}", pair.get(&one)?);
    ensure!(count(pair, "origin=predefined")? == 228 && count(pair, "origin=system")? == 5);
    Ok(())
}

fn repeated(pair: &mut Pair<'_>) -> Result<()> {
    let request = |name: &str| json!({"uuid": "abcdefabcdefabcdefabcdefabcdef00", "template_uuid": "example_simple", "cluster_uuids": [CLUSTER], "inputs": {"name": name}});
    let first = pair.post("/api/v1/service", &request("one"))?;
    let again = pair.post("/api/v1/service", &request("one"))?;
    ensure!(
        first.pointer("/0/uuid") == again.pointer("/0/uuid")
            && first.pointer("/0/created") == again.pointer("/0/created"),
        "{first} and {again}"
    );
    let (status, answer) = pair.call("POST", "/api/v1/service", Some(&request("two").to_string()))?;
    ensure!(status == 409, "{status} {answer}");
    Ok(())
}

/// Many tasks that take a little, so that some run at any moment.
fn many(pair: &Pair<'_>) -> Result<Vec<String>> {
    let flow = json!([{"$id": "a", "$command": "hostile.slow", "inputs": "$inputs"}, {"$id": "b", "$command": "helloworld", "inputs": {"name": "x"}}]);
    pair.post("/api/v1/template", &json!({"uuid": "slow", "name": "slow", "flow": flow}))?;
    (0..100).map(|_| pair.create("slow", &json!({"ms": 50}))).collect()
}

fn all_succeed(pair: &Pair<'_>, tasks: &[String]) -> Result<()> {
    for uuid in tasks {
        let task = pair.ended(uuid)?;
        if task.get("state") != Some(&json!("succeeded")) {
            bail!("{task}");
        }
    }
    Ok(())
}

fn agent_killed(pair: &mut Pair<'_>) -> Result<()> {
    let tasks = many(pair)?;
    if let Some(mut agent) = pair.agent.take() {
        agent.kill()?;
    }
    pair.start_agent()?;
    all_succeed(pair, &tasks)
}

fn server_killed(pair: &mut Pair<'_>) -> Result<()> {
    let tasks = many(pair)?;
    pair.restart_server()?;
    all_succeed(pair, &tasks)
}
