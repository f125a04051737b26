//! Configuration: YAML files (the first that sets a key wins), over them `CLAIFLOW_…` variables, over those flags.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::Parser;
use serde_yaml_ng::Value;

use crate::storage::Maria;

/// Run task templates on any number of Kubernetes clusters.
#[derive(Parser, Debug)]
#[command(
    name = "claiflow-server",
    version,
    after_help = "Examples:\n  claiflow-server                       SQLite in the data directory, HTTP on 127.0.0.1:8099, agents on 127.0.0.1:18099\n  claiflow-server config.yaml           MariaDB, as the file says\n  claiflow-server openapi               print the OpenAPI document\n  CLAIFLOW_HTTP_PORT=9000 claiflow-server"
)]
pub struct Arguments {
    /// YAML files; the first that sets a key wins.
    pub files: Vec<PathBuf>,
    /// Port of REST, Swagger UI and metrics.
    #[arg(long)]
    pub http_port: Option<u16>,
    /// Port for agents.
    #[arg(long)]
    pub grpc_port: Option<u16>,
    /// Where SQLite keeps its file.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
}

/// Every known key; those of later capabilities are accepted as the first version's files hold them.
const KEYS: &[&str] = &[
    "appName",
    "dataDir",
    "http.host",
    "http.port",
    "http.urlPrefix",
    "http.tls",
    "http.cors",
    "grpc.host",
    "grpc.port",
    "grpc.tls",
    "grpc.maxRecvMsgSize",
    "database.type",
    "database.protocol",
    "database.host",
    "database.port",
    "database.dbname",
    "database.username",
    "database.password",
    "database.maxOpenConns",
    "database.maxIdleConns",
    "database.connMaxLifetime",
    "migrate.source",
    "enigma",
    "logger.verbose",
    "logger.disableCaller",
    "logger.disableStacktrace",
    "logger.level",
];

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("{0}: the file cannot be read")]
    Read(PathBuf, #[source] std::io::Error),
    #[error("{0}: not YAML")]
    Parse(PathBuf, #[source] serde_yaml_ng::Error),
    #[error("{origin}: unknown key `{key}`; did you mean `{nearest}`?")]
    Unknown { origin: String, key: String, nearest: String },
    #[error("`{key}`: {message}")]
    Value { key: String, message: String },
}

/// Where tasks are kept.
#[derive(Debug)]
pub enum Database {
    /// A file in this directory.
    Sqlite(PathBuf),
    /// A server.
    Maria(Maria),
}

/// The whole.
#[derive(Debug)]
pub struct Config {
    /// Address of REST.
    pub http: String,
    /// Address for agents.
    pub grpc: String,
    /// Where tasks are kept.
    pub database: Database,
    /// A `tracing` filter.
    pub log: String,
}

impl Config {
    /// Reads files, variables and flags.
    ///
    /// # Errors
    /// [`Error`], which names the key and what would be right.
    pub fn read(arguments: &Arguments, variables: impl Iterator<Item = (String, String)>) -> Result<Self, Error> {
        let mut keys: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in variables {
            let Some(rest) = name.strip_prefix("CLAIFLOW_") else { continue };
            let known = KEYS.iter().find(|key| {
                key.replace('.', "_").eq_ignore_ascii_case(rest) || key.replace('.', "").eq_ignore_ascii_case(rest)
            });
            match known {
                Some(key) => {
                    keys.insert((*key).to_owned(), value);
                }
                // Names of the agent and of tests share the prefix.
                None if [
                    "SERVER_URL",
                    "CLUSTER_UUID",
                    "TOKEN",
                    "PLUGINS",
                    "GRANTS",
                    "SLOTS",
                    "STATE",
                    "CACHE",
                    "STRICT",
                ]
                .contains(&rest)
                    || rest.starts_with("TEST_") => {}
                None => {
                    return Err(unknown("the environment", &name, |key| {
                        format!("CLAIFLOW_{}", key.replace('.', "_").to_uppercase())
                    }));
                }
            }
        }
        for file in &arguments.files {
            let text = std::fs::read_to_string(file).map_err(|error| Error::Read(file.clone(), error))?;
            let value: Value = serde_yaml_ng::from_str(&text).map_err(|error| Error::Parse(file.clone(), error))?;
            let mut found = BTreeMap::new();
            flatten(&value, "", file, &mut found)?;
            for (key, value) in found {
                keys.entry(key).or_insert(value);
            }
        }
        let port = |key: &str, flag: Option<u16>, default: u16| match (flag, keys.get(key)) {
            (Some(port), _) => Ok(port),
            (None, Some(text)) => text
                .parse()
                .map_err(|_| Error::Value { key: key.into(), message: format!("`{text}` is not a port (1 to 65535)") }),
            (None, None) => Ok(default),
        };
        let text = |key: &str, default: &str| keys.get(key).cloned().unwrap_or_else(|| default.to_owned());
        let kind = text("database.type", "sqlite");
        let database = match kind.as_str() {
            "sqlite" => Database::Sqlite(
                arguments
                    .data_dir
                    .clone()
                    .or_else(|| keys.get("dataDir").map(PathBuf::from))
                    .unwrap_or_else(default_data_dir),
            ),
            "mysql" | "mariadb" => Database::Maria(Maria {
                host: text("database.host", "127.0.0.1"),
                port: port("database.port", None, 3306)?,
                dbname: text("database.dbname", "claiflow"),
                username: text("database.username", "claiflow"),
                password: text("database.password", ""),
                connections: text("database.maxOpenConns", "15").parse().unwrap_or(15).clamp(4, 500),
            }),
            other => {
                return Err(Error::Value {
                    key: "database.type".into(),
                    message: format!("`{other}` is not one of sqlite, mariadb, mysql"),
                });
            }
        };
        Ok(Self {
            http: format!("{}:{}", text("http.host", "127.0.0.1"), port("http.port", arguments.http_port, 8099)?),
            grpc: format!("{}:{}", text("grpc.host", "127.0.0.1"), port("grpc.port", arguments.grpc_port, 18099)?),
            database,
            log: text("logger.level", "info"),
        })
    }
}

/// The user's data directory.
fn default_data_dir() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(home)
        .unwrap_or_else(|| PathBuf::from("."))
        .join("claiflow")
}

fn flatten(value: &Value, prefix: &str, file: &Path, into: &mut BTreeMap<String, String>) -> Result<(), Error> {
    let known = |key: &str| KEYS.contains(&key);
    let inside = |key: &str| KEYS.iter().any(|known| key.starts_with(&format!("{known}.")));
    match value {
        // `tls:` with no value is legal.
        Value::Null => Ok(()),
        Value::Mapping(map) => {
            for (key, value) in map {
                let name = key.as_str().map_or_else(|| format!("{key:?}"), str::to_owned);
                let path = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
                let room = KEYS.iter().any(|known| known.starts_with(&format!("{path}.")));
                if !(known(&path) || room || inside(&path)) {
                    return Err(unknown(&file.display().to_string(), &path, str::to_owned));
                }
                flatten(value, &path, file, into)?;
            }
            Ok(())
        }
        Value::String(text) => Ok(drop(into.insert(prefix.to_owned(), text.clone()))),
        Value::Bool(value) => Ok(drop(into.insert(prefix.to_owned(), value.to_string()))),
        Value::Number(value) => Ok(drop(into.insert(prefix.to_owned(), value.to_string()))),
        Value::Sequence(_) | Value::Tagged(_) if inside(prefix) => Ok(()),
        Value::Sequence(_) | Value::Tagged(_) => {
            Err(Error::Value { key: prefix.to_owned(), message: "expected a text, a number or a mapping".into() })
        }
    }
}

fn unknown(origin: &str, key: &str, spell: impl Fn(&str) -> String) -> Error {
    let nearest = KEYS
        .iter()
        .map(|known| spell(known))
        .min_by_key(|known| strsim::levenshtein(&known.to_lowercase(), &key.to_lowercase()));
    Error::Unknown { origin: origin.to_owned(), key: key.to_owned(), nearest: nearest.unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Config, Database};

    fn read(yaml: &str, variables: &[(&str, &str)], port: Option<u16>) -> Result<Config, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), yaml).unwrap();
        let arguments = Arguments { files: vec![file.path().into()], http_port: port, grpc_port: None, data_dir: None };
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::read(&arguments, variables).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_beat_variables_and_variables_beat_files() {
        let yaml = "http: {port: 1, tls: }\ngrpc: {port: '2'}";
        assert_eq!(read(yaml, &[], None).unwrap().http, "127.0.0.1:1");
        assert_eq!(read(yaml, &[("CLAIFLOW_HTTP_PORT", "3")], None).unwrap().http, "127.0.0.1:3");
        assert_eq!(read(yaml, &[("CLAIFLOW_HTTP_PORT", "3")], Some(4)).unwrap().http, "127.0.0.1:4");
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        let error = read("http: {prot: 1}", &[], None).unwrap_err();
        assert!(error.contains("`http.prot`") && error.contains("`http.port`"), "{error}");
        let error = read("", &[("CLAIFLOW_HTTP_PROT", "1")], None).unwrap_err();
        assert!(error.contains("CLAIFLOW_HTTP_PORT"), "{error}");
    }

    #[test]
    fn a_wrong_value_names_its_key() {
        assert!(read("http: {port: many}", &[], None).unwrap_err().contains("`http.port`"));
        assert!(read("database: {type: oracle}", &[], None).unwrap_err().contains("sqlite, mariadb"));
        assert!(
            matches!(read("database: {type: mysql, dbname: x}", &[], None).unwrap().database, Database::Maria(maria) if maria.dbname == "x")
        );
    }
}
