//! Where a variable of the environment comes from: it is set there.

use std::collections::BTreeMap;

use claiflow_sdk::{Error, kubernetes::Query};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    objects::{self, Kept},
    place::text,
};

const NAME_MAX_BYTES: usize = 253;

/// Where a variable is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    /// In the container itself.
    Container,
    /// In a ConfigMap or a Secret, under this key.
    Object {
        #[serde(flatten)]
        kept: Kept,
        key: String,
    },
}

/// Whether a variable may be set; `allowed` none: any.
///
/// # Errors
/// `invalid` where it cannot name a variable, `denied` where the operator does not name it.
pub(super) fn check(name: &str, allowed: Option<&[String]>) -> Result<(), Error> {
    let mut bytes = name.bytes();
    let is_name = name.len() <= NAME_MAX_BYTES
        && bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || matches!(first, b'_' | b'-' | b'.'))
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    if is_name {
        return match allowed {
            Some(allowed) if !allowed.iter().any(|it| it == name) => {
                let said = format!(
                    "env_configs: `{name}` is none of `config: {{variables: […]}}` of this plugin in the grants file"
                );
                Err(Error::new("denied", said))
            }
            _ => Ok(()),
        };
    }
    let message = format!("env_configs: `{}` names no variable; letters, digits, `_`, `-`, `.`", name.escape_debug());
    Err(Error::invalid(message))
}

/// Where each variable is set now. One that is nowhere is set in the container.
///
/// # Errors
/// `invalid` for one that the kubelet makes; where an object cannot be read.
pub(super) fn sources<'a>(
    namespace: &str,
    container: &Value,
    names: impl Iterator<Item = &'a String>,
) -> Result<BTreeMap<String, Source>, Error> {
    names.map(|name| Ok((name.clone(), source(namespace, container, name)?))).collect()
}

fn source(namespace: &str, container: &Value, name: &str) -> Result<Source, Error> {
    let list = |pointer| container.pointer(pointer).and_then(Value::as_array).into_iter().flatten().rev();
    // Of two entries the later one counts, and any of them before what comes by `envFrom`.
    if let Some(entry) = list("/env").find(|entry| text(entry, "/name") == Some(name)) {
        let Some(from) = entry.get("valueFrom") else { return Ok(Source::Container) };
        let by_key = |reference: &str, kept: fn(&str) -> Kept| {
            let found = from.get(reference)?;
            Some(Source::Object { kept: kept(text(found, "/name")?), key: text(found, "/key")?.to_owned() })
        };
        let found = by_key("configMapKeyRef", Kept::config_map).or_else(|| by_key("secretKeyRef", Kept::secret));
        return found.ok_or_else(|| {
            let made = "is made by Kubernetes of the pod itself, and cannot be set";
            Error::invalid(format!("env_configs: `{name}` {made}"))
        });
    }
    for from in list("/envFrom") {
        let Some(key) = name.strip_prefix(text(from, "/prefix").unwrap_or_default()) else { continue };
        let kept = text(from, "/configMapRef/name").map(Kept::config_map);
        let Some(kept) = kept.or_else(|| text(from, "/secretRef/name").map(Kept::secret)) else { continue };
        let object = kept.api(namespace).find(&kept.name, &Query::new()).map_err(|error| error.while_doing(&kept))?;
        if object.as_ref().and_then(|object| objects::data(object)?.get(key)).is_some() {
            return Ok(Source::Object { kept, key: key.to_owned() });
        }
    }
    Ok(Source::Container)
}

/// The container's list with these values; none where it stays as it is.
pub(super) fn list(container: &Value, values: &BTreeMap<&str, &str>) -> Option<Value> {
    if values.is_empty() {
        return None;
    }
    let mut entries = container.get("env").and_then(Value::as_array).cloned().unwrap_or_default();
    for (name, value) in values {
        entries.retain(|entry| text(entry, "/name") != Some(name));
        entries.push(json!({"name": name, "value": value}));
    }
    Some(Value::Array(entries))
}

#[cfg(test)]
mod tests {
    use super::{Source, check, list, source};
    use crate::client::objects::Kept;
    use claiflow_sdk::testing::Cluster;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn a_variable_is_set_where_it_comes_from() {
        let cluster = Cluster::new();
        cluster.put(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "ns", "name": "all"}, "data": {"B": "1"}}));
        let container = json!({
            "env": [
                {"name": "A", "value": "early"},
                {"name": "M", "valueFrom": {"configMapKeyRef": {"name": "map", "key": "m"}}},
                {"name": "S", "valueFrom": {"secretKeyRef": {"name": "token", "key": "t"}}},
                {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "map", "key": "later"}}},
                {"name": "D", "value": "direct"},
            ],
            "envFrom": [{"configMapRef": {"name": "all"}, "prefix": "P_"}, {"configMapRef": {"name": "gone"}}],
        });
        let object = |kept: Kept, key: &str| Source::Object { kept, key: key.into() };
        for (name, expected) in [
            ("A", object(Kept::config_map("map"), "later")),
            ("M", object(Kept::config_map("map"), "m")),
            ("S", object(Kept::secret("token"), "t")),
            ("D", Source::Container),
            ("P_B", object(Kept::config_map("all"), "B")),
            ("P_C", Source::Container),
            ("NEW", Source::Container),
        ] {
            assert_eq!(source("ns", &container, name).unwrap(), expected, "{name}");
        }
        assert_eq!(source("ns", &container, "POD").unwrap_err().code(), "invalid");
    }

    #[test]
    fn a_list_keeps_what_is_not_named() {
        let container = json!({"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]});
        let values = BTreeMap::from([("A", "3"), ("C", "4")]);
        let expected = json!([{"name": "B", "value": "2"}, {"name": "A", "value": "3"}, {"name": "C", "value": "4"}]);
        assert_eq!(list(&container, &values), Some(expected));
        assert_eq!(list(&container, &BTreeMap::new()), None);
    }

    #[test]
    fn what_names_no_variable_is_refused() {
        for name in ["", "1A", "A=B", "A B", "ä"] {
            assert_eq!(check(name, None).unwrap_err().code(), "invalid", "{name}");
        }
        assert!(check("CLAIFLOW_SERVER_URL", None).is_ok());
        let allowed = ["CLAIFLOW_SERVER_URL".to_owned()];
        assert!(check("CLAIFLOW_SERVER_URL", Some(&allowed)).is_ok());
        assert_eq!(check("LD_PRELOAD", Some(&allowed)).unwrap_err().code(), "denied");
    }
}
