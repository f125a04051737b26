//! The one decision over an outgoing request.

use std::sync::Arc;

use ::http::Uri;

use super::{
    super::{Denial, Grant},
    METHODS, credential,
    credential::Use,
    origin::{Host, Origin, shown},
    path,
    rule::{Addresses, HttpGrant},
};

/// What a plugin wants to send.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who asks.
    pub plugin: &'a str,
    /// Upper-case.
    pub method: &'a str,
    /// Absolute.
    pub url: &'a Uri,
    /// The name in `claiflow-credential`.
    pub credential: Option<&'a str>,
}

/// A request that may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Who asked.
    pub plugin: String,
    /// Of a closed list.
    pub method: &'static str,
    /// The path, as it is sent.
    pub path: String,
    /// What allows it; its `url` is where the request goes.
    pub entry: Arc<HttpGrant>,
    /// What goes with it.
    pub credential: Option<Use>,
}

/// Whether one entry of the grant covers all of the request: method, scheme, host, port and path.
///
/// # Errors
/// A [`Denial`]: `invalid` for what no grant could allow, `denied` with what would allow it.
pub fn authorise(grant: &Grant, request: &Request<'_>) -> Result<Allowed, Denial> {
    let &Request { plugin, method: asked, url, credential } = request;
    let Some(method) = METHODS.into_iter().find(|method| *method == asked) else {
        let message = format!("the method `{}` is never sent; there are {}", shown(asked), METHODS.join(", "));
        return Err(Denial::invalid(message));
    };
    let wrong = |message: String| Denial::invalid(format!("url: {message}"));
    let origin = Origin::of(url).map_err(wrong)?;
    let path = if url.path().is_empty() { "/" } else { url.path() };
    path::check(path).map_err(wrong)?;

    let named: Vec<_> = grant.http.iter().filter(|entry| entry.url == origin).collect();
    let with_method: Vec<_> =
        named.iter().filter(|entry| entry.methods.iter().any(|granted| granted == method)).collect();
    let covering = with_method.iter().filter(|entry| entry.has_path(path));
    // Of several, one by which the request only reads allows the most.
    let Some(entry) = covering.min_by_key(|entry| entry.writes(method)) else {
        let why = if named.is_empty() {
            "no entry has that scheme, host and port"
        } else if with_method.is_empty() {
            "no entry for that host has the method"
        } else {
            "no entry for that host and method has the path"
        };
        let allow = suggestion(plugin, method, path, &origin, &would_reach(&origin));
        let message = format!("the plugin `{plugin}` may not send {method} to {origin}{}: {why}", shown(path));
        return Err(Denial::denied(message, allow));
    };
    let credential = credential.map(|name| credential::authorise(request, grant, &origin, name)).transpose()?;
    Ok(Allowed { plugin: plugin.to_owned(), method, path: path.to_owned(), entry: Arc::clone(entry), credential })
}

/// The entry that would allow exactly this, in one line; none where the path cannot be said.
pub(super) fn suggestion(plugin: &str, method: &str, path: &str, url: &Origin, addresses: &str) -> Option<String> {
    // A star in a path would be a glob in a grants file, and allow more.
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'*'));
    plain.then(|| {
        let addresses = if addresses.is_empty() { String::new() } else { format!(", addresses: {addresses}") };
        format!(
            "plugins: {{{plugin}: {{http: [{{url: \"{url}\", methods: [{method}], paths: [\"{path}\"]{addresses}}}]}}}}"
        )
    })
}

/// What `addresses` has to say for a host that is an address already.
fn would_reach(url: &Origin) -> String {
    match url.host() {
        Host::Name(name) if name.ends_with(".svc") || name.ends_with(".cluster.local") => "cluster".to_owned(),
        Host::Name(_) => String::new(),
        Host::Address(address) => super::address::classes(*address).unwrap_or_default(),
    }
}

impl Allowed {
    /// Whether the request may leave something behind.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.entry.writes(self.method)
    }

    /// Whether its entry says so of a method that would else be taken to write.
    #[must_use]
    pub fn only_reads(&self) -> bool {
        super::writes(self.method) && !self.writes()
    }

    /// The same entry with other addresses, for people.
    pub(super) fn suggest(&self, addresses: &str) -> Option<String> {
        let Self { plugin, method, path, entry, .. } = self;
        suggestion(plugin, method, path, &entry.url, addresses)
    }

    /// Where the host's name may lead.
    pub(super) fn addresses(&self) -> &Addresses {
        &self.entry.addresses
    }
}
