//! One entry under `http` of the grants file.

use std::fmt;

use super::{super::Glob, network::Network, origin::Origin};

/// Where requests may go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpGrant {
    /// Scheme, host and port.
    pub url: Origin,
    /// Upper-case methods; never empty.
    pub methods: Vec<String>,
    /// Globs over the path; a star crosses no slash. Empty: any path.
    pub paths: Vec<Glob>,
    /// Of the methods those that change nothing there, though their name says otherwise.
    pub reads: Vec<String>,
    /// Where the host's name may lead.
    pub addresses: Addresses,
    /// By whom the server's certificate may be signed.
    pub ca: Trust,
}

/// Where a granted host's name may lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Addresses {
    /// Anything routable on the internet.
    #[default]
    Public,
    /// Private networks, as clusters have them.
    Cluster,
    /// These networks only.
    Networks(Vec<Network>),
}

/// By whom a server's certificate may be signed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Whom the agent's system trusts.
    #[default]
    Public,
    /// The cluster's own authority, as it is mounted with the agent's account.
    Cluster,
    /// The certificates of a PEM file, by its absolute path.
    File(String),
    /// Certificates as PEM text.
    Pem(String),
}

impl HttpGrant {
    /// Whether the path is granted; it passed the check of its shape.
    pub(super) fn has_path(&self, path: &str) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|glob| glob.matches(path))
    }

    /// Whether such a request may leave something behind.
    pub(super) fn writes(&self, method: &str) -> bool {
        super::writes(method) && !self.reads.iter().any(|read| read == method)
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public addresses"),
            Self::Cluster => f.write_str("addresses of the cluster"),
            Self::Networks(networks) => {
                let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
                write!(f, "addresses in {}", networks.join(", "))
            }
        }
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::Cluster => f.write_str("cluster"),
            Self::File(path) => f.write_str(path),
            Self::Pem(_) => f.write_str("in the grants file"),
        }
    }
}

impl fmt::Display for HttpGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, methods, paths, reads, addresses, ca } = self;
        let paths: Vec<_> = paths.iter().map(Glob::as_str).collect();
        let paths = if paths.is_empty() { "any path".to_owned() } else { paths.join(", ") };
        write!(f, "{} {url} {paths}; {addresses}", methods.join(", "))?;
        if !reads.is_empty() {
            write!(f, "; {} only reads", reads.join(", "))?;
        }
        if *ca == Trust::Public { Ok(()) } else { write!(f, "; trusts the CA `{ca}`") }
    }
}
