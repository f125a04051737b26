//! What may happen twice: the rules that the agent evaluates, with the jq that it evaluates them with.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of it is test")]

use claiflow_plugin_kubernetes::PLUGIN;
use claiflow_sdk::testing::{Cluster, Host};
use jaq_core::{
    Compiler, Ctx, Vars, data,
    load::{Arena, File, Loader},
    unwrap_valr,
};
use jaq_json::{Val, read};
use serde_json::{Value, json};

fn described(verb: &str) -> Value {
    let pattern = format!("kubernetes.{{resource}}.{verb}.{{version+}}");
    let commands = PLUGIN.describe()["commands"].as_array().unwrap().clone();
    commands.into_iter().find(|command| command["pattern"] == json!(pattern)).unwrap()
}

/// As the agent: the first rule that matches says the class.
fn effect(verb: &str, inputs: &Value) -> String {
    let command = described(verb);
    let effect = match &command["effect"] {
        Value::Array(rules) => {
            rules.iter().find(|rule| rule["when"].as_str().is_none_or(|when| matches(when, inputs))).unwrap()["effect"]
                .clone()
        }
        class => class.clone(),
    };
    effect.as_str().unwrap().to_owned()
}

fn matches(when: &str, inputs: &Value) -> bool {
    let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let funs = jaq_core::funs::<data::JustLut<Val>>().chain(jaq_std::funs()).chain(jaq_json::funs());
    let arena = Arena::default();
    let modules = Loader::new(defs).load(&arena, File { code: when, path: () }).unwrap();
    let filter = Compiler::default().with_funs(funs).compile(modules).unwrap();
    let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new([]));
    let input = read::parse_single(inputs.to_string().as_bytes()).unwrap();
    let output = filter.id.run((context, input)).map(unwrap_valr).next().unwrap().unwrap();
    !matches!(output, Val::Null | Val::Bool(false))
}

#[test]
fn the_schemas_ask_for_what_is_needed_and_for_nothing_else() {
    for (verb, required, knows_others) in [
        ("get", json!(["name"]), true),
        ("list", json!(null), true),
        ("watch", json!(null), false),
        ("wait", json!(["name", "until"]), false),
        ("logs", json!(["name", "namespace"]), false),
        ("patch", json!(["name", "patch_data", "patch_type"]), true),
        ("apply", json!(["object"]), false),
        ("scale", json!(["name", "replicas"]), false),
        ("rollout_restart", json!(["name"]), false),
        ("create", json!(["object"]), false),
        ("replace", json!(["object"]), false),
        ("delete", json!(["name"]), true),
        ("evict", json!(["name", "namespace"]), false),
        ("exec", json!(["command", "name", "namespace"]), true),
    ] {
        let inputs = &described(verb)["inputs"];
        let mut said = inputs["required"].clone();
        if let Some(list) = said.as_array_mut() {
            list.sort_by_key(Value::to_string);
        }
        assert_eq!(said, required, "{verb}");
        assert_eq!(inputs["additionalProperties"] != json!(false), knows_others, "{verb}");
    }
    let words = &described("patch")["inputs"]["properties"]["patch_type"]["enum"];
    assert_eq!(words, &json!(["json", "merge", "strategic", "apply"]));
}

#[test]
fn each_verb_has_its_class() {
    for (verb, inputs, class) in [
        ("get", json!({"name": "a"}), "read"),
        ("list", json!({}), "read"),
        ("watch", json!({}), "read"),
        ("wait", json!({"name": "a", "until": "true"}), "read"),
        ("logs", json!({"name": "a"}), "read"),
        ("patch", json!({"patch_type": "merge", "patch_data": {}}), "idempotent"),
        ("patch", json!({"patch_type": "strategic", "patch_data": {}}), "idempotent"),
        ("patch", json!({"patch_type": "apply", "patch_data": {}}), "idempotent"),
        ("apply", json!({"object": {}}), "idempotent"),
        ("scale", json!({"replicas": 3}), "idempotent"),
        ("rollout_restart", json!({"name": "a"}), "idempotent"),
        ("create", json!({"object": {}}), "verify"),
        ("replace", json!({"object": {}}), "verify"),
        ("delete", json!({"name": "a"}), "verify"),
        ("delete", json!({"name": "a", "uid": null}), "verify"),
        ("delete", json!({"name": "a", "uid": "u"}), "idempotent"),
        ("evict", json!({"name": "a"}), "verify"),
        ("exec", json!({"name": "a"}), "never"),
        ("{verb}", json!({}), "never"),
    ] {
        assert_eq!(effect(verb, &inputs), class, "{verb} {inputs}");
    }
}

/// The rule in jq, and the one in Rust by which the command notes what it is for.
#[test]
fn a_json_patch_is_repeated_only_where_that_does_nothing_more() {
    let cluster = Cluster::new();
    cluster
        .put(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "settings"}}));
    for (operations, again) in [
        (json!([]), true),
        (json!([{"op": "replace", "path": "/spec/replicas", "value": 3}]), true),
        (json!([{"op": "replace", "path": "/spec/list/0", "value": 3}]), true),
        (json!([{"op": "replace", "path": "", "value": {}}]), true),
        (json!([{"op": "add", "path": "/metadata/labels/a", "value": "b"}]), true),
        (json!([{"op": "add", "path": "/metadata/labels/a.b~1c", "value": "b"}]), true),
        (json!([{"op": "remove", "path": "/metadata/labels/a"}]), true),
        (json!([{"op": "test", "path": "/a", "value": 1}, {"op": "add", "path": "/list/0/image", "value": 1}]), true),
        (json!([{"op": "add", "path": "/metadata/labels/1a", "value": "b"}]), true),
        (json!([{"op": "add", "path": "/list/-", "value": 1}]), false),
        (json!([{"op": "add", "path": "/list/0", "value": 1}]), false),
        (json!([{"op": "remove", "path": "/list/12"}]), false),
        (json!([{"op": "test", "path": "/a", "value": 1}, {"op": "add", "path": "/list/-", "value": 1}]), false),
        (json!([{"op": "replace", "path": "/a", "value": 1}, {"op": "remove", "path": "/list/0"}]), false),
        (json!([{"op": "move", "from": "/a", "path": "/b"}]), false),
        (json!([{"op": "copy", "from": "/a", "path": "/b"}]), false),
        (json!([{"op": "add", "path": "", "value": {}}]), false),
        (
            json!([{"op": "test", "path": "/metadata/resourceVersion", "value": "7"}, {"op": "add", "path": "/list/-", "value": 1}]),
            true,
        ),
    ] {
        let inputs = json!({"name": "settings", "namespace": "shop", "patch_type": "json", "patch_data": operations});
        assert_eq!(effect("patch", &inputs) == "idempotent", again, "{operations}");
        let host = Host::new();
        // Whether it can be applied is not asked here.
        let _ = PLUGIN.run("kubernetes.configmaps.patch.v1", inputs);
        assert_eq!(host.notes().is_empty(), again, "{operations}");
    }
}

#[test]
fn what_is_no_patch_is_refused_by_the_command_and_not_by_its_rule() {
    for data in [json!({}), json!("x"), json!([1]), json!([{"op": "add"}])] {
        let inputs = json!({"name": "a", "namespace": "shop", "patch_type": "json", "patch_data": data});
        assert_eq!(PLUGIN.run("kubernetes.pods.patch.v1", inputs).unwrap_err().code(), "invalid", "{data}");
    }
}
