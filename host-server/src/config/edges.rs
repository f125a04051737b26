//! The edges of the ports: TLS, limits, other origins, the end.

use std::{path::PathBuf, time::Duration};

use tokio_rustls::rustls::pki_types::ServerName;

use super::{Error, keys::Settings};
use crate::{
    model::duration,
    ports::{ClientAuth, Files},
};

/// How long the server still answers after it said that it stops, unless configured.
const DRAIN_DELAY: Duration = Duration::from_millis(500);
/// The same at most.
const DRAIN_DELAY_LONGEST: Duration = Duration::from_secs(300);

/// See the module.
#[derive(Clone, Debug)]
pub struct Edges {
    /// Of REST.
    pub http: Edge,
    /// Of the agents' port.
    pub grpc: Edge,
    /// Of the port for probes.
    pub ops: Edge,
    /// How other replicas are called where the agents' port speaks TLS.
    pub replicas: Replicas,
    /// Which pages of other origins may call; none: no page.
    pub cors: Option<Cors>,
    /// How long the server still answers after it said that it stops.
    pub drain_delay: Duration,
}

/// One port's.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Its certificate; none: no TLS.
    pub tls: Option<Files>,
    /// Open connections at most.
    pub connections: usize,
}

/// See [`Edges::replicas`].
#[derive(Clone, Debug)]
pub struct Replicas {
    /// The authorities of the others' certificates; none: those that the system trusts.
    pub ca: Option<PathBuf>,
    /// The name in the others' certificates; none: the host of their address.
    pub name: Option<ServerName<'static>>,
}

/// Which pages of other origins may call, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// From where.
    pub origins: Origins,
    /// With which methods.
    pub methods: Vec<String>,
}

/// From where pages may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// From anywhere.
    Any,
    /// From these, as browsers write them: scheme, host and, where it is not the scheme's, port.
    Named(Vec<String>),
}

/// The keys of one port, and how many connections it has unless configured.
struct Keys {
    connections: (Option<&'static str>, usize),
    enable: &'static str,
    cert: &'static str,
    key: &'static str,
    ca: &'static str,
    auth: &'static str,
}

const HTTP: Keys = Keys {
    connections: (Some("http.maxConnections"), 10_000),
    enable: "http.tls.enable",
    cert: "http.tls.certFile",
    key: "http.tls.keyFile",
    ca: "http.tls.clientCAFile",
    auth: "http.tls.clientAuth",
};
const GRPC: Keys = Keys {
    // Each agent holds one all the time.
    connections: (Some("grpc.maxConnections"), 20_000),
    enable: "grpc.tls.enable",
    cert: "grpc.tls.certFile",
    key: "grpc.tls.keyFile",
    ca: "grpc.tls.clientCAFile",
    auth: "grpc.tls.clientAuth",
};
const OPS: Keys = Keys {
    connections: (None, 10_000),
    enable: "ops.tls.enable",
    cert: "ops.tls.certFile",
    key: "ops.tls.keyFile",
    ca: "ops.tls.clientCAFile",
    auth: "ops.tls.clientAuth",
};

/// Reads all of it. `authenticated`: callers of REST say who they are.
///
/// # Errors
/// [`Error::Value`].
pub(super) fn read(settings: &Settings, authenticated: bool) -> Result<Edges, Error> {
    Ok(Edges {
        http: edge(settings, &HTTP)?,
        grpc: edge(settings, &GRPC)?,
        ops: edge(settings, &OPS)?,
        replicas: Replicas {
            ca: settings.get("replica.caFile").map(PathBuf::from),
            name: match settings.get("replica.serverName") {
                None => None,
                Some(text) => Some(ServerName::try_from(text.to_owned()).map_err(|_| {
                    Error::value("replica.serverName", format!("`{text}` is not a DNS name or an IP address"))
                })?),
            },
        },
        cors: cors(settings, authenticated)?,
        drain_delay: drain_delay(settings)?,
    })
}

fn edge(settings: &Settings, keys: &Keys) -> Result<Edge, Error> {
    let (key, usual) = keys.connections;
    let connections = match key {
        None => None,
        Some(key) => settings.number(key, 1..=1_000_000)?.and_then(|number| usize::try_from(number).ok()),
    };
    Ok(Edge { tls: tls(settings, keys)?, connections: connections.unwrap_or(usual) })
}

fn tls(settings: &Settings, keys: &Keys) -> Result<Option<Files>, Error> {
    let client_ca = settings.get(keys.ca).map(PathBuf::from);
    let client_auth = match settings.get(keys.auth) {
        None if client_ca.is_some() => ClientAuth::Required,
        None | Some("none") => ClientAuth::None,
        Some("optional") => ClientAuth::Optional,
        Some("required") => ClientAuth::Required,
        Some(other) => {
            return Err(Error::value(keys.auth, format!("`{other}` is not one of none, optional, required")));
        }
    };
    if client_auth != ClientAuth::None && client_ca.is_none() {
        return Err(Error::value(
            keys.ca,
            format!("`{}` needs a file of the authorities that sign clients' certificates", keys.auth),
        ));
    }
    if !settings.flag(keys.enable)? {
        // Nobody should believe that clients show certificates.
        if client_auth != ClientAuth::None {
            return Err(Error::value(
                keys.enable,
                format!("clients show certificates in TLS only; set it to true, or leave `{}` out", keys.ca),
            ));
        }
        return Ok(None);
    }
    let file = |key: &'static str, what: &str| match settings.get(key) {
        Some(file) => Ok(PathBuf::from(file)),
        None => Err(Error::value(key, format!("`{}` needs {what}, as a PEM file", keys.enable))),
    };
    Ok(Some(Files {
        cert: file(keys.cert, "the server's certificate")?,
        key: file(keys.key, "the certificate's private key")?,
        client_ca,
        client_auth,
    }))
}

fn cors(settings: &Settings, authenticated: bool) -> Result<Option<Cors>, Error> {
    const ORIGINS: &str = "http.cors.allowOrigins";
    const METHODS: &str = "http.cors.allowMethods";
    let list = |key: &'static str| {
        let text = settings.get(key).unwrap_or_default();
        text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let (origins, methods) = (list(ORIGINS), list(METHODS));
    for (key, given) in [(ORIGINS, &origins), (METHODS, &methods)] {
        if !authenticated && !given.is_empty() {
            return Err(Error::value(
                key,
                "without authentication no page of another origin is served; leave `http.cors` empty",
            ));
        }
    }
    if origins.is_empty() {
        return match methods.is_empty() {
            true => Ok(None),
            false => Err(Error::value(METHODS, format!("it has no meaning without `{ORIGINS}`"))),
        };
    }
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    if let Some(wrong) = methods.iter().find(|method| !known.contains(&method.as_str())) {
        return Err(Error::value(METHODS, format!("`{wrong}` is not one of {}", known.join(", "))));
    }
    let methods =
        if methods.is_empty() { ["GET", "POST", "PUT", "DELETE"].map(str::to_owned).to_vec() } else { methods };
    if origins == ["*"] {
        return Ok(Some(Cors { origins: Origins::Any, methods }));
    }
    match origins.iter().find(|origin| !is_origin(origin)) {
        None => Ok(Some(Cors { origins: Origins::Named(origins), methods })),
        Some(wrong) => Err(Error::value(
            ORIGINS,
            format!(
                "`{wrong}` is not an origin as browsers send it, such as `https://console.example.com`: lower case, no path"
            ),
        )),
    }
}

/// `scheme://host` or `scheme://host:port`, as browsers write it: compared byte by byte, another spelling would never match.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let usual = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return false,
    };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
    !host.is_empty() && host.bytes().all(plain) && !host.ends_with(usual) && !host.ends_with(':')
}

fn drain_delay(settings: &Settings) -> Result<Duration, Error> {
    const KEY: &str = "http.drainDelay";
    match settings.get(KEY).map(duration::parse) {
        None => Ok(DRAIN_DELAY),
        Some(Ok(delay)) if delay <= DRAIN_DELAY_LONGEST => Ok(delay),
        Some(Ok(_)) => Err(Error::value(KEY, format!("expected {DRAIN_DELAY_LONGEST:?} or less"))),
        Some(Err(message)) => Err(Error::value(KEY, message)),
    }
}

#[cfg(test)]
mod tests;
