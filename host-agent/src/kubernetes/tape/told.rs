//! What an HTTP request asks, in the words of the grants file.

use std::collections::BTreeMap;

use http::{
    Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde_json::Value;

use super::Told;
use crate::{
    kubernetes::Request,
    tape::{form, redact},
};

/// Parts of a query that say nothing of what a plugin asked.
const LEFT_OUT: [&str; 8] = [
    "fieldManager",
    "timeoutSeconds",
    "allowWatchBookmarks",
    "fieldValidation",
    "watch",
    "stdout",
    "stderr",
    "sendInitialEvents",
];
/// Subresources of a namespace, which stand where a plural of its objects would.
const OF_NAMESPACES: [&str; 2] = ["status", "finalize"];

impl Told {
    /// What is asked, with secrets' values replaced. The parts of the path came from discovery or passed a shape check.
    pub(in crate::kubernetes) fn of(request: &Request) -> Self {
        let http = &request.http;
        let place = Place::of(http.uri().path());
        let query = form::decoded(http.uri().query().unwrap_or_default());
        let header = |name| http.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut options = BTreeMap::new();
        let mut verb = verb(http.method(), &place, query.contains_key("watch"));
        for (key, values) in &query {
            if LEFT_OUT.contains(&key.as_str()) {
                continue;
            }
            let mut values: Vec<Value> = values.iter().map(|value| Value::from(value.as_str())).collect();
            let value = if key == "command" { Value::Array(values) } else { values.pop().unwrap_or_default() };
            options.insert(kebab(key), value);
        }
        if http.method() == Method::PATCH {
            let patch_type = match header(CONTENT_TYPE) {
                text if text.contains("json-patch") => "json",
                text if text.contains("strategic") => "strategic",
                text if text.contains("apply") => "apply",
                _ => "merge",
            };
            match patch_type {
                "apply" if options.remove("force").is_some() => verb = "force-apply",
                "apply" => verb = "apply",
                other => drop(options.insert("patch-type".to_owned(), other.into())),
            }
        }
        if header(ACCEPT).contains("PartialObjectMetadata") {
            options.insert("metadata-only".to_owned(), true.into());
        }
        let is_secret = place.group.is_empty() && place.resource == "secrets";
        let body = serde_json::from_slice::<Value>(http.body()).ok().map(|body| redact::value(body, is_secret));
        Self {
            verb: verb.to_owned(),
            group: place.group,
            version: place.version,
            resource: place.resource,
            namespace: place.namespace,
            name: place.name,
            options,
            body: body.filter(|body| !matches!(body, Value::Object(map) if map.is_empty())),
        }
    }

    /// The function of the contract that asks so.
    pub(super) fn function(&self) -> &'static str {
        match (self.verb.as_str(), self.resource.as_str()) {
            ("get", "pods/log") => "kubernetes.read-log",
            ("create", "pods/exec") => "kubernetes-exec.exec",
            ("get", _) => "kubernetes.get",
            ("list", _) => "kubernetes.list-objects",
            ("watch", _) => "kubernetes.watch",
            ("create", _) => "kubernetes-write.create",
            ("apply" | "force-apply", _) => "kubernetes-write.apply",
            ("update", _) => "kubernetes-write.replace",
            ("patch", _) => "kubernetes-write.patch",
            _ => "kubernetes-write.remove",
        }
    }

    /// Whether its objects may hold what nobody else should read.
    pub(super) fn is_of_secrets(&self) -> bool {
        self.group.is_empty() && self.resource == "secrets"
    }
}

fn verb(method: &Method, place: &Place, watches: bool) -> &'static str {
    match *method {
        _ if place.resource == "pods/exec" => "create",
        Method::GET if place.name.is_some() => "get",
        Method::GET if watches => "watch",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        _ => "delete",
    }
}

#[derive(Default)]
struct Place {
    group: String,
    version: String,
    resource: String,
    namespace: Option<String>,
    name: Option<String>,
}

impl Place {
    fn of(path: &str) -> Self {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            rest => ("", "", rest),
        };
        let (namespace, rest) = match rest {
            ["namespaces", _, of] if OF_NAMESPACES.contains(of) => (None, rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some((*namespace).to_owned()), rest),
            rest => (None, rest),
        };
        let mut rest = rest.iter();
        let plural = rest.next().copied().unwrap_or_default();
        let name = rest.next().map(|name| (*name).to_owned());
        let below: Vec<&str> = rest.copied().collect();
        let resource = if below.is_empty() { plural.to_owned() } else { format!("{plural}/{}", below.join("/")) };
        Self { group: group.to_owned(), version: version.to_owned(), resource, namespace, name }
    }
}

/// `labelSelector` as the contract would write it: `label-selector`.
fn kebab(key: &str) -> String {
    let mut text = String::with_capacity(key.len() + 2);
    for letter in key.chars() {
        if letter.is_ascii_uppercase() {
            text.push('-');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Told;
    use crate::{
        grants::kubernetes::{Kind, Name, Namespace, Object, Patch},
        kubernetes::{ExecOptions, LogOptions, Request, Writing},
    };

    fn kind(group: &str, plural: &str, subresource: &str, namespaced: bool) -> Kind {
        let (plural, subresource) = (plural.to_owned(), subresource.to_owned());
        let (version, kind, api_version) = ("v1".to_owned(), "Kind".to_owned(), "v1".to_owned());
        Kind { group: group.to_owned(), version, plural, subresource, kind, api_version, namespaced }
    }

    fn at(namespace: Option<&str>, name: &str) -> Object {
        let namespace = namespace.map(|namespace| Namespace::new(namespace).unwrap());
        Object { namespace, name: Some(Name::new(name).unwrap()) }
    }

    #[test]
    fn a_request_is_told_as_the_grants_file_would_name_it() {
        let (pod, writing) = (at(Some("shop"), "web"), Writing { manager: "claiflow:tool".into(), dry_run: true });
        let pods = kind("", "pods", "", true);
        let merge = Patch::parse("merge", json!({"spec": {"replicas": 3}})).unwrap();
        let log = LogOptions { container: Some("app".into()), tail_lines: Some(5), ..LogOptions::default() };
        let exec = kind("", "pods", "exec", true);
        let command = ["sh".to_owned(), "-c".to_owned(), "echo a+b %".to_owned()];
        let exec = Request::exec(&exec, &pod, None, &command, &ExecOptions::default());
        for (request, function, told) in [
            (
                Request::get(&kind("apps", "deployments", "scale", true), &pod),
                "kubernetes.get",
                json!({"verb": "get", "group": "apps", "version": "v1", "resource": "deployments/scale", "namespace": "shop",
                       "name": "web"}),
            ),
            (
                Request::get(&kind("", "namespaces", "status", false), &at(None, "shop")),
                "kubernetes.get",
                json!({"verb": "get", "group": "", "version": "v1", "resource": "namespaces/status", "name": "shop"}),
            ),
            (
                Request::patch(&pods, &pod, &merge, &writing),
                "kubernetes-write.patch",
                json!({"verb": "patch", "group": "", "version": "v1", "resource": "pods", "namespace": "shop", "name": "web",
                       "options": {"dry-run": "All", "patch-type": "merge"}, "body": {"spec": {"replicas": 3}}}),
            ),
            (
                Request::apply(&pods, &pod, &json!({"a": 1}), true, &writing),
                "kubernetes-write.apply",
                json!({"verb": "force-apply", "group": "", "version": "v1", "resource": "pods", "namespace": "shop",
                       "name": "web", "options": {"dry-run": "All"}, "body": {"a": 1}}),
            ),
            (
                Request::log(&kind("", "pods", "log", true), &pod, &log),
                "kubernetes.read-log",
                json!({"verb": "get", "group": "", "version": "v1", "resource": "pods/log", "namespace": "shop", "name": "web",
                       "options": {"container": "app", "tail-lines": "5"}}),
            ),
            (
                exec,
                "kubernetes-exec.exec",
                json!({"verb": "create", "group": "", "version": "v1", "resource": "pods/exec", "namespace": "shop",
                       "name": "web", "options": {"command": ["sh", "-c", "echo a+b %"]}}),
            ),
        ] {
            let found = Told::of(&request.unwrap());
            assert_eq!(serde_json::to_value(&found).unwrap(), told);
            assert_eq!(found.function(), function);
        }
    }
}
