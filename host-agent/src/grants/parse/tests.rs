//! The file of `plugins.md`, and what each kind of mistake answers.

use std::time::Duration;

use crate::{
    executor::commands::Effect,
    grants::{
        Addresses, Glob, Grants, Mistake, Unlisted,
        kubernetes::{Identity, IdentityBy, Namespaces},
    },
};

const WHOLE: &str = r#"
unlisted: deny
plugins:
  restart-tool:
    sha256: "9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c"
    commands: ["restart.*"]
    effect: {"restart.*": never}
    config: {grace: 30s, size: 18446744073709551615}
    kubernetes:
      - {groups: [apps], resources: [deployments], verbs: [get, list, patch], namespaces: [shop], names: ["web-*"],
         read: [metadata.name, spec, status], write: ["spec.template.metadata.annotations.kubectl.kubernetes.io/restartedAt"]}
    http: [{url: "https://prometheus.monitoring.svc:9090", methods: [GET, POST], paths: ["/api/v1/*"], addresses: cluster, ca: cluster}]
    credentials: {"grafana-*": {hosts: ["https://grafana.example.com"], methods: [GET]}}
    process: [helm.upgrade, helm.history]
    account: restarter
    identity: impersonate
    limits: {memory: 64Mi, cpu: 2s, wall: 30s, host_calls: 200, concurrency: 8}
"#;

#[test]
fn every_section_of_the_documented_file_is_read() {
    let grants = Grants::parse(WHOLE).unwrap();
    assert_eq!(grants.unlisted, Unlisted::Deny);
    let grant = &grants.plugins["restart-tool"];
    assert_eq!(grant.sha256.unwrap()[..2], [0x9f, 0x2c]);
    assert_eq!(grant.commands, Some(vec![Glob::new("restart.*")]));
    assert_eq!(grant.effect, [(Glob::new("restart.*"), Effect::Never)]);
    assert_eq!(serde_json::to_string(&grant.config).unwrap(), r#"{"grace":"30s","size":18446744073709551615}"#);
    assert_eq!(grant.limits.memory_bytes, Some(64 << 20));
    assert_eq!(grant.limits.cpu, Some(Duration::from_secs(2)));
    assert_eq!(grant.limits.concurrency, Some(8));
    let rule = &grant.kubernetes[0];
    assert_eq!(rule.verbs.iter().map(|verb| verb.as_str()).collect::<Vec<_>>(), ["get", "list", "patch"]);
    assert_eq!(rule.namespaces, Namespaces::These(["shop".to_owned()].into()));
    assert_eq!(rule.read.texts(), ["metadata.name", "spec", "status"]);
    assert!(!rule.dangerous && !rule.cluster_scope);
    assert_eq!(grant.identity, Identity { account: Some("restarter".into()), by: IdentityBy::Impersonate });
    assert_eq!(grant.http[0].addresses, Addresses::Cluster);
    assert_eq!(grant.credentials[0].1.methods, ["GET"]);
    assert_eq!(grant.process, ["helm.upgrade", "helm.history"]);
}

#[test]
fn an_empty_file_grants_nothing() {
    for text in ["", "# nothing\n", "plugins:\n", "plugins: {}\n"] {
        assert_eq!(Grants::parse(text).unwrap(), Grants::default(), "{text:?}");
    }
}

#[test]
fn a_mistake_says_where_it_is_and_what_would_be_right() {
    for (text, at, message) in [
        ("plugin: {}", "", "did you mean `plugins`?"),
        ("plugins: {a: {comands: [x]}}", "plugins.a", "did you mean `commands`?"),
        ("plugins: {a: {limits: {memory: lots}}}", "plugins.a.limits.memory", "64Mi"),
        ("plugins: {a: {limits: {memory: 1}}}", "plugins.a.limits.memory", "64Ki"),
        ("plugins: {a: {limits: {concurrency: 0}}}", "plugins.a.limits.concurrency", "from 1"),
        ("plugins: {a: {sha256: abc}}", "plugins.a.sha256", "64 hexadecimal"),
        (
            "plugins: {a: {sha256: \"+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1\"}}",
            "plugins.a.sha256",
            "64 hexadecimal",
        ),
        ("plugins: {a: {commands: all}}", "plugins.a.commands", "expected a list"),
        ("plugins: {a: {effect: {x: maybe}}}", "plugins.a.effect.x", "read, idempotent, verify, never"),
        ("plugins: {a: {process: [helm.upgrade]}}", "plugins.a", "needs `sha256`"),
        ("plugins: {claiflow: {system: [agent]}}", "plugins.claiflow", "needs `sha256`"),
        ("plugins: {claiflow: {system: [agents]}}", "plugins.claiflow.system[0]", "none of credentials, agent"),
        ("plugins: {claiflow: {system: agent}}", "plugins.claiflow.system", "expected a list"),
        ("plugins: {a: {system: [agent]}}", "plugins.a.system", "only the plugin `claiflow`"),
        ("plugins: {a: {http: [{methods: [GET]}]}}", "plugins.a.http[0]", "needs `url`"),
        (
            "plugins: {a: {http: [{url: \"http://x\", methods: [GET, PUT], reads: [PUT]}]}}",
            "plugins.a.http[0].reads[0]",
            "none of POST",
        ),
        (
            "plugins: {a: {http: [{url: \"http://x\", methods: [GET], reads: [POST]}]}}",
            "plugins.a.http[0].reads[0]",
            "not among the entry's `methods`",
        ),
        ("plugins: {a: {config: [1]}}", "plugins.a.config", "a mapping"),
        ("unlisted: maybe", "unlisted", "allow, deny"),
        ("plugins: [", "the file", ""),
        ("plugins: {a: {}, a: {}}", "the file", "duplicate"),
        ("- a", "", "expected a mapping"),
    ] {
        let mistakes = Grants::parse(text).unwrap_err();
        assert!(
            mistakes.iter().any(|mistake| mistake.at == at && mistake.message.contains(message)),
            "{text}: {mistakes:?}"
        );
    }
}

#[test]
fn a_rule_that_could_only_be_a_misunderstanding_is_a_mistake() {
    const WHOLE: &str = "groups: [apps], resources: [deployments], verbs: [get], namespaces: [shop]";
    for (rule, message) in [
        ("resources: [pods], verbs: [get]", "needs `groups`"),
        ("groups: [\"\"], verbs: [get]", "needs `resources`"),
        ("groups: [\"\"], resources: [pods]", "needs `verbs`"),
        ("groups: [\"\"], resources: [pods], verbs: [get]", "holds nowhere"),
        (
            "groups: [\"\"], resources: [pods], verbs: [get], namespaces: [], scope: namespaced",
            "or write `scope: cluster`",
        ),
        ("groups: [\"\"], resources: [pods], verbs: [\"*\"]", "name those that are needed"),
        ("groups: [\"\"], resources: [pods], verbs: [impersonate]", "never granted"),
        ("groups: [\"\"], resources: [pods], verbs: [deletecollection]", "never granted"),
        ("groups: [\"\"], resources: [pods], verbs: [exec]", "`pods/exec`"),
        ("groups: [\"\"], resources: [pods], verbs: [read]", "none of get, list"),
        ("groups: [apps/v1], resources: [deployments], verbs: [get]", "no API group"),
        ("groups: [\"app*\"], resources: [deployments], verbs: [get]", "no API group"),
        ("groups: [apps], resources: [Deployment], verbs: [get]", "they match exactly"),
        ("groups: [apps], resources: [\"deploy*\"], verbs: [get]", "they match exactly"),
        ("groups: [\"\"], resources: [\"pods/*\"], verbs: [get]", "they match exactly"),
        ("groups: [\"\"], resources: [\"pods/\"], verbs: [get]", "they match exactly"),
        ("groups: [\"\"], resources: [\"pods/log/x\"], verbs: [get]", "they match exactly"),
        ("groups: [\"\"], resources: [pods/log], verbs: [get], read: [metadata]", "gives bytes"),
        ("groups: [apps], resources: [deployments], verbs: [apply]", "needs `create`"),
        ("groups: [apps], resources: [deployments], verbs: [force-apply]", "needs `create`"),
        ("groups: [apps], resources: [deployments], verbs: [get], namespaces: [\"shop-*\"]", "name one in whole"),
        ("groups: [apps], resources: [deployments], verbs: [get], namespaces: [\"\"]", "is no namespace"),
        ("groups: [apps], resources: [deployments], verbs: [get], names: [\"a/b\"]", "matches no name"),
        ("groups: [apps], resources: [deployments], verbs: [get], scope: all", "cluster, namespaced"),
        ("groups: [apps], resources: [deployments], verbs: [get], dangerous: yes please", "true or false"),
        ("groups: [apps], resources: [deployments], verbs: [get], reads: [spec]", "did you mean `read`?"),
        ("groups: [apps], resources: [deployments], verbs: [get], read: [/spec]", "a JSON pointer"),
        ("groups: [apps], resources: [deployments], verbs: [get], read: [\"spec[0]\"]", "write `*` for the elements"),
        ("groups: [apps], resources: [deployments], verbs: [get], read: [\"spec.web-*\"]", "a whole key"),
        ("groups: [apps], resources: [deployments], verbs: [get], write: [spec..x]", "an empty key"),
        ("groups: [apps], resources: [deployments], verbs: [get], write: [\"\"]", "1 to 512 bytes"),
    ] {
        let text = format!("plugins: {{a: {{sha256: \"{}\", kubernetes: [{{{rule}}}]}}}}", "0".repeat(64));
        let mistakes = Grants::parse(&text).unwrap_err();
        let found =
            |mistake: &Mistake| mistake.at.starts_with("plugins.a.kubernetes[0]") && mistake.message.contains(message);
        assert!(mistakes.iter().any(found), "{rule}: {mistakes:?}");
    }
    for (keys, message) in [
        ("identity: nobody", "token, impersonate, agent"),
        ("account: \"A/B\"", "a ServiceAccount"),
        ("account: web, identity: agent", "drop one"),
    ] {
        let text = format!("plugins: {{a: {{sha256: \"{}\", {keys}, kubernetes: [{{{WHOLE}}}]}}}}", "0".repeat(64));
        let mistakes = Grants::parse(&text).unwrap_err();
        assert!(mistakes.iter().any(|mistake| mistake.message.contains(message)), "{keys}: {mistakes:?}");
    }
    let text = format!("plugins: {{My_Tool: {{sha256: \"{}\", kubernetes: [{{{WHOLE}}}]}}}}", "0".repeat(64));
    assert!(Grants::parse(&text).unwrap_err()[0].message.contains("say in `account`"));
    let text = text.replace("sha256", "account: my-tool, sha256");
    assert_eq!(Grants::parse(&text).unwrap().plugins["My_Tool"].identity.account_of("My_Tool"), "my-tool");
}

#[test]
fn a_file_over_the_limit_is_not_parsed() {
    assert!(Grants::parse(&"#".repeat((1 << 20) + 1)).unwrap_err()[0].message.contains("at most"));
}
