//! What no cassette holds: values of Secrets, and tokens wherever they stand.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

/// Stands where a value was.
pub const REDACTED: &str = "<redacted>";

/// Members that are a credential in any object of Kubernetes, in lower case.
const CREDENTIALS: [&str; 7] =
    ["token", "bearertoken", "password", "passwd", "client-key-data", "clientsecret", "accesskey"];
/// An environment variable of such a name holds one.
const VARIABLES: [&str; 5] = ["token", "password", "passwd", "secret", "credential"];
/// A header or a parameter is one whose name holds such a word, dashes left aside.
const SECRET_NAMES: [&str; 9] =
    ["authorization", "cookie", "token", "password", "passwd", "secret", "credential", "apikey", "signature"];
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// A JSON web token has three parts of base64url, of which the first begins with `{"`.
const JWT_START: &str = "eyJ";
const JWT_MIN_BYTES: usize = 40;
/// What follows the word `Bearer` is a token from this length on.
const BEARER_MIN_BYTES: usize = 6;
/// A shorter value is found in words that have nothing to do with it.
const SCRUBBED_MIN_BYTES: usize = 6;

/// A document without them. `secret`: its objects are Secrets, whether or not they say so. What no plugin is ever shown is
/// left out too.
#[must_use]
pub fn value(value: Value, secret: bool) -> Value {
    taken(value, secret, &mut BTreeSet::new())
}

/// The same, and what was taken out of it.
pub(crate) fn taken(mut value: Value, secret: bool, out: &mut BTreeSet<String>) -> Value {
    walk(&mut value, secret, out);
    value
}

/// A document without what was taken out of another one, wherever it was carried: a plugin may have decoded it.
#[must_use]
pub fn scrubbed(value: Value, taken: &BTreeSet<String>) -> Value {
    match value {
        Value::String(mut said) => {
            for secret in taken.iter().filter(|secret| secret.len() >= SCRUBBED_MIN_BYTES) {
                if said.contains(secret.as_str()) {
                    said = said.replace(secret.as_str(), REDACTED);
                }
            }
            Value::String(said)
        }
        Value::Array(items) => items.into_iter().map(|item| scrubbed(item, taken)).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, scrubbed(value, taken))).collect(),
        value => value,
    }
}

/// Whether a parameter or header of that name holds a credential.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name: String = name.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    SECRET_NAMES.iter().any(|word| name.contains(word))
}

/// Replaces a text by its sign, and remembers it.
pub(crate) fn secret(said: String, out: &mut BTreeSet<String>) -> String {
    out.insert(said);
    REDACTED.to_owned()
}

/// Replaces a value, and remembers it as it was and as it is meant.
fn take(value: &mut Value, out: &mut BTreeSet<String>) {
    if let Value::String(said) = value {
        let decoded = STANDARD.decode(&*said).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        out.extend(decoded);
        out.insert(std::mem::take(said));
    }
    *value = REDACTED.into();
}

/// A text without tokens.
#[must_use]
pub fn text(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '~' | '+' | '/' | '=');
    let mut clean = String::with_capacity(text.len());
    let (mut rest, mut after_bearer) = (text, false);
    while !rest.is_empty() {
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let is_token = word.len() >= JWT_MIN_BYTES && word.contains(JWT_START) && word.matches('.').count() >= 2;
        clean.push_str(if is_token || after_bearer && word.len() >= BEARER_MIN_BYTES { REDACTED } else { word });
        let gap = after.find(is_part).unwrap_or(after.len());
        let (between, after) = after.split_at(gap);
        clean.push_str(between);
        after_bearer = word.eq_ignore_ascii_case("bearer") && between.chars().all(|c| c == ' ' || c == ':');
        rest = after;
    }
    clean
}

fn walk(value: &mut Value, secret: bool, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => object(map, secret, out),
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, secret, out)),
        Value::String(said) if said.len() >= JWT_MIN_BYTES || said.contains("earer ") => *said = text(said),
        _ => {}
    }
}

fn object(map: &mut Map<String, Value>, secret: bool, out: &mut BTreeSet<String>) {
    let kind = map.get("kind").and_then(Value::as_str);
    let secret = secret || matches!(kind, Some("Secret" | "SecretList"));
    if let Some(Value::Object(metadata)) = map.get_mut("metadata") {
        metadata.remove("managedFields");
        if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
            annotations.remove(LAST_APPLIED);
        }
    }
    if secret {
        for key in ["data", "stringData"] {
            if let Some(Value::Object(values)) = map.get_mut(key) {
                values.values_mut().filter(|value| !value.is_null()).for_each(|value| take(value, out));
            }
        }
        // An operation of a JSON patch.
        let into = map.get("path").and_then(Value::as_str);
        if into.is_some_and(|path| path.starts_with("/data") || path.starts_with("/stringData"))
            && let Some(value) = map.get_mut("value")
        {
            take(value, out);
        }
    }
    let variable = map.get("name").and_then(Value::as_str).map(str::to_ascii_lowercase);
    if variable.is_some_and(|name| VARIABLES.iter().any(|word| name.contains(word)))
        && let Some(said @ Value::String(_)) = map.get_mut("value")
    {
        take(said, out);
    }
    for (key, value) in map.iter_mut() {
        if matches!(value, Value::String(_)) && CREDENTIALS.contains(&key.to_ascii_lowercase().as_str()) {
            take(value, out);
        } else {
            walk(value, secret, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::{is_secret_name, scrubbed, taken, text, value};

    const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJlLW9mLWl0";

    #[test]
    fn values_of_secrets_and_tokens_are_replaced_and_nothing_else_is() {
        for (secret, found, left) in [
            (
                false,
                json!({"kind": "Secret", "metadata": {"name": "db", "managedFields": []}, "data": {"password": "cGFzcw=="}}),
                json!({"kind": "Secret", "metadata": {"name": "db"}, "data": {"password": "<redacted>"}}),
            ),
            (
                true,
                json!({"items": [{"data": {"a": "YQ=="}, "stringData": {"b": "b", "c": null}}]}),
                json!({"items": [{"data": {"a": "<redacted>"}, "stringData": {"b": "<redacted>", "c": null}}]}),
            ),
            (
                true,
                json!([{"op": "add", "path": "/data/a", "value": "YQ=="}, {"op": "add", "path": "/metadata/labels/x", "value": "y"}]),
                json!([{"op": "add", "path": "/data/a", "value": "<redacted>"}, {"op": "add", "path": "/metadata/labels/x", "value": "y"}]),
            ),
            (
                false,
                json!({"kind": "ConfigMap", "data": {"a": "b"}, "status": {"token": "abc", "tokens": 3}}),
                json!({"kind": "ConfigMap", "data": {"a": "b"}, "status": {"token": "<redacted>", "tokens": 3}}),
            ),
            (
                false,
                json!({"env": [{"name": "DB_PASSWORD", "value": "x"}, {"name": "HOME", "value": "/root"}]}),
                json!({"env": [{"name": "DB_PASSWORD", "value": "<redacted>"}, {"name": "HOME", "value": "/root"}]}),
            ),
            (
                false,
                json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"}}}),
                json!({"metadata": {"annotations": {"a": "b"}}}),
            ),
        ] {
            assert_eq!(value(found.clone(), secret), left, "{found}");
        }
    }

    #[test]
    fn what_was_taken_out_is_found_where_a_plugin_carried_it() {
        let mut out = BTreeSet::new();
        let secret = json!({"kind": "Secret", "data": {"password": "aHVudGVyMi1vZi10aGUtZGI="}});
        assert_eq!(taken(secret, false, &mut out)["data"]["password"], "<redacted>");
        let carried = json!([{"url": "https://user:hunter2-of-the-db@db"}, "aHVudGVyMi1vZi10aGUtZGI=", "hunter2"]);
        assert_eq!(scrubbed(carried, &out), json!([{"url": "https://user:<redacted>@db"}, "<redacted>", "hunter2"]));
    }

    #[test]
    fn a_name_says_whether_its_value_is_secret() {
        for name in ["Authorization", "set-cookie", "X-Api-Key", "access_token", "client-secret", "X-Amz-Signature"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["accept", "x-request-id", "query", "key", "author"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn a_text_keeps_all_but_its_tokens() {
        for (said, left) in [
            (format!("got {JWT}, going on\n"), "got <redacted>, going on\n".to_owned()),
            ("Authorization: Bearer abc123".to_owned(), "Authorization: Bearer <redacted>".to_owned()),
            ("a bearer of news".to_owned(), "a bearer of news".to_owned()),
            ("web-7d4b9c6f5d-x2x4z 10.0.0.1/24".to_owned(), "web-7d4b9c6f5d-x2x4z 10.0.0.1/24".to_owned()),
        ] {
            assert_eq!(text(&said), left);
        }
    }
}
