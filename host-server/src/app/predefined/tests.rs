//! Every template that is shipped: what it says of itself, and which inputs its schema takes.

use std::collections::{BTreeMap, BTreeSet};

use claiflow_flow::Origin;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::shipped::{EDITION, INPUTS, Line, lines, shipped};
use crate::{
    app::{schema::InputSchema, template::check_flow},
    model::{ids::hex, nouns::Template, predefined::digest},
};

/// The edition, and SHA-256 over the digests of what it ships.
const SHIPPED: (i32, &str) = (1, "1c7d94de99feec04906004ede1596e7e7f866922c27ea85f2863755c9cc36784");

#[derive(Deserialize)]
struct Cases {
    /// Inputs that are taken.
    right: Vec<Value>,
    wrong: Vec<Wrong>,
}

/// Inputs that are refused.
#[derive(Deserialize)]
struct Wrong {
    inputs: Value,
    /// JSON pointer below `/inputs`.
    at: String,
    /// Words of the refusal.
    says: String,
}

fn all() -> Vec<Template> {
    shipped(chrono::NaiveDateTime::default()).unwrap()
}

fn schema(template: &Template) -> InputSchema {
    InputSchema::compile(template.inputs.as_deref().unwrap()).unwrap().expect("a schema says something")
}

#[test]
fn every_template_takes_right_inputs_and_refuses_wrong_ones_with_their_place() {
    let cases = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/predefined/cases.json"));
    let cases: BTreeMap<String, Cases> = serde_json::from_str(cases).unwrap();
    let mut asked = BTreeSet::new();
    for (line, template) in lines().zip(all()) {
        let line = line.unwrap();
        let name = if line.scope == "cluster" { format!("{} cluster", line.inputs) } else { line.inputs.to_owned() };
        let Cases { right, wrong } = cases.get(&name).unwrap_or_else(|| panic!("cases.json has no `{name}`"));
        assert!(!right.is_empty() && !wrong.is_empty(), "{name}");
        let schema = schema(&template);
        for inputs in right {
            let mistakes = schema.mistakes(inputs);
            assert!(mistakes.is_empty(), "{}: {inputs} was refused: {mistakes:?}", template.name);
        }
        for Wrong { inputs, at, says } in wrong {
            let mistakes = schema.mistakes(inputs);
            let told =
                mistakes.iter().any(|(pointer, words)| *pointer == format!("/inputs{at}") && words.contains(says));
            assert!(told, "{}: {inputs} was answered {mistakes:?}", template.name);
        }
        asked.insert(name);
    }
    assert_eq!(asked, cases.into_keys().collect(), "every case is of some template");
}

#[test]
fn every_template_is_one_call_with_the_inputs_of_the_task() {
    for (line, template) in lines().zip(all()) {
        let flow = check_flow(&template.flow, Origin::Authored).unwrap();
        assert_eq!((flow.step_max(), flow.language_level()), (1, 0), "{}", template.name);
        let step = json!([{"$id": "step1", "$command": line.unwrap().command, "inputs": "$inputs"}]);
        assert_eq!(serde_json::from_str::<Value>(&template.flow).unwrap(), step);
    }
}

#[test]
fn the_list_is_complete_and_says_nothing_twice() {
    let lines: Vec<_> = lines().map(Result::unwrap).collect();
    let count = |origin: &str| lines.iter().filter(|line| line.origin == origin).count();
    assert_eq!((lines.len(), count("predefined"), count("system")), (235, 229, 6));
    let columns: [fn(&Line<'static>) -> &'static str; 3] = [|line| line.uuid, |line| line.name, |line| line.command];
    for column in columns {
        assert_eq!(lines.iter().map(column).collect::<BTreeSet<_>>().len(), lines.len());
    }
    for line in &lines {
        assert!(line.uuid.len() == 32 && line.uuid.bytes().all(|byte| byte.is_ascii_digit()), "{}", line.uuid);
        let words: Vec<&str> = line.command.split('.').collect();
        let is_kind = words[0] == "kubernetes";
        let named = if is_kind { words[..3].join("_") } else { words.join("_") };
        assert_eq!(line.name, named.trim_end_matches("_v1"));
        assert_eq!(is_kind, line.scope != "-", "{}", line.name);
        assert_eq!(
            is_kind,
            line.inputs == format!("kubernetes.{}", words[2..].first().unwrap_or(&"")),
            "{}",
            line.name
        );
        assert!(!line.summary.is_empty(), "{}", line.name);
    }
    let used: BTreeSet<&str> = lines.iter().map(|line| line.inputs).collect();
    assert_eq!(used, INPUTS.iter().map(|(stem, _)| *stem).collect(), "every schema is of some template");
}

/// The kinds of Kubernetes itself that are in no namespace; those of Prometheus's operator all are in one.
#[test]
fn a_namespace_is_asked_for_where_a_kind_is_in_one() {
    let lines: Vec<_> = lines().map(Result::unwrap).filter(|line| line.scope != "-").collect();
    let plural = |line: &Line<'static>| line.command.split('.').nth(1).unwrap();
    let kinds: BTreeSet<&str> = lines.iter().map(plural).collect();
    assert_eq!(kinds.len(), 53);
    let cluster: BTreeSet<&str> = lines.iter().filter(|line| line.scope == "cluster").map(plural).collect();
    let namespaced: BTreeSet<&str> = lines.iter().filter(|line| line.scope == "namespaced").map(plural).collect();
    assert!(cluster.is_disjoint(&namespaced));
    assert_eq!(cluster.union(&namespaced).count(), 53);
    let expected = "apiservices certificatesigningrequests clusterrolebindings clusterroles csidrivers csinodes \
                    customresourcedefinitions ingressclasses mutatingwebhookconfigurations namespaces nodes persistentvolumes \
                    priorityclasses runtimeclasses storageclasses validatingwebhookconfigurations volumeattachments";
    assert_eq!(cluster, expected.split_whitespace().collect());
}

#[test]
fn what_is_shipped_changes_only_with_its_edition() {
    let mut all_of_them = Sha256::new();
    all().iter().for_each(|template| all_of_them.update(digest(template)));
    let found = hex(&all_of_them.finalize());
    assert_eq!(
        (EDITION, found.as_str()),
        SHIPPED,
        "what is shipped has changed: raise `EDITION`, so that servers bring it, and write both down here"
    );
}
