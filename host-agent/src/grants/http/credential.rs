//! Which credential may go where.

use std::fmt;

use ::http::Uri;

use super::{
    super::{Denial, Grant},
    authorise::Request,
    origin::{Origin, shown},
};

const NAME_MAX_BYTES: usize = 253;
/// Where a credential goes when its grant names no header.
const HEADER: &str = "authorization";

/// Where a credential may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialGrant {
    /// Where it may be sent.
    pub hosts: Vec<Origin>,
    /// Upper-case methods that may carry it.
    pub methods: Vec<String>,
    /// The lower-case header that carries it; none is `authorization`.
    pub header: Option<String>,
    /// The plugin may see the bytes.
    pub reveal: bool,
}

/// One credential that goes with one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Its name, which is also safe as the name of a file.
    pub name: String,
    /// The lower-case header that carries it.
    pub header: String,
}

impl fmt::Display for CredentialGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<_> = self.hosts.iter().map(ToString::to_string).collect();
        write!(f, "for {} {}", self.methods.join(", "), hosts.join(", "))?;
        if let Some(header) = &self.header {
            write!(f, " in `{header}`")?;
        }
        if self.reveal { f.write_str("; the plugin may see it") } else { Ok(()) }
    }
}

/// Whether the credential may go with the request.
pub(super) fn authorise(request: &Request<'_>, grant: &Grant, url: &Origin, name: &str) -> Result<Use, Denial> {
    if !is_name(name) {
        return Err(Denial::invalid(format!(
            "`claiflow-credential: {}` names no credential: lower-case letters, digits, `-` and `.`, a letter or digit \
             at both ends",
            shown(name)
        )));
    }
    let named = grant.credentials.iter().filter(|(glob, _)| glob.matches(name)).map(|(_, credential)| credential);
    let covers = |credential: &&CredentialGrant| {
        credential.hosts.contains(url) && credential.methods.iter().any(|method| method == request.method)
    };
    if let Some(credential) = named.into_iter().find(covers) {
        let header = credential.header.clone().unwrap_or_else(|| HEADER.to_owned());
        return Ok(Use { name: name.to_owned(), header });
    }
    let (plugin, method) = (request.plugin, request.method);
    Err(Denial::denied(
        format!("the plugin `{plugin}` may not send the credential `{name}` with {method} to {url}"),
        Some(format!(
            "plugins: {{{plugin}: {{credentials: {{\"{name}\": {{hosts: [\"{url}\"], methods: [{method}]}}}}}}}}"
        )),
    ))
}

/// Whether the credential may go with a GET to the URL, for a program that sends it by itself.
///
/// # Errors
/// A [`Denial`], with what would allow it.
pub fn lend(grant: &Grant, plugin: &str, url: &Uri, name: &str) -> Result<Use, Denial> {
    let origin = Origin::of(url).map_err(Denial::invalid)?;
    authorise(&Request { plugin, method: "GET", url, credential: Some(name) }, grant, &origin, name)
}

fn is_name(name: &str) -> bool {
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    name.len() <= NAME_MAX_BYTES
        && ends(name.bytes().next())
        && ends(name.bytes().last())
        && name.bytes().all(|byte| ends(Some(byte)) || byte == b'-' || byte == b'.')
        && !name.contains("..")
}
