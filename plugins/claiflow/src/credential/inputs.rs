//! What the commands take.

use std::collections::BTreeMap;

use claiflow_sdk::Error;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

const SECRET: &str = "k8s/secret";
const VOLUME: &str = "volume";

/// Credentials by their keys.
#[derive(Deserialize, JsonSchema)]
pub struct Store {
    pub(super) credentials: BTreeMap<String, Given>,
}

/// One credential.
#[derive(Deserialize, JsonSchema)]
pub struct Given {
    /// What it opens: `grafana`, `openstack`, `ncp`, or a word of one's own.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// `k8s/secret`, also where nothing is said, or `volume`.
    #[serde(default)]
    storage: Option<String>,
    /// The secret: a text for `grafana`, an object for `openstack` and `ncp`.
    #[serde(default)]
    pub(super) data: Value,
}

/// Which credentials.
#[derive(Deserialize, JsonSchema)]
pub struct Remove {
    pub(super) credential_keys: Vec<Named>,
}

/// One credential by its key.
#[derive(Deserialize, JsonSchema)]
pub struct Named {
    pub(super) key: String,
    /// `k8s/secret`, also where nothing is said, or `volume`.
    #[serde(default)]
    storage: Option<String>,
}

/// Where a credential is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) storage: &'static str,
    pub(super) key: String,
}

impl Given {
    /// Where it goes, once it is known to be whole. No message quotes the data.
    pub(super) fn place(&self, key: &str) -> Result<Place, Error> {
        let at = format!("credentials.{key}");
        let fits = match self.kind.as_str() {
            "" => return Err(Error::invalid(format!("{at}.type: it is empty; write `grafana`, `openstack` or `ncp`"))),
            "grafana" => self.data.is_string(),
            "openstack" | "ncp" => self.data.is_object(),
            _ => self.data.is_string() || self.data.is_object(),
        };
        if !fits {
            let wanted = if self.kind == "grafana" { "a text" } else { "an object" };
            return Err(Error::invalid(format!("{at}.data: expected {wanted} for the type `{}`", self.kind)));
        }
        Ok(Place { storage: storage(self.storage.as_deref(), &at)?, key: key.to_owned() })
    }
}

impl Named {
    pub(super) fn place(&self, index: usize) -> Result<Place, Error> {
        let storage = storage(self.storage.as_deref(), &format!("credential_keys[{index}]"))?;
        Ok(Place { storage, key: self.key.clone() })
    }
}

fn storage(said: Option<&str>, at: &str) -> Result<&'static str, Error> {
    match said {
        None | Some("" | SECRET) => Ok(SECRET),
        Some(VOLUME) => Ok(VOLUME),
        Some(_) => Err(Error::invalid(format!("{at}.storage: expected `{SECRET}` or `{VOLUME}`"))),
    }
}
