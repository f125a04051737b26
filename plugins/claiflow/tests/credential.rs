//! Credentials as the commands change them, over stores that are played.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of it is test")]

use claiflow_plugin_claiflow::PLUGIN;
use claiflow_sdk::{
    Applied, Context, Error,
    testing::{Host, Stores},
};
use serde_json::{Value, json};

const SECRET: &str = "k8s/secret";

/// The call that a test makes.
fn context(notes: Vec<Value>) -> Context {
    let mut context = Context::default();
    context.effect_key = "mine".to_owned();
    context.attempt = if notes.is_empty() { 1 } else { 2 };
    context.notes = notes;
    context
}

fn run(command: &str, inputs: &Value) -> Result<Value, Error> {
    PLUGIN.run_in(&context(Vec::new()), command, inputs.clone())
}

/// Two tokens, of which the second goes into a file.
fn two() -> Value {
    json!({"credentials": {
        "a": {"type": "grafana", "data": "hidden-a"},
        "b": {"type": "openstack", "storage": "volume", "data": {"username": "u", "password": "hidden-b"}},
    }})
}

fn keys(first: &str, second: &str) -> Value {
    json!({"credential_keys": [{"key": first, "storage": ""}, {"key": second, "storage": "volume"}]})
}

#[test]
fn credentials_are_added_listed_changed_and_removed() {
    for name in ["claiflow", "credstor"] {
        let (stores, _host) = (Stores::new(), Host::new());
        let command = |verb: &str| format!("{name}.credential.{verb}");
        assert_eq!(run(&command("get"), &json!({})).unwrap(), json!([]));
        let added = run(&command("add"), &two()).unwrap();
        assert_eq!(added, "added `a` in `k8s/secret`, `b` in `volume`");
        let listed = run(&command("get"), &json!({})).unwrap();
        assert_eq!(listed, json!([{"key": "a", "storage": SECRET}, {"key": "b", "storage": "volume"}]));
        let changed = json!({"credentials": {"a": {"type": "grafana", "storage": null, "data": "hidden-c"}}});
        assert_eq!(run(&command("update"), &changed).unwrap(), "updated `a` in `k8s/secret`");
        assert_eq!(stores.data(SECRET, "a").unwrap(), (b"\"hidden-c\"".to_vec(), "mine".to_owned()));
        assert_eq!(run(&command("remove"), &keys("a", "b")).unwrap(), "removed `a` in `k8s/secret`, `b` in `volume`");
        assert_eq!(run(&command("get"), &json!({})).unwrap(), json!([]));
    }
}

#[test]
fn what_cannot_be_done_to_all_is_done_to_none() {
    let stores = Stores::new();
    stores.hold("volume", "b", "openstack", b"{}");
    for (command, inputs, code, part) in [
        ("add", two(), "exists", "`b` in `volume` is there already"),
        ("update", two(), "not-found", "`a` in `k8s/secret` is not there"),
        ("remove", keys("a", "c"), "not-found", "`a` in `k8s/secret`, `c` in `volume` are not there"),
        ("remove", keys("a", "b"), "not-found", "`a` in `k8s/secret` is not there"),
    ] {
        let host = Host::new();
        let error = run(&format!("claiflow.credential.{command}"), &inputs).unwrap_err();
        assert!(error.code() == code && error.message().contains(part), "{command}: {error}");
        assert_eq!(error.had_effect(), Some(Applied::No), "{error:?}");
        assert!(host.notes().is_empty() && stores.data(SECRET, "a").is_none(), "{command}");
        assert_eq!(stores.data("volume", "b").unwrap().0, b"{}");
    }
}

#[test]
fn wrong_inputs_are_refused_without_a_word_of_the_secret() {
    let (_stores, _host) = (Stores::new(), Host::new());
    let one = |given: Value| json!({"credentials": {"a": given}});
    for (command, inputs, part) in [
        ("add", json!({"credentials": {}}), "credentials: it is empty"),
        ("add", one(json!({"type": "", "data": "hidden"})), "credentials.a.type"),
        ("add", one(json!({"type": "grafana", "data": {"hidden": "hidden"}})), "expected a text"),
        ("add", one(json!({"type": "ncp", "data": "hidden"})), "expected an object"),
        ("add", one(json!({"type": "ncp"})), "expected an object"),
        (
            "add",
            one(json!({"type": "grafana", "data": "hidden", "storage": "disk"})),
            "expected `k8s/secret` or `volume`",
        ),
        ("remove", json!({"credential_keys": []}), "credential_keys: it is empty"),
        ("remove", json!({"credential_keys": [{"key": "a", "storage": "disk"}]}), "credential_keys[0].storage"),
    ] {
        let error = run(&format!("claiflow.credential.{command}"), &inputs).unwrap_err();
        assert!(error.code() == "invalid" && error.message().contains(part), "{inputs}: {error}");
        assert!(!error.message().contains("hidden"), "{error}");
    }
}

#[test]
fn a_store_that_does_not_answer_matters_where_it_is_needed() {
    let (stores, _host) = (Stores::new(), Host::new());
    stores.silence(SECRET, "no cluster");
    let add = |storage: &str| json!({"credentials": {"a": {"type": "grafana", "storage": storage, "data": "t"}}});
    assert!(run("claiflow.credential.add", &add("volume")).is_ok());
    let error = run("claiflow.credential.add", &add("")).unwrap_err();
    assert!(error.code() == "unavailable" && error.message().contains("no cluster"), "{error}");
    // Part of a list would read as the whole.
    assert_eq!(run("claiflow.credential.get", &json!({})).unwrap_err().code(), "unavailable");
}

#[test]
fn what_was_added_before_a_failure_is_taken_back() {
    let (stores, _host) = (Stores::new(), Host::new());
    stores.fail_after(1, false, Error::invalid("too large").applied(Applied::No));
    let error = run("claiflow.credential.add", &two()).unwrap_err();
    assert_eq!((error.code(), error.had_effect()), ("invalid", Some(Applied::No)));
    assert!(stores.data(SECRET, "a").is_none(), "it was taken back");

    stores.hold(SECRET, "a", "grafana", b"\"old\"");
    stores.hold("volume", "b", "openstack", b"{}");
    stores.fail_after(1, false, Error::invalid("too large").applied(Applied::No));
    let error = run("claiflow.credential.update", &two()).unwrap_err();
    assert_eq!(error.had_effect(), Some(Applied::Yes), "what a credential was is not known any more");
    assert!(error.message().contains("after `a` in `k8s/secret` updated"), "{error}");
}

/// What `verify` says, and what the next attempt makes of it.
#[test]
fn the_next_attempt_finishes_what_an_interrupted_one_left() {
    for (command, inputs) in [("add", two()), ("update", two()), ("remove", keys("a", "b"))] {
        let command = format!("claiflow.credential.{command}");
        for writes in 0..=2 {
            let (stores, host) = (Stores::new(), Host::new());
            if !command.ends_with("add") {
                stores.hold(SECRET, "a", "grafana", b"\"old\"");
                stores.hold("volume", "b", "openstack", b"{}");
            }
            // The connection breaks: nobody hears whether the last one took effect, and it did.
            if writes < 2 {
                stores.fail_after(writes, true, Error::unavailable("gone").applied(Applied::Unknown));
            }
            let first = run(&command, &inputs);
            assert_eq!(first.is_ok(), writes == 2, "{first:?}");
            let again = context(host.notes());
            let verdict = PLUGIN.verify_in(&again, &command, inputs.clone()).unwrap();
            let done = if writes == 0 { "not-done" } else { "done" };
            assert_eq!(verdict["verdict"], done, "{command} after {writes}: {verdict}");
            let output = PLUGIN.run_in(&again, &command, inputs.clone()).unwrap();
            assert_eq!(PLUGIN.verify_in(&again, &command, inputs.clone()).unwrap()["output"], output);
        }
    }
}

#[test]
fn whoever_came_between_is_not_written_over() {
    let inputs = json!({"credentials": {"a": {"type": "grafana", "data": "hidden-a"}}});
    for command in ["add", "update"] {
        let command = format!("claiflow.credential.{command}");
        let (stores, host) = (Stores::new(), Host::new());
        if command.ends_with("update") {
            stores.hold(SECRET, "a", "grafana", b"\"old\"");
        }
        run(&command, &inputs).unwrap();
        let mut other = context(Vec::new());
        other.effect_key = "theirs".to_owned();
        PLUGIN.run_in(&other, "claiflow.credential.update", inputs.clone()).unwrap();
        let again = context(vec![host.notes()[0].clone()]);
        let verdict = PLUGIN.verify_in(&again, &command, inputs.clone()).unwrap();
        assert_eq!(verdict["verdict"], "unknown", "{verdict}");
        assert_eq!(PLUGIN.run_in(&again, &command, inputs.clone()).unwrap_err().code(), "conflict");
    }
    let verdict = PLUGIN.verify_in(&context(Vec::new()), "claiflow.credential.add", inputs).unwrap();
    assert_eq!(verdict, json!({"verdict": "not-done"}), "before its note a call changes nothing");
}
