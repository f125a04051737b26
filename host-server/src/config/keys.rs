//! The known keys, and the values that files and variables give them.

use std::{collections::BTreeMap, path::Path};

use serde_yaml_ng::Value;

use super::Error;

/// Every known key. `enigma.*` may stand below a name of the operator's choice and in any case, as it always could.
pub(super) const KEYS: &[&str] = &[
    "appName",
    "auth.bootstrapToken",
    "auth.mode",
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
    "enigma.padding",
    "enigma.strconv",
    "grpc.host",
    "grpc.maxRecvMsgSize",
    "grpc.port",
    "grpc.tls.certFile",
    "grpc.tls.enable",
    "grpc.tls.keyFile",
    "history.retention",
    "http.cors.allowMethods",
    "http.cors.allowOrigins",
    "http.host",
    "http.port",
    "http.tls.certFile",
    "http.tls.enable",
    "http.tls.keyFile",
    "http.urlPrefix",
    "logger.disableCaller",
    "logger.disableStacktrace",
    "logger.format",
    "logger.level",
    "logger.verbose",
    "migrate.source",
    "ops.host",
    "ops.port",
    "replica.address",
    "telemetry.otlp.endpoint",
    "telemetry.otlp.headers",
    "telemetry.otlp.sampleRatio",
];

const ENIGMA: &str = "enigma";
/// How files of the first version say that a part of `enigma` is off.
const ENIGMA_OFF: [&str; 5] = ["", "0", "none", "null", "plain"];

/// What was configured: at most one value a key.
#[derive(Debug, Default)]
pub(super) struct Settings(BTreeMap<&'static str, String>);

impl Settings {
    /// Keeps a value, unless an earlier source set the key.
    ///
    /// # Errors
    /// [`Error::Value`] for what this server cannot do and will not pretend to.
    pub(super) fn offer(&mut self, key: &'static str, value: String) -> Result<(), Error> {
        if key.starts_with(ENIGMA) && !ENIGMA_OFF.iter().any(|off| value.eq_ignore_ascii_case(off)) {
            return Err(Error::value(
                key,
                "this server does not encrypt what it stores; leave `enigma` out, or set it to none",
            ));
        }
        self.0.entry(key).or_insert(value);
        Ok(())
    }

    /// Takes a YAML file's keys.
    ///
    /// # Errors
    /// [`Error`] for a file that cannot be read, an unknown key and a value of another kind.
    pub(super) fn file(&mut self, file: &Path) -> Result<(), Error> {
        let text = std::fs::read_to_string(file).map_err(|error| Error::Read(file.into(), error))?;
        let value: Value = serde_yaml_ng::from_str(&text).map_err(|error| Error::Parse(file.into(), error))?;
        // One file cannot set a key twice, so "the first wins" holds between files only.
        self.part(&value, "", file)
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
            Value::Sequence(items) if items.iter().all(Value::is_string) => {
                items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
            }
            Value::Sequence(_) | Value::Tagged(_) => {
                return Err(Error::value(path, "expected a text, a number or a mapping"));
            }
        };
        match known(path) {
            Some(key) => self.offer(key, text),
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
