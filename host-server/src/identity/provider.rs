//! The issuer as seen from here: its discovery document (OpenID Connect Discovery 1.0) says where its keys are.

use std::path::PathBuf;

use serde::Deserialize;

use super::{fetch, keys, keys::Key, settings::Settings, trust};

const DOCUMENT: &str = "/.well-known/openid-configuration";
const DOCUMENT_BYTES_MAX: usize = 64 << 10;
const KEYS_BYTES_MAX: usize = 256 << 10;

/// Where keys come from.
#[derive(Clone, Debug)]
pub(super) struct Provider {
    issuer: String,
    ca_file: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

impl Provider {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { issuer: settings.issuer.clone(), ca_file: settings.ca_file.clone() }
    }

    /// The keys that the issuer publishes now.
    ///
    /// # Errors
    /// A sentence for the log.
    pub(super) async fn keys(&self) -> Result<Vec<Key>, String> {
        let tls = match self.issuer.starts_with("https:") {
            true => Some(trust::config(self.ca_file.clone()).await?),
            false => None,
        };
        let url = format!("{}{DOCUMENT}", self.issuer.trim_end_matches('/'));
        let document = fetch::get(&url, tls.clone(), DOCUMENT_BYTES_MAX).await?;
        let document: Document =
            serde_json::from_slice(&document).map_err(|error| format!("{url}: no discovery document: {error}"))?;
        if document.issuer != self.issuer {
            return Err(format!("{url}: it is of another issuer, `{}`", document.issuer.escape_debug()));
        }
        // An issuer that is reached over TLS does not send its readers to where anybody could answer.
        if tls.is_some() && !document.jwks_uri.starts_with("https:") {
            return Err(format!("{url}: its `jwks_uri` is no https URL"));
        }
        let keys = fetch::get(&document.jwks_uri, tls, KEYS_BYTES_MAX).await?;
        keys::read(&keys).map_err(|why| format!("{}: {why}", document.jwks_uri.escape_debug()))
    }
}
