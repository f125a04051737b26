//! The SDK as an author uses it: a plugin with a command of every kind, asked without a host.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of it is test")]

use claiflow_sdk::{Applied, Context, Error, Verdict, command, log, section, task, testing::Host};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

claiflow_sdk::plugin! { name: "tool", config: Settings, commands: [ping, scale, files::read, files::any, wait] }

/// What an operator sets.
#[derive(Deserialize, JsonSchema)]
struct Settings {
    #[serde(default)]
    most: u32,
}

/// Answers.
#[command("tool.ping", effect = "read")]
fn ping() -> Result<&'static str, Error> {
    Ok("pong")
}

#[derive(Deserialize, JsonSchema)]
struct Scale {
    replicas: u32,
}

#[derive(Serialize, JsonSchema, PartialEq, Debug)]
struct Scaled {
    replicas: u32,
    key: String,
}

/// Scales "it".
///
/// At length.
#[command("tool.scale", effect = [{ when = ".dry_run == true", effect = "read" }, { effect = "verify" }], verify = scaled)]
fn scale(req: Scale, context: &Context) -> Result<Scaled, Error> {
    let most = context.config::<Settings>()?.most;
    if most > 0 && req.replicas > most {
        return Err(Error::invalid(format!("at most {most} replicas")).applied(Applied::No));
    }
    task::note(&json!({"scaled": req.replicas}))?;
    log::info("scaled", &[("replicas", &req.replicas)]);
    Ok(Scaled { replicas: req.replicas, key: context.effect_key.clone() })
}

fn scaled(req: Scale, context: &Context) -> Result<Verdict<Scaled>, Error> {
    if context.notes == ["tell"] {
        task::note(&"told")?;
    }
    Ok(match context.notes.first().map(|note| note["scaled"].as_u64()) {
        Some(Some(replicas)) if replicas == u64::from(req.replicas) => {
            Verdict::Done(Scaled { replicas: req.replicas, key: context.effect_key.clone() })
        }
        Some(_) => Verdict::Unknown("somebody else scaled it".to_owned()),
        None => Verdict::NotDone,
    })
}

/// Commands may live in modules, and share one name with a pattern.
mod files {
    use super::{Context, Error, Value, command, json};

    /// Reads a file.
    #[command(pattern = "files.{name}.read", effect = "read")]
    pub fn read(inputs: Value, context: &Context) -> Result<Value, Error> {
        Ok(json!({"read": context.capture("name")?, "inputs": inputs}))
    }

    /// Does anything.
    #[command(pattern = "files.{name}.{verb+}")]
    pub fn any(_: Value, context: &Context) -> Result<Vec<String>, std::num::ParseIntError> {
        Ok(context.captures.values().cloned().collect())
    }
}

/// Waits until it is told to stop.
#[command("tool.wait", effect = "idempotent", summary = "Waits")]
fn wait() -> Result<u64, Error> {
    task::progress(1, 0, "waiting");
    task::keep_going()?;
    Ok(task::remaining_ms())
}

#[test]
fn the_description_is_the_contracts() {
    let description = PLUGIN.describe();
    assert_eq!((&description["name"], &description["version"]), (&json!("tool"), &json!(env!("CARGO_PKG_VERSION"))));
    let commands = description["commands"].as_array().unwrap();
    let said: Vec<_> = commands.iter().map(|said| (said["summary"].as_str().unwrap(), &said["effect"])).collect();
    let rules = json!([{"when": ".dry_run == true", "effect": "read"}, {"effect": "verify"}]);
    let expected = [
        ("Answers", json!("read")),
        ("Scales \"it\"", rules),
        ("Reads a file", json!("read")),
        ("Does anything", json!("never")),
        ("Waits", json!("idempotent")),
    ];
    assert_eq!(said, expected.iter().map(|(summary, effect)| (*summary, effect)).collect::<Vec<_>>());
    assert_eq!((&commands[0]["name"], &commands[2]["pattern"]), (&json!("tool.ping"), &json!("files.{name}.read")));
    assert_eq!(commands[1]["inputs"]["properties"]["replicas"]["type"], "integer");
    assert_eq!(commands[1]["outputs"]["required"], json!(["replicas", "key"]));
    assert!(description["config"]["properties"]["most"].is_object());
}

#[test]
fn the_section_says_what_the_description_says() {
    const PARTS: &[&str] = &section::parts(&PLUGIN);
    const TEXT: [u8; section::length(PARTS)] = section::join(PARTS);
    let section: Value = serde_json::from_slice(&TEXT).unwrap();
    let mut description = PLUGIN.describe();
    description.as_object_mut().unwrap().remove("config");
    for command in description["commands"].as_array_mut().unwrap() {
        for schema in ["inputs", "outputs"] {
            assert!(command.as_object_mut().unwrap().remove(schema).is_some());
        }
    }
    assert_eq!(section, description);
}

#[test]
fn the_most_exact_command_serves_a_name() {
    for (name, answer) in [
        ("tool.ping", json!("pong")),
        ("files.a.read", json!({"read": "a", "inputs": {}})),
        ("files.a.write.all", json!(["a", "write.all"])),
    ] {
        assert_eq!(PLUGIN.run(name, json!({})).unwrap(), answer, "{name}");
    }
    for name in ["tool", "files", "files.a"] {
        assert_eq!(PLUGIN.run(name, json!({})).unwrap_err().code(), "not-found", "{name}");
    }
}

#[test]
fn inputs_and_settings_are_checked_before_anything_happens() {
    let host = Host::new();
    let error = PLUGIN.run("tool.scale", json!({"replicas": "many"})).unwrap_err();
    assert_eq!(error.code(), "invalid");
    let mut context = Context::default();
    context.settings = json!({"most": 3});
    let error = PLUGIN.run_in(&context, "tool.scale", json!({"replicas": 4})).unwrap_err();
    assert_eq!((error.message(), error.details()), ("at most 3 replicas", Some(json!({"effect": "none"}))));
    assert!(host.lines().is_empty() && host.notes().is_empty());
}

#[test]
fn a_lost_attempt_is_verified_by_what_it_noted() {
    let host = Host::new();
    let mut context = Context::default();
    context.effect_key = "key".to_owned();
    let verify = |context: &Context| PLUGIN.verify_in(context, "tool.scale", json!({"replicas": 2})).unwrap();
    assert_eq!(verify(&context), json!({"verdict": "not-done"}));

    let output = PLUGIN.run_in(&context, "tool.scale", json!({"replicas": 2})).unwrap();
    assert_eq!(output, json!({"replicas": 2, "key": "key"}));
    assert_eq!(host.lines()[0].field("replicas"), Some("2"));

    context.notes = host.notes();
    assert_eq!(verify(&context), json!({"verdict": "done", "output": output}));
    context.notes = vec![json!({"scaled": 5})];
    assert_eq!(verify(&context), json!({"verdict": "unknown", "why": "somebody else scaled it"}));
    context.notes = vec![json!("tell")];
    let error = PLUGIN.verify_in(&context, "tool.scale", json!({"replicas": 2})).unwrap_err();
    assert_eq!(error.code(), "denied", "as in a sandbox, `verify` leaves nothing behind");
    assert_eq!(host.notes().len(), 1);
    task::note(&1).unwrap();
    let cannot_tell = PLUGIN.verify_in(&context, "tool.ping", json!({})).unwrap();
    assert_eq!(cannot_tell["verdict"], "unknown");
}

#[test]
fn the_host_of_a_test_says_how_the_task_stands() {
    let host = Host::new();
    host.remaining_ms(500);
    assert_eq!(PLUGIN.run("tool.wait", json!({})).unwrap(), 500);
    host.stop("cancelled");
    let error = PLUGIN.run("tool.wait", json!({})).unwrap_err();
    assert_eq!((error.code(), error.message()), ("stopped", "asked to stop: cancelled"));
    assert_eq!(host.progress(), [(1, 0, "waiting".to_owned()), (1, 0, "waiting".to_owned())]);
    drop(host);
    assert_eq!(PLUGIN.run("tool.wait", json!({})).unwrap(), 60_000);
}

#[test]
fn a_sleep_takes_a_test_no_time_and_ends_when_the_command_should() {
    use claiflow_sdk::clock;
    use std::time::Duration;
    let host = Host::new();
    let (hour, before) = (Duration::from_secs(3_600), clock::monotonic());
    task::sleep(hour).unwrap();
    assert_eq!(host.slept(), hour);
    assert!(clock::monotonic() - before >= hour);
    task::sleep(Duration::ZERO).unwrap();
    host.stop("cancelled");
    assert_eq!(task::sleep(hour).unwrap_err().code(), "stopped");
    assert_eq!(host.slept(), hour, "it was not begun");
}

#[test]
fn notes_have_the_contracts_limits() {
    let host = Host::new();
    assert_eq!(task::note(&"x".repeat(5_000)).unwrap_err().code(), "too-large");
    for note in 0..16 {
        task::note(&note).unwrap();
    }
    assert_eq!(task::note(&16).unwrap_err().code(), "budget");
    assert_eq!(host.notes().len(), 16);
}

#[test]
fn clocks_and_randomness_work_without_a_host() {
    use claiflow_sdk::{clock, random};
    assert!(clock::unix().as_secs() > 1_700_000_000);
    let before = clock::monotonic();
    assert!(clock::monotonic() >= before);
    assert_ne!(random::bytes::<16>(), random::bytes::<16>());
    assert_ne!(random::number(), random::number());
}
