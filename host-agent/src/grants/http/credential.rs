//! Which credential may go where.

use std::fmt;

use ::http::{HeaderName, Uri};

use super::{
    super::{Denial, Grant},
    authorise::Request,
    origin::{Origin, shown},
};

const NAME_MAX_BYTES: usize = 253;
/// Headers that say how a message travels, or who it is for: no credential goes there.
const TRAVEL: [&str; 14] = [
    "accept-encoding",
    "claiflow-credential",
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-connection",
];

/// Where a credential may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialGrant {
    /// Where it may be sent.
    pub hosts: Vec<Origin>,
    /// Upper-case methods that may carry it.
    pub methods: Vec<String>,
    /// The lower-case header that carries it; none is what the credential itself says, else `authorization`.
    pub header: Option<String>,
    /// The plugin may see the bytes.
    pub reveal: bool,
}

/// One credential that goes with one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Its name, which is also safe as the name of a file.
    pub name: String,
    /// The lower-case header that its grant names.
    pub header: Option<String>,
}

impl fmt::Display for CredentialGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hosts.is_empty() && self.reveal {
            return f.write_str("to be seen by the plugin, and sent by the agent nowhere");
        }
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
        return Err(no_name("claiflow-credential: ", name));
    }
    let named = grant.credentials.iter().filter(|(glob, _)| glob.matches(name)).map(|(_, credential)| credential);
    let covers = |credential: &&CredentialGrant| {
        credential.hosts.contains(url) && credential.methods.iter().any(|method| method == request.method)
    };
    if let Some(credential) = named.into_iter().find(covers) {
        return Ok(Use { name: name.to_owned(), header: credential.header.clone() });
    }
    let (plugin, method) = (request.plugin, request.method);
    Err(Denial::denied(
        format!("the plugin `{plugin}` may not send the credential `{name}` with {method} to {url}"),
        Some(format!(
            "plugins: {{{plugin}: {{credentials: {{\"{name}\": {{hosts: [\"{url}\"], methods: [{method}]}}}}}}}}"
        )),
    ))
}

/// Whether the plugin may see the credential.
///
/// # Errors
/// A [`Denial`] with what would allow it.
pub fn reveals(grant: &Grant, plugin: &str, name: &str) -> Result<(), Denial> {
    if !is_name(name) {
        return Err(no_name("", name));
    }
    if grant.credentials.iter().any(|(glob, credential)| credential.reveal && glob.matches(name)) {
        return Ok(());
    }
    Err(Denial::denied(
        format!("the plugin `{plugin}` may not see the credential `{name}`"),
        Some(format!("plugins: {{{plugin}: {{credentials: {{\"{name}\": {{reveal: true}}}}}}}}")),
    ))
}

/// Whether the plugin may do anything with a credential of this name.
#[must_use]
pub fn knows(grant: &Grant, name: &str) -> bool {
    is_name(name) && grant.credentials.iter().any(|(glob, _)| glob.matches(name))
}

/// The header in its lower-case form, where a credential may go in it.
///
/// # Errors
/// What would be right.
pub fn carrier(header: &str) -> Result<String, String> {
    match HeaderName::try_from(header) {
        Ok(name) if TRAVEL.contains(&name.as_str()) => {
            Err(format!("`{name}` says how a message travels; a credential goes in another header"))
        }
        Ok(name) => Ok(name.as_str().to_owned()),
        Err(_) => Err("expected the name of a header, such as x-api-key".to_owned()),
    }
}

fn no_name(before: &str, name: &str) -> Denial {
    Denial::invalid(format!(
        "`{before}{}` names no credential: letters, digits, `-`, `_` and `.`, a letter or digit at both ends",
        shown(name)
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
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    name.len() <= NAME_MAX_BYTES
        && ends(name.bytes().next())
        && ends(name.bytes().last())
        && name.bytes().all(|byte| ends(Some(byte)) || matches!(byte, b'-' | b'_' | b'.'))
        && !name.contains("..")
}
