//! Configuration: YAML files (the first that sets a key wins), over them `CLAIFLOW_…` variables, over those flags.
//!
//! A key whose capability this server lacks is refused with a sentence: nobody should believe in a lock that is not there.

mod arguments;
mod auth;
mod edges;
mod enigma;
mod hosts;
mod keys;
mod oidc;
mod rates;
mod telemetry;
#[cfg(test)]
mod tests;
mod variables;
mod webhook;

use std::{path::PathBuf, time::Duration};

pub use arguments::{Arguments, Command, CreateToken, ImportArguments, Rekey, TokenCommand};
pub use auth::{Auth, Mode, Secret};
pub use edges::{Cors, Edge, Edges, Origins, Replicas};
pub use enigma::Encryption;
use keys::Settings;

use crate::{
    identity,
    jobs::Retention,
    model::{duration, rate::Rate, timing::Timing},
    storage::Maria,
};

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

impl Error {
    fn value(key: &str, message: impl Into<String>) -> Self {
        Self::Value { key: key.to_owned(), message: message.into() }
    }
}

/// A time of `delivery` at least.
const SHORTEST: Duration = Duration::from_millis(100);

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
    /// Who may call the management routes.
    pub auth: Auth,
    /// Address of REST.
    pub http: String,
    /// What every path of REST begins with: empty, or `/` and words.
    pub url_prefix: String,
    /// How many calls one caller may make; none is no limit.
    pub rate: Option<Rate>,
    /// Whose tokens are believed beside our own.
    pub oidc: Option<identity::Settings>,
    /// Address for agents.
    pub grpc: String,
    /// An agent's message at most, bytes; none is the server's own limit.
    pub grpc_message_bytes: Option<usize>,
    /// Address of `/healthz`, `/readyz` and `/metrics` for probes; none is no such listener.
    pub ops: Option<String>,
    /// TLS, limits, other origins and the end, of all ports.
    pub edges: Edges,
    /// Where tasks are kept.
    pub database: Database,
    /// Where other replicas reach the agents' port; none is [`Config::grpc`], if that is one address.
    pub replica_address: Option<String>,
    /// How long final tasks are kept.
    pub retention: Retention,
    /// How long things may take before they are taken back.
    pub timing: Timing,
    /// Where the first version's database is, which `import` reads.
    pub import_from: Option<String>,
    /// What values are encrypted with before they are stored.
    pub encryption: Encryption,
    /// Where webhooks may lead, and whom they trust.
    pub webhook: crate::webhook::Settings,
    /// Log lines, and where spans go.
    pub telemetry: crate::telemetry::Settings,
    /// What the operator should know: keys without effect, variables that are not read.
    pub notes: Vec<String>,
}

impl Config {
    /// Reads files, variables and flags.
    ///
    /// # Errors
    /// [`Error`], which names the key and what would be right.
    pub fn read(arguments: &Arguments, variables: impl Iterator<Item = (String, String)>) -> Result<Self, Error> {
        let mut settings = Settings::default();
        let variables: Vec<(String, String)> = variables.collect();
        let mut notes = variables::read(&mut settings, variables.iter().cloned())?;
        for file in &arguments.files {
            settings.file(file)?;
        }
        telemetry::standard(&mut settings, &variables)?;
        refuse_what_is_missing(&settings)?;
        notes.extend(without_effect(&settings)?);
        let http_port = arguments.http_port.or(settings.port("http.port")?).unwrap_or(8099);
        let grpc_port = arguments.grpc_port.or(settings.port("grpc.port")?).unwrap_or(18_099);
        let http = address(&settings.text("http.host", "127.0.0.1"), http_port);
        let auth = auth::read(&settings, &http)?;
        Ok(Self {
            oidc: oidc::read(&settings, auth.mode)?,
            edges: edges::read(&settings, auth.mode != Mode::None)?,
            auth,
            http,
            url_prefix: url_prefix(&settings)?,
            rate: rates::read(&settings)?,
            grpc: address(&settings.text("grpc.host", "127.0.0.1"), grpc_port),
            grpc_message_bytes: settings
                .number("grpc.maxRecvMsgSize", 65_536..=1 << 30)?
                .and_then(|bytes| usize::try_from(bytes).ok()),
            ops: ops(&settings)?,
            database: database(&settings, arguments)?,
            replica_address: replica_address(&settings)?,
            retention: retention(&settings)?,
            timing: timing(&settings)?,
            import_from: settings.get("import.from").map(str::to_owned),
            encryption: enigma::read(&settings)?,
            webhook: webhook::read(&settings)?,
            telemetry: telemetry::read(&settings)?,
            notes,
        })
    }
}

/// `host:port`, with brackets around an IPv6 address.
fn address(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn refuse_what_is_missing(settings: &Settings) -> Result<(), Error> {
    if let Some(protocol) = settings.get("database.protocol").filter(|protocol| *protocol != "tcp") {
        return Err(Error::value("database.protocol", format!("`{protocol}` is not served, only `tcp`")));
    }
    Ok(())
}

/// Known keys that files of the first version hold and that change nothing here.
fn without_effect(settings: &Settings) -> Result<Vec<String>, Error> {
    settings.number("database.maxIdleConns", 0..=u64::MAX)?;
    settings.flag("logger.disableCaller")?;
    settings.flag("logger.disableStacktrace")?;
    let reasons = [
        ("appName", "the server has one name"),
        ("migrate.source", "migrations are part of the program"),
        ("database.maxIdleConns", "idle connections are closed by age"),
        ("database.connMaxLifetime", "connections are renewed after 30 minutes"),
        ("logger.disableCaller", "log lines name their module"),
        ("logger.disableStacktrace", "log lines hold no stack traces"),
    ];
    let given = reasons.into_iter().filter(|(key, _)| settings.get(key).is_some());
    Ok(given.map(|(key, reason)| format!("the key {key} has no effect: {reason}")).collect())
}

fn url_prefix(settings: &Settings) -> Result<String, Error> {
    let text = settings.text("http.urlPrefix", "");
    let words: Vec<&str> = text.split('/').filter(|word| !word.is_empty()).collect();
    let plain = |word: &&str| {
        !matches!(*word, "." | "..") && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte))
    };
    if !words.iter().all(plain) {
        return Err(Error::value(
            "http.urlPrefix",
            format!("`{text}` is not a path of plain words, such as `/claiflow`"),
        ));
    }
    Ok(words.iter().flat_map(|word| ["/", word]).collect())
}

fn ops(settings: &Settings) -> Result<Option<String>, Error> {
    match (settings.port("ops.port")?, settings.get("ops.host")) {
        (Some(port), host) => Ok(Some(address(host.unwrap_or("127.0.0.1"), port))),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Error::value("ops.port", "`ops.host` needs it; 8098 is a usual one")),
    }
}

fn database(settings: &Settings, arguments: &Arguments) -> Result<Database, Error> {
    match settings.text("database.type", "sqlite").as_str() {
        "sqlite" => Ok(Database::Sqlite(
            arguments
                .data_dir
                .clone()
                .or_else(|| settings.get("dataDir").map(PathBuf::from))
                .unwrap_or_else(arguments::default_data_dir),
        )),
        "mysql" | "mariadb" => Ok(Database::Maria(Maria {
            hosts: hosts::read(
                &settings.text("database.host", "127.0.0.1"),
                settings.port("database.port")?.unwrap_or(3306),
            )?,
            dbname: settings.text("database.dbname", "claiflow"),
            username: settings.text("database.username", "claiflow"),
            password: settings.text("database.password", ""),
            connections: settings
                .number("database.maxOpenConns", 4..=500)?
                .and_then(|connections| u32::try_from(connections).ok())
                .unwrap_or(15),
        })),
        other => Err(Error::value("database.type", format!("`{other}` is not one of sqlite, mariadb, mysql"))),
    }
}

fn replica_address(settings: &Settings) -> Result<Option<String>, Error> {
    let Some(text) = settings.get("replica.address") else { return Ok(None) };
    match text.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
        Some((host, Ok(1..)))
            if !host.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') =>
        {
            Ok(Some(text.to_owned()))
        }
        _ => Err(Error::value(
            "replica.address",
            format!("`{text}` is not `host:port`, where other replicas reach this one"),
        )),
    }
}

/// Whole days, as `90d`: the history is removed by days.
fn retention(settings: &Settings) -> Result<Retention, Error> {
    let Some(text) = settings.get("history.retention").filter(|text| *text != "unlimited") else {
        return Ok(Retention::Unlimited);
    };
    match text.strip_suffix('d').map(str::parse::<u32>) {
        Some(Ok(days @ 1..=36_500)) => Ok(Retention::For(Duration::from_secs(u64::from(days) * 86_400))),
        _ => Err(Error::value(
            "history.retention",
            format!("`{text}` is not a number of days such as 90d, or `unlimited`"),
        )),
    }
}

fn timing(settings: &Settings) -> Result<Timing, Error> {
    let usual = Timing::default();
    let read = |key: &'static str, usual: Duration| match settings.get(key).map(duration::parse) {
        None => Ok(usual),
        Some(Ok(time)) if time >= SHORTEST => Ok(time),
        Some(Ok(_)) => Err(Error::value(key, format!("expected {SHORTEST:?} or longer"))),
        Some(Err(message)) => Err(Error::value(key, message)),
    };
    let timing = Timing {
        round: read("delivery.round", usual.round)?,
        offer: read("delivery.offer", usual.offer)?,
        lease_ttl: read("delivery.leaseTtl", usual.lease_ttl)?,
        silence: read("delivery.silence", usual.silence)?,
        grace: read("delivery.grace", usual.grace)?,
        backoff: read("delivery.backoff", usual.backoff)?,
        session: usual.session,
    };
    // An agent must have stopped by itself before its tasks are given to another.
    if timing.lease_ttl >= timing.silence + timing.grace {
        return Err(Error::value(
            "delivery.leaseTtl",
            "must be shorter than `delivery.silence` and `delivery.grace` together",
        ));
    }
    Ok(timing)
}
