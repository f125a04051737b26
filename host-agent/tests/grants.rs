//! What the grants file allows over the cluster's API, as data: every file of `tests/grants` is a base and its cases. A
//! case that is refused has beside it, under `but`, the least change with which it is allowed; and the rule that its
//! denial suggests is put into a grants file and must allow it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "all of it is test"
)]

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use claiflow_agent::grants::{
    Grant, Grants,
    kubernetes::{
        Access, AgentAccount, Allowed, Caller, Denial, Kind, Mask, Name, Namespace, Object, Own, Patch, Request, Scope,
        Selectors, Visits, authorise, identify, rbac, shape,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    why: String,
    /// Over which each case is laid.
    base: Value,
    cases: Vec<Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    built_in: bool,
    rules: Value,
    /// `deployments/scale.apps`.
    kind: String,
    /// As the request is called in the contract.
    call: String,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    object: Option<String>,
    /// `cluster`, `granted`, or a namespace.
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    labels: String,
    #[serde(default)]
    field_selector: String,
    #[serde(default)]
    fields: Option<Vec<String>>,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    patch: String,
    #[serde(default)]
    force: bool,
    /// Of a replacement: the object as it is.
    #[serde(default)]
    current: Value,
    /// Code, and a part of the text.
    #[serde(default)]
    refused: Option<(String, String)>,
    /// The rule that a denial suggests, in whole.
    #[serde(default)]
    suggests: Option<String>,
    /// Where a list goes: namespaces, `*` or `cluster`.
    #[serde(default)]
    visits: Option<Vec<String>>,
    /// What the answer is, and what the guest sees of it; null: nothing.
    #[serde(default)]
    answers: Vec<(Value, Value)>,
    /// What is sent for a replacement.
    #[serde(default)]
    sends: Option<Value>,
}

/// The kinds that the cases speak of, as discovery gives them: name, version, kind, apiVersion, whether in namespaces.
const KINDS: [(&str, &str, &str, &str, bool); 36] = [
    ("configmaps", "v1", "ConfigMap", "v1", true),
    ("events", "v1", "Event", "v1", true),
    ("namespaces", "v1", "Namespace", "v1", false),
    ("namespaces/finalize", "v1", "Namespace", "v1", false),
    ("nodes", "v1", "Node", "v1", false),
    ("nodes/proxy", "v1", "NodeProxyOptions", "v1", false),
    ("persistentvolumes", "v1", "PersistentVolume", "v1", false),
    ("pods", "v1", "Pod", "v1", true),
    ("pods/attach", "v1", "PodAttachOptions", "v1", true),
    ("pods/ephemeralcontainers", "v1", "Pod", "v1", true),
    ("pods/eviction", "v1", "Eviction", "policy/v1", true),
    ("pods/exec", "v1", "PodExecOptions", "v1", true),
    ("pods/log", "v1", "Pod", "v1", true),
    ("pods/portforward", "v1", "PodPortForwardOptions", "v1", true),
    ("pods/proxy", "v1", "PodProxyOptions", "v1", true),
    ("secrets", "v1", "Secret", "v1", true),
    ("serviceaccounts", "v1", "ServiceAccount", "v1", true),
    ("serviceaccounts/token", "v1", "TokenRequest", "authentication.k8s.io/v1", true),
    ("services", "v1", "Service", "v1", true),
    ("services/proxy", "v1", "ServiceProxyOptions", "v1", true),
    ("deployments.apps", "v1", "Deployment", "apps/v1", true),
    ("deployments/scale.apps", "v1", "Scale", "autoscaling/v1", true),
    ("replicasets.apps", "v1", "ReplicaSet", "apps/v1", true),
    ("statefulsets.apps", "v1", "StatefulSet", "apps/v1", true),
    ("deployments.other.example", "v1", "Deployment", "other.example/v1", true),
    ("rollouts.argoproj.io", "v1alpha1", "Rollout", "argoproj.io/v1alpha1", true),
    ("widgets.example.com", "v1", "Widget", "example.com/v1", true),
    ("cronjobs.batch", "v1", "CronJob", "batch/v1", true),
    ("jobs.batch", "v1", "Job", "batch/v1", true),
    ("roles.rbac.authorization.k8s.io", "v1", "Role", "rbac.authorization.k8s.io/v1", true),
    (
        "clusterrolebindings.rbac.authorization.k8s.io",
        "v1",
        "ClusterRoleBinding",
        "rbac.authorization.k8s.io/v1",
        false,
    ),
    (
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
        "v1",
        "MutatingWebhookConfiguration",
        "admissionregistration.k8s.io/v1",
        false,
    ),
    (
        "certificatesigningrequests/approval.certificates.k8s.io",
        "v1",
        "CertificateSigningRequest",
        "certificates.k8s.io/v1",
        false,
    ),
    (
        "customresourcedefinitions.apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "apiextensions.k8s.io/v1",
        false,
    ),
    ("apiservices.apiregistration.k8s.io", "v1", "APIService", "apiregistration.k8s.io/v1", false),
    (
        "selfsubjectaccessreviews.authorization.k8s.io",
        "v1",
        "SelfSubjectAccessReview",
        "authorization.k8s.io/v1",
        false,
    ),
];

fn kind(name: &str) -> Kind {
    let (_, version, kind, api_version, namespaced) = KINDS
        .into_iter()
        .find(|(known, ..)| *known == name)
        .unwrap_or_else(|| panic!("{name} is no kind of these tests"));
    let (resource, group) = name.split_once('.').unwrap_or((name, ""));
    let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Kind {
        group: group.to_owned(),
        version: version.to_owned(),
        plural: plural.to_owned(),
        subresource: subresource.to_owned(),
        kind: kind.to_owned(),
        api_version: api_version.to_owned(),
        namespaced,
    }
}

fn own() -> Arc<Own> {
    Arc::new(Own {
        namespace: "claiflow".to_owned(),
        config_maps: ["grants".to_owned(), "plugin-tool".to_owned()].into(),
        accounts: ["claiflow-agent".to_owned(), "claiflow-plugin-tool".to_owned()].into(),
        workload: "claiflow-agent".to_owned(),
        credentials: "claiflow".to_owned(),
        whole_namespace: false,
    })
}

/// A grants file in which the plugin `tool` has these rules.
fn grant(rules: &Value) -> Grant {
    let file = json!({"plugins": {"tool": {"sha256": "0".repeat(64), "kubernetes": rules}}});
    Grants::parse(&file.to_string()).unwrap_or_else(|mistakes| panic!("{rules}: {mistakes:?}")).plugins["tool"].clone()
}

/// What becomes of a case: everything from the guest's text on.
fn ask(case: &Case, grant: &Grant) -> Result<(Allowed, Option<Value>), Denial> {
    let kind = kind(&case.kind);
    let at = || -> Result<Object, Denial> {
        Ok(Object {
            namespace: case.namespace.as_deref().map(Namespace::new).transpose()?,
            name: case.object.as_deref().map(Name::new).transpose()?,
        })
    };
    let fields = case.fields.as_deref().map(Mask::parse).transpose()?;
    let fields = fields.as_ref();
    let own = own();
    let caller = Caller { plugin: "tool", built_in: case.built_in, own: &own };
    let judge = |request| authorise(grant, &caller, &Access { kind: &kind, request });
    let many = || -> Result<(Scope, Selectors), Denial> {
        let scope = match case.scope.as_deref().unwrap_or_default() {
            "cluster" => Scope::Cluster,
            "granted" => Scope::Granted,
            namespace => Scope::Namespace(Namespace::new(namespace)?),
        };
        Ok((scope, Selectors::parse(&case.labels, &case.field_selector)?))
    };
    let whole = || -> Result<(Object, Value), Denial> {
        let (at, mut body) = (at()?, case.body.clone());
        identify(&kind, &at, &mut body);
        Ok((at, body))
    };
    let allowed = match case.call.as_str() {
        "get" => judge(Request::Get { at: &at()?, fields }),
        "list" => {
            let (scope, selectors) = many()?;
            judge(Request::List { scope: &scope, selectors: &selectors, fields })
        }
        "watch" => {
            let (scope, selectors) = many()?;
            judge(Request::Watch { scope: &scope, selectors: &selectors, fields })
        }
        "read-log" => judge(Request::ReadStream { at: &at()? }),
        "exec" => judge(Request::Connect { at: &at()? }),
        "create" => {
            let (at, body) = whole()?;
            judge(Request::Create { at: &at, body: &body })
        }
        "apply" => {
            let (at, body) = whole()?;
            judge(Request::Apply { at: &at, body: &body, force: case.force })
        }
        "replace" => {
            let (at, body) = whole()?;
            let allowed = judge(Request::Replace { at: &at, body: &body })?;
            let sent = allowed.settle(&case.current, &body)?;
            // Grants may change before it is sent, so it is judged once more; and what stays is no change.
            judge(Request::Replace { at: &at, body: &sent })?;
            assert_eq!(allowed.settle(&case.current, &sent)?, sent);
            return Ok((allowed, Some(sent)));
        }
        "patch" => judge(Request::Patch { at: &at()?, patch: &Patch::parse(&case.patch, case.body.clone())? }),
        "remove" => judge(Request::Delete { at: &at()? }),
        other => panic!("{other} is no call"),
    };
    allowed.map(|allowed| (allowed, None))
}

fn check(case: &Case) {
    let grant = grant(&case.rules);
    let asked = ask(case, &grant);
    match (&case.refused, asked) {
        (None, Ok((allowed, sent))) => {
            check_answer(case, &allowed, sent);
            rights::check(case, &grant, &allowed);
        }
        (None, Err(denial)) => panic!("it is refused: {denial}"),
        (Some(expected), Ok(_)) => panic!("it is allowed, not refused as {expected:?}"),
        (Some((code, part)), Err(denial)) => {
            assert_eq!(denial.code, code, "{denial}");
            assert!(denial.message.contains(part), "{denial}");
            if let Some(suggests) = &case.suggests {
                assert_eq!(denial.allow.as_ref(), Some(suggests));
            }
            if let Some(allow) = denial.allow {
                check_suggestion(case, &allow);
            }
        }
    }
}

/// What a denial says must be true: with that rule alone the same request is allowed.
fn check_suggestion(case: &Case, allow: &str) {
    let allow = allow.replace("NAMESPACE", "shop");
    let pinned = allow.replacen("{kubernetes:", &format!("{{sha256: \"{}\", kubernetes:", "0".repeat(64)), 1);
    let grants = Grants::parse(&pinned).unwrap_or_else(|mistakes| panic!("{allow}: {mistakes:?}"));
    if let Err(denial) = ask(case, &grants.plugins["tool"]) {
        panic!("it suggests {allow}, and with that: {denial}");
    }
}

fn check_answer(case: &Case, allowed: &Allowed, sent: Option<Value>) {
    if let Some(visits) = &case.visits {
        let found: Vec<String> = match allowed.visits() {
            Visits::Cluster => vec!["cluster".to_owned()],
            Visits::All => vec!["*".to_owned()],
            Visits::Namespaces(names) => names.iter().cloned().collect(),
        };
        assert_eq!(found, *visits);
    }
    for (object, shown) in &case.answers {
        assert_eq!(allowed.show(object.clone()).unwrap_or(Value::Null), *shown, "what is shown of {object}");
    }
    if let Some(sends) = &case.sends {
        assert_eq!(sent.as_ref(), Some(sends));
    }
}

/// What is allowed, the cluster must allow too under the roles that `rbac` writes.
mod rights {
    use serde::Deserialize as _;

    use super::{AgentAccount, Allowed, Case, Grant, Value, Visits, kind, rbac};

    pub(super) const AGENT: AgentAccount<'_> = AgentAccount { namespace: "claiflow", account: "claiflow-agent" };

    /// Every manifest that is written for a grant.
    pub(super) fn manifests(grant: &Grant) -> Vec<Value> {
        let text = rbac("tool", grant, &AGENT);
        let manifests = serde_yaml_ng::Deserializer::from_str(&text).map(|it| Value::deserialize(it).unwrap());
        manifests.filter(|manifest| !manifest.is_null()).collect()
    }

    pub(super) fn check(case: &Case, grant: &Grant, allowed: &Allowed) {
        let kind = kind(&case.kind);
        let (verbs, name): (&[&str], _) = match case.call.as_str() {
            "get" | "read-log" => (&["get"], case.object.as_deref()),
            "exec" => (&["get", "create"], case.object.as_deref()),
            "create" if kind.subresource.is_empty() => (&["create"], None),
            "create" => (&["create"], case.object.as_deref()),
            "apply" => (&["patch", "create"], None),
            "replace" => (&["get", "update"], case.object.as_deref()),
            "patch" => (&["patch"], case.object.as_deref()),
            "remove" => (&["delete"], case.object.as_deref()),
            "list" => (&["list"], None),
            "watch" => (&["watch"], None),
            other => panic!("{other} is no call"),
        };
        let places = match allowed.visits() {
            Visits::Cluster | Visits::All => vec![None],
            Visits::Namespaces(names) => names.iter().map(|name| Some(name.as_str())).collect(),
        };
        let manifests = manifests(grant);
        for (place, verb) in places.into_iter().flat_map(|place| verbs.iter().map(move |verb| (place, *verb))) {
            let role = |manifest: &&Value| match manifest["kind"].as_str().unwrap() {
                "ClusterRole" => true,
                "Role" => {
                    place == manifest["metadata"]["namespace"].as_str()
                        && manifest["metadata"]["name"] == "claiflow-plugin-tool"
                }
                _ => false,
            };
            let has = |list: &Value, wanted: &str| list.as_array().unwrap().iter().any(|it| it == wanted || it == "*");
            let covers = |rule: &Value| {
                has(&rule["apiGroups"], &kind.group)
                    && (has(&rule["resources"], &kind.resource())
                        || has(&rule["resources"], &format!("*/{}", kind.subresource)))
                    && has(&rule["verbs"], verb)
                    && (rule["resourceNames"].is_null() || name.is_some_and(|name| has(&rule["resourceNames"], name)))
            };
            let found = manifests.iter().filter(role).flat_map(|role| role["rules"].as_array().unwrap()).any(covers);
            assert!(found, "the cluster would not let it {verb} {kind} {name:?} in {place:?}: {manifests:#?}");
        }
    }
}

/// `over` laid over `base`, key by key.
fn lay(base: &Value, over: &Value) -> Value {
    let mut laid = base.as_object().unwrap().clone();
    laid.extend(over.as_object().unwrap().clone());
    Value::Object(laid)
}

#[test]
fn every_case_is_decided_as_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/grants");
    let (mut failures, mut counts) = (Vec::new(), BTreeMap::new());
    // The table is for `cargo xtask abuse`; a test that passes says nothing.
    let has_table = std::env::var_os("CLAIFLOW_ABUSE_TABLE").is_some();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file: File = serde_json::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!file.why.is_empty());
        for mut case in file.cases {
            let but = case.as_object_mut().unwrap().remove("but");
            let whole = lay(&file.base, &case);
            let mut variants = vec![whole.clone()];
            if let Some(but) = but {
                let mut allowed = lay(&whole, &but);
                allowed.as_object_mut().unwrap().retain(|key, _| !matches!(key.as_str(), "refused" | "suggests"));
                allowed["name"] = json!(format!("{}, but {but}", whole["name"].as_str().unwrap()));
                variants.push(allowed);
            } else {
                assert!(whole.get("refused").is_none(), "{whole} has no allowed case beside it");
            }
            for variant in variants {
                let case: Case =
                    serde_json::from_value(variant.clone()).unwrap_or_else(|error| panic!("{variant}: {error}"));
                *counts.entry(case.refused.is_some()).or_insert(0) += 1;
                if let Err(panic) = std::panic::catch_unwind(|| check(&case)) {
                    let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                    failures.push(format!("{}: {}: {text}", path.file_name().unwrap().display(), case.name));
                } else if let Some((code, _)) = case.refused.as_ref().filter(|_| has_table) {
                    println!("{:<100} {code}", case.name);
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} cases:\n{}", failures.len(), failures.join("\n"));
    assert!(counts[&true] > 100 && counts[&false] > 100, "{counts:?}");
}

#[test]
fn what_is_no_resource_is_never_asked_of_discovery() {
    for (group, version, plural, subresource, field) in [
        ("", "v1", "pods/web-1/exec?command=sh", "", "plural"),
        ("", "v1", "pods/web-1", "log", "plural"),
        ("", "v1", "", "", "plural"),
        ("", "v1", "..", "", "plural"),
        ("", "v1", "Pods", "", "plural"),
        ("", "v1", "pods%2fexec", "", "plural"),
        ("", "v1", "pods", "exec?command=sh", "subresource"),
        ("", "v1", "pods", "../secrets", "subresource"),
        ("", "v1/namespaces/kube-system", "pods", "", "version"),
        ("", "../v1", "pods", "", "version"),
        ("apps/v1", "v1", "deployments", "", "group"),
        ("apps#", "v1", "deployments", "", "group"),
        ("..", "v1", "deployments", "", "group"),
    ] {
        let refused = shape::resource(group, version, plural, subresource).unwrap_err();
        assert_eq!(refused.field, field, "{refused}");
    }
    for (group, version, plural, subresource) in [
        ("", "", "pods", ""),
        ("apps", "v1", "deployments", "scale"),
        ("rbac.authorization.k8s.io", "v1beta1", "roles", ""),
    ] {
        shape::resource(group, version, plural, subresource).unwrap();
    }
}

#[test]
fn a_plugin_gets_the_smallest_role_that_its_grants_need() {
    let file = include_str!("rbac/grants.yaml");
    let grants = Grants::parse(file).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    for (plugin, grant) in &grants.plugins {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/rbac/{plugin}.yaml"));
        let written = rbac(plugin, grant, &rights::AGENT);
        if std::env::var_os("CLAIFLOW_GENERATE").is_some() {
            fs::write(&path, &written).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap_or_default(), written, "{}", path.display());
    }
}

#[test]
fn the_examples_of_the_documentation_are_grants_files() {
    for (page, at_least) in [(include_str!("../../docs/grants.md"), 4), (include_str!("../../docs/prometheus.md"), 1)] {
        let examples: Vec<_> = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        assert!(examples.len() >= at_least, "{examples:?}");
        for example in examples {
            Grants::parse(example).unwrap_or_else(|mistakes| panic!("{example}: {mistakes:?}"));
        }
    }
}
