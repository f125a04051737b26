//! Whose tokens are believed, and what their claims mean.

use std::path::PathBuf;

use crate::model::people::Role;

/// One issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Exactly as the tokens' `iss` has it: an https URL, or an http one on a loopback address.
    pub issuer: String,
    /// What the tokens' `aud` must name.
    pub audience: String,
    /// PEM certificates that may sign the issuer's, beside those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// The claim that holds roles: its name, or names with dots between them for one within another.
    pub role_claim: String,
    /// Which of its values give which role. The highest counts; none is no access.
    pub grants: Vec<Grant>,
    /// The claim that holds uuids of clusters; none: callers reach all.
    pub cluster_claim: Option<String>,
    /// The claim that holds uuids of templates; none: callers reach all.
    pub template_claim: Option<String>,
}

/// A value of [`Settings::role_claim`] and what it gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The value, exactly.
    pub value: String,
    /// The role.
    pub role: Role,
}
