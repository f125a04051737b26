//! The predefined templates, and the commands that have none: run by REST, beside what Prometheus answers itself.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{
    monitor::{ALERT, ALERTMANAGER, JOB, RECORD},
    scene::Scene,
};

const METRIC: &str = "claiflow_agents_connected";
/// Without a template of their own.
const MORE: [&str; 4] = ["series", "labels", "label_values", "metadata"];

/// What is asked, and what must come back.
struct Case {
    /// Without `prometheus.` and `.v1`.
    api: &'static str,
    inputs: Value,
    /// Where Prometheus answers the very same by itself; none: it changes from one moment to the next.
    direct: Option<String>,
    holds: fn(&Value, &Scene<'_>) -> bool,
}

/// Scrapes come each second: what was then does not change any more.
fn moment() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() - 2)
}

fn of(api: &'static str, inputs: Value, direct: Option<String>, holds: fn(&Value, &Scene<'_>) -> bool) -> Case {
    Case { api, inputs, direct, holds }
}

fn cases() -> Result<Vec<Case>> {
    let then = moment()?;
    let start = then - 1;
    Ok(vec![
        of(
            "query",
            json!({"query": METRIC, "time": then.to_string()}),
            Some(format!("query?query={METRIC}&time={then}")),
            |data, _| data["resultType"] == "vector" && data["result"][0]["value"][1] == "1",
        ),
        of(
            "query_range",
            json!({"query": format!("max({METRIC})"), "start": start.to_string(), "end": then.to_string(), "step": "1s"}),
            Some(format!("query_range?query=max({METRIC})&start={start}&end={then}&step=1s")),
            |data, _| data["resultType"] == "matrix" && data["result"][0]["values"][0][1] == "1",
        ),
        of("alerts", json!({}), None, |data, _| {
            let alert = &data["alerts"][0];
            alert["labels"]["alertname"] == ALERT
                && alert["state"] == "firing"
                && alert["annotations"]["summary"] == "It is watched"
        }),
        of("rules", json!({}), None, |data, _| {
            let rules = &data["groups"][0]["rules"];
            rules[0]["name"] == ALERT
                && rules[0]["type"] == "alerting"
                && rules[1]["name"] == RECORD
                && rules[1]["health"] == "ok"
        }),
        of("alertmanagers", json!({}), Some("alertmanagers".to_owned()), |data, _| {
            *data == json!({"activeAlertmanagers": [{"url": ALERTMANAGER}], "droppedAlertmanagers": []})
        }),
        of("targets", json!({}), None, |data, scene| {
            let target = &data["activeTargets"][0];
            target["health"] == "up"
                && target["scrapeUrl"] == format!("http://127.0.0.1:{}/metrics", scene.pair.http_port())
        }),
        of(
            "targets/metadata",
            json!({"match_target": format!("{{job=\"{JOB}\"}}"), "metric": METRIC, "limit": "1"}),
            Some(format!("targets/metadata?metric={METRIC}&limit=1")),
            |data, _| data[0]["type"] == "gauge" && data[0]["target"]["job"] == JOB && data[1].is_null(),
        ),
        of("series", json!({"match": METRIC}), Some(format!("series?match[]={METRIC}")), |data, _| {
            data[0]["__name__"] == METRIC && data[0]["job"] == JOB && data[1].is_null()
        }),
        of("labels", json!({"match": ["up"]}), Some("labels?match[]=up".to_owned()), |data, _| {
            *data == json!(["__name__", "instance", "job"])
        }),
        of("label_values", json!({"label": "job"}), Some("label/job/values".to_owned()), |data, _| {
            *data == json!([JOB])
        }),
        of("metadata", json!({"metric": METRIC}), Some(format!("metadata?metric={METRIC}")), |data, _| {
            data[METRIC][0]["type"] == "gauge" && data[METRIC][0]["help"].is_string()
        }),
    ])
}

/// Runs each, and prints a table of template, command and result.
pub(super) fn run(scene: &Scene<'_>) -> Result<()> {
    let templates = templates(scene)?;
    ensure!(templates.len() == 7, "the templates are {templates:?}");
    let mut table = String::new();
    for case in cases()? {
        let command = format!("prometheus.{}.v1", case.api);
        let template = templates.get(&command);
        ensure!(template.is_some() != MORE.contains(&case.api), "{command} has the template {template:?}");
        let outcome = gave(scene, &case, &command, template.map(|(uuid, _)| uuid.as_str()));
        let said = outcome.unwrap_or_else(|error| format!("FAILED: {error:#}"));
        let name = template.map_or("-", |(_, name)| name.as_str());
        writeln!(table, "{name:<28} {command:<32} {said}")?;
    }
    eprint!("{table}");
    let wrong: Vec<&str> = table.lines().filter(|line| line.contains("FAILED")).collect();
    ensure!(wrong.is_empty(), "{} of them failed:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// One line about the result, which is what it must be.
fn gave(scene: &Scene<'_>, case: &Case, command: &str, template: Option<&str>) -> Result<String> {
    let result = match template {
        None => scene.call(command, case.inputs.clone())?.map_err(anyhow::Error::msg)?,
        Some(template) => {
            let mut inputs = case.inputs.clone();
            inputs["url"] = json!(format!("http://{}", scene.monitor.address));
            let uuid = scene.pair.create(template, &inputs)?;
            scene.pair.result(&uuid)?.map_err(anyhow::Error::msg)?
        }
    };
    if let Some(path) = &case.direct {
        let direct = scene.monitor.data(path)?;
        ensure!(result == direct, "it is {result}, and Prometheus says {direct}");
    }
    ensure!((case.holds)(&result, scene), "it is {result}");
    let text = result.to_string();
    let short: String = text.chars().take(96).collect();
    Ok(if short.len() < text.len() { format!("{short}…") } else { short })
}

/// The plugin's commands that have a template, each with its uuid and name.
fn templates(scene: &Scene<'_>) -> Result<BTreeMap<String, (String, String)>> {
    let listed = scene.pair.get("/api/v1/template?origin=predefined")?;
    let mut templates = BTreeMap::new();
    for item in listed.as_array().context("no list of templates")? {
        let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
        let flow: Value = match &item["flow"] {
            Value::String(text) => serde_json::from_str(text)?,
            flow => flow.clone(),
        };
        let command = flow[0]["$command"].as_str().unwrap_or_default();
        if command.starts_with("prometheus.") {
            templates.insert(command.to_owned(), (text("uuid"), text("name")));
        }
    }
    Ok(templates)
}

/// Ways to write an address, and to ask.
pub(super) fn ways(scene: &Scene<'_>) -> Result<()> {
    let address = &scene.monitor.address;
    for url in [address.clone(), format!("{address}/"), format!("HTTP://{address}//"), format!("//{address}")] {
        let values = scene.call("prometheus.label_values.v1", json!({"url": url, "label": "job"}))?;
        ensure!(values == Ok(json!([JOB])), "{url}: {values:?}");
    }
    // POST is granted for `query`, and not for `query_range`.
    let range = json!({"query": "1", "start": 0, "end": "1970-01-01T00:00:01Z", "step": 1});
    let data = scene.call("prometheus.query_range.v1", range)?;
    let one = json!({"resultType": "matrix", "result": [{"metric": {}, "values": [[0, "1"], [1, "1"]]}]});
    ensure!(data.as_ref() == Ok(&one), "{data:?}");
    // A redirection to the right place is followed as far as it is granted.
    let moved = json!({"url": format!("http://{}/moved", scene.stub.address), "query": "1", "time": 7});
    let data = scene.call("prometheus.query.v1", moved)?;
    ensure!(data == Ok(json!({"resultType": "scalar", "result": [7, "1"]})), "{data:?}");
    // An expression may be longer than a URL.
    let then = moment()?;
    let long = format!("count(up{{job=~\"{JOB}|{}\"}})", "x".repeat(16_000));
    let data = scene.call("prometheus.query.v1", json!({"query": long, "time": then}))?;
    ensure!(data == Ok(json!({"resultType": "vector", "result": [{"metric": {}, "value": [then, "1"]}]})), "{data:?}");
    Ok(())
}
