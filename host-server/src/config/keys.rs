//! The known keys, and the values that files and variables give them.

use std::{collections::BTreeMap, path::Path};

use serde_yaml_ng::Value;

use super::Error;

/// Every known key. `enigma.*` may stand below a name of the operator's choice and in any case, as it always could.
pub(super) const KEYS: &[&str] = &[
    "appName",
    "auth.bootstrapToken",
    "auth.mode",
    "auth.oidc.audience",
    "auth.oidc.caFile",
    "auth.oidc.clusterClaim",
    "auth.oidc.issuer",
    "auth.oidc.roleClaim",
    "auth.oidc.roles.admin",
    "auth.oidc.roles.operator",
    "auth.oidc.roles.viewer",
    "auth.oidc.templateClaim",
    "dataDir",
    "database.connMaxLifetime",
    "database.dbname",
    "database.host",
    "database.maxIdleConns",
    "database.maxOpenConns",
    "database.password",
    "database.port",
    "database.protocol",
    "database.type",
    "database.username",
    "delivery.backoff",
    "delivery.grace",
    "delivery.leaseTtl",
    "delivery.offer",
    "delivery.round",
    "delivery.silence",
    "enigma.blockKey",
    "enigma.blockMethod",
    "enigma.blockSize",
    "enigma.cipherMode",
    "enigma.cipherSalt",
    "enigma.keys",
    "enigma.padding",
    "enigma.strconv",
    "grpc.host",
    "grpc.maxConnections",
    "grpc.maxRecvMsgSize",
    "grpc.port",
    "grpc.tls.certFile",
    "grpc.tls.clientAuth",
    "grpc.tls.clientCAFile",
    "grpc.tls.enable",
    "grpc.tls.keyFile",
    "history.retention",
    "http.cors.allowMethods",
    "http.cors.allowOrigins",
    "http.drainDelay",
    "http.host",
    "http.maxConnections",
    "http.port",
    "http.rateLimit.burst",
    "http.rateLimit.perSecond",
    "http.tls.certFile",
    "http.tls.clientAuth",
    "http.tls.clientCAFile",
    "http.tls.enable",
    "http.tls.keyFile",
    "http.urlPrefix",
    "import.from",
    "logger.disableCaller",
    "logger.disableStacktrace",
    "logger.format",
    "logger.level",
    "logger.verbose",
    "migrate.source",
    "ops.host",
    "ops.port",
    "ops.tls.certFile",
    "ops.tls.clientAuth",
    "ops.tls.clientCAFile",
    "ops.tls.enable",
    "ops.tls.keyFile",
    "replica.address",
    "replica.caFile",
    "replica.serverName",
    "telemetry.otlp.endpoint",
    "telemetry.otlp.headers",
    "telemetry.otlp.sampleRatio",
    "webhook.allowAddresses",
    "webhook.caFile",
    "webhook.retention",
];

const ENIGMA: &str = "enigma";
/// A list of mappings, which is kept as YAML text.
const ENIGMA_KEYS: &str = "enigma.keys";

/// What was configured: at most one value a key.
#[derive(Debug, Default)]
pub(super) struct Settings(BTreeMap<&'static str, String>);

impl Settings {
    /// Keeps a value, unless an earlier source set the key.
    pub(super) fn offer(&mut self, key: &'static str, value: String) {
        self.0.entry(key).or_insert(value);
    }

    /// Takes a YAML file's keys.
    ///
    /// # Errors
    /// [`Error`] for a file that cannot be read, an unknown key and a value of another kind.
    pub(super) fn file(&mut self, file: &Path) -> Result<(), Error> {
        let text = std::fs::read_to_string(file).map_err(|error| Error::Read(file.into(), error))?;
        let value: Value = serde_yaml_ng::from_str(&text).map_err(|error| Error::Parse(file.into(), error))?;
        // A file sets a key once, so "the first wins" holds between files only. Below two names of the operator's choice it could
        // say two things about encryption, of which one would be believed in vain.
        let mut own = Self::default();
        own.part(&value, "", file)?;
        for (key, value) in own.0 {
            self.offer(key, value);
        }
        Ok(())
    }

    fn part(&mut self, value: &Value, path: &str, file: &Path) -> Result<(), Error> {
        let text = match value {
            // `tls:` with no value is legal.
            Value::Null => return Ok(()),
            Value::Mapping(map) => {
                for (key, value) in map {
                    let name = key.as_str().map_or_else(|| format!("{key:?}"), str::to_owned);
                    let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                    if known(&path).is_none() && !is_room(&path, value) {
                        return Err(unknown(&file.display().to_string(), &path, str::to_owned));
                    }
                    self.part(value, &path, file)?;
                }
                return Ok(());
            }
            Value::String(text) => text.clone(),
            Value::Bool(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            Value::Sequence(_) if known(path) == Some(ENIGMA_KEYS) => {
                serde_yaml_ng::to_string(value).map_err(|error| Error::Parse(file.into(), error))?
            }
            Value::Sequence(items) if items.iter().all(Value::is_string) => {
                // Lists are joined by commas; cut in two, a group's name could be another group's.
                let has_comma = |item: &Value| item.as_str().is_some_and(|text| text.contains(','));
                if path.starts_with("auth.oidc.") && items.iter().any(has_comma) {
                    return Err(Error::value(path, "a value cannot hold a comma"));
                }
                items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
            }
            Value::Sequence(_) | Value::Tagged(_) => {
                return Err(Error::value(path, "expected a text, a number or a mapping"));
            }
        };
        match known(path) {
            Some(key) if self.0.get(key).is_some_and(|known| !known.eq_ignore_ascii_case(&text)) => {
                Err(Error::value(key, format!("{} gives it two values; leave one", file.display())))
            }
            Some(key) => {
                self.offer(key, text);
                Ok(())
            }
            None => Err(Error::value(path, "expected a mapping, as `name:` with indented keys below")),
        }
    }

    /// The value of a key; an empty one counts as none.
    pub(super) fn get(&self, key: &'static str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// The value of a key, or what stands in for it.
    pub(super) fn text(&self, key: &'static str, default: &str) -> String {
        self.get(key).unwrap_or(default).to_owned()
    }

    /// A number within `range`.
    ///
    /// # Errors
    /// [`Error::Value`].
    pub(super) fn number(&self, key: &'static str, range: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, Error> {
        let Some(text) = self.get(key) else { return Ok(None) };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(Error::value(key, format!("`{text}` is not a number from {} to {}", range.start(), range.end()))),
        }
    }

    /// A port; 0 lets the system choose one.
    ///
    /// # Errors
    /// [`Error::Value`].
    pub(super) fn port(&self, key: &'static str) -> Result<Option<u16>, Error> {
        Ok(self.number(key, 0..=65_535)?.and_then(|number| u16::try_from(number).ok()))
    }

    /// `true` or `false`; absent is false.
    ///
    /// # Errors
    /// [`Error::Value`].
    pub(super) fn flag(&self, key: &'static str) -> Result<bool, Error> {
        match self.get(key) {
            None => Ok(false),
            Some(text) => text.parse().map_err(|_| Error::value(key, format!("`{text}` is not `true` or `false`"))),
        }
    }
}

/// The known key that a path in a file means.
fn known(path: &str) -> Option<&'static str> {
    let enigma = || {
        let (_, last) = path.strip_prefix(ENIGMA)?.rsplit_once('.')?;
        KEYS.iter().find(|key| key.strip_prefix("enigma.").is_some_and(|key| key.eq_ignore_ascii_case(last)))
    };
    KEYS.iter().find(|key| **key == path).or_else(enigma).copied()
}

/// Whether known keys may stand below a path.
fn is_room(path: &str, value: &Value) -> bool {
    KEYS.iter().any(|known| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
        || (path.starts_with("enigma.") && matches!(value, Value::Mapping(_) | Value::Null))
}

/// The refusal of a key, with the known one that is spelled most like it.
pub(super) fn unknown(origin: &str, key: &str, spell: impl Fn(&str) -> String) -> Error {
    let nearest = KEYS
        .iter()
        .map(|known| spell(known))
        .min_by_key(|known| strsim::levenshtein(&known.to_lowercase(), &key.to_lowercase()));
    Error::Unknown { origin: origin.to_owned(), key: key.to_owned(), nearest: nearest.unwrap_or_default() }
}
