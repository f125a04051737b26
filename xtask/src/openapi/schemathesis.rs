//! Every operation of the document, called with what it allows and with what it forbids, alone and one after the other.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::tools::python;
use crate::{
    cluster_of_two::{Built, Pair},
    database::MariaDb,
};

/// The same cases each time.
const SEED: &str = "8";
/// Cases of each operation at most, beside those of examples and of the limits of each field.
const CASES: &str = "25";
/// No 5xx, no status, type, header or shape that the document does not name, and nothing for those who do not say who they are.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,unsupported_method,ignored_auth";
/// It lasts as long as the task whose events it tells, so a case that finds a task would not end.
const ENDLESS: &str = "follow_service";

/// Runs schemathesis on a server of its own.
pub(super) fn run(built: &Built, home: &Path, document: &Path, database: Option<&MariaDb>) -> Result<()> {
    let mut config = super::with_token();
    if let Some(database) = database {
        config.push_str(&database.config_of("openapi")?);
    }
    let pair = Pair::start_with(built, home, config, (0, 0))?;
    let report = home.join("report.ndjson");
    let mut command = Command::new(python()?.join("schemathesis"));
    command.current_dir(home).args(["--no-color", "run"]).arg(document);
    command.args(["--url", &pair.base(), "--header", &format!("Authorization: Bearer {}", super::TOKEN)]);
    command.args(["--seed", SEED, "--generation-deterministic"]);
    command.args(["--max-examples", CASES, "--checks", CHECKS, "--workers", "2", "--continue-on-failure"]);
    command.args(["--exclude-operation-id", ENDLESS, "--suppress-health-check", "all", "--warnings", "off"]);
    command.args(["--request-timeout", "30", "--report", "ndjson", "--report-ndjson-path"]).arg(&report);
    let output = command.output().context("schemathesis could not be started")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("schemathesis ended with {}:\n{said}\nserver said:\n{}", output.status, pair.server.said());
    }
    for line in
        said.lines().rev().take_while(|line| !line.contains("SUMMARY")).filter(|line| line.contains("generated"))
    {
        eprintln!("       {}", line.trim());
    }
    let answers = answers(&fs::read_to_string(&report)?)?;
    let shown: Vec<String> = answers.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    eprintln!("       answers {}", shown.join(", "));
    // A run that was refused at the door from some moment on would prove little.
    let of = |status: u64| answers.get(&status).copied().unwrap_or_default();
    ensure!(of(200) > 500, "so few cases were served that little is proved: {answers:?}");
    ensure!(pair.server.id() > 0 && pair.get("/readyz").is_ok(), "the server is not ready any more");
    Ok(())
}

/// How often each status was answered.
fn answers(report: &str) -> Result<BTreeMap<u64, u64>> {
    let mut counts = BTreeMap::new();
    for line in report.lines() {
        count(&serde_json::from_str(line).context("the report is no JSON")?, &mut counts);
    }
    Ok(counts)
}

fn count(value: &Value, counts: &mut BTreeMap<u64, u64>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| count(item, counts)),
        Value::Object(members) => {
            if let Some(status) = members.get("status_code").and_then(Value::as_u64) {
                *counts.entry(status).or_default() += 1;
            }
            members.values().for_each(|member| count(member, counts));
        }
        _ => {}
    }
}
