//! Where a chart comes from.

use http::Uri;

use super::{
    Failure,
    checked::{ChartName, RepositoryName, shown},
};

/// Under this name a repository stands in a private list of one, where a credential goes along.
pub(super) const SOURCE: &str = "claiflow-source";
const URL_MAX_BYTES: usize = 2 << 10;
/// Helm itself holds a chart to this.
const ARCHIVE_MAX_BYTES: usize = 20 << 20;

/// A chart, as it can be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Chart {
    /// In a repository, by its address.
    InRepository { url: String, name: ChartName },
    /// In a repository that is kept under a name.
    InKept { repository: RepositoryName, name: ChartName },
    /// In a registry: `oci://…`.
    Registry(String),
    /// An archive behind a URL.
    Archive(String),
    /// An archive's bytes.
    Bytes(Vec<u8>),
}

impl Chart {
    /// From what a guest says of it; exactly one way may be named.
    ///
    /// # Errors
    /// `invalid`: what is wrong and what would be right.
    pub(super) fn read(
        chart: Option<String>,
        repo_url: Option<String>,
        repo_name: Option<RepositoryName>,
        archive: Option<&str>,
    ) -> Result<Self, Failure> {
        let name = |chart: Option<String>| {
            let chart =
                chart.ok_or_else(|| Failure::invalid("`chart` is missing: the chart's name in its repository"))?;
            ChartName::try_from(chart).map_err(Failure::invalid)
        };
        match (repo_url, repo_name, archive) {
            (Some(url), None, None) => Ok(Self::InRepository { url: web(&url, "repo_url")?, name: name(chart)? }),
            (None, Some(repository), None) => Ok(Self::InKept { repository, name: name(chart)? }),
            (None, None, Some(archive)) if chart.is_none() => decoded(archive).map(Self::Bytes),
            (None, None, None) => match chart {
                Some(chart) if chart.starts_with("oci://") => registry(&chart).map(Self::Registry),
                Some(chart) if chart.starts_with("https://") || chart.starts_with("http://") => {
                    let url = web(&chart, "chart")?;
                    if url.ends_with(".tgz") || url.ends_with(".tar.gz") {
                        return Ok(Self::Archive(url));
                    }
                    Err(Failure::invalid(format!(
                        "chart: `{}` is the address of no archive: such ends in `.tgz`",
                        shown(&url)
                    )))
                }
                _ => Err(Failure::invalid(
                    "nothing says where the chart is: `repo_url` or `repo_name` beside its name, an `oci://` address, the address \
                     of a `.tgz`, or `archive`",
                )),
            },
            _ => Err(Failure::invalid(
                "one of `repo_url`, `repo_name` and `archive` says where the chart is, not several",
            )),
        }
    }

    /// What a credential would be sent to, as a URL; none where no credential can go along.
    pub(super) fn asked(&self, plain: &[String]) -> Option<String> {
        match self {
            Self::InRepository { url, .. } => Some(url.clone()),
            Self::Registry(reference) => {
                let host = host_of(reference);
                let scheme = if plain.iter().any(|plain| plain == host) { "http" } else { "https" };
                Some(format!("{scheme}://{host}"))
            }
            Self::InKept { .. } | Self::Archive(_) | Self::Bytes(_) => None,
        }
    }
}

/// Host and port of an `oci://` address.
pub(super) fn host_of(reference: &str) -> &str {
    let rest = reference.strip_prefix("oci://").unwrap_or(reference);
    rest.split('/').next().unwrap_or_default()
}

/// An address over HTTP without a user in it.
///
/// # Errors
/// `invalid`.
pub(super) fn web(text: &str, field: &str) -> Result<String, Failure> {
    let wrong = |why: &str| Failure::invalid(format!("{field}: `{}` {why}", shown(text)));
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'`\\<>{}|^".contains(&byte);
    if text.len() > URL_MAX_BYTES || !text.bytes().all(plain) {
        return Err(wrong("is no address: it is too long, or holds what an address writes in another way"));
    }
    let url: Uri = text.parse().map_err(|_| wrong("is no address such as https://charts.example.com"))?;
    if !matches!(url.scheme_str(), Some("https" | "http")) {
        return Err(wrong("begins with neither https:// nor http://"));
    }
    match url.authority() {
        Some(authority) if authority.as_str().contains('@') => Err(Failure::invalid(format!(
            "{field}: it has a user or password before the host; name a `credential` in its place"
        ))),
        Some(authority) if !authority.host().is_empty() => Ok(text.to_owned()),
        _ => Err(wrong("has no host")),
    }
}

fn registry(text: &str) -> Result<String, Failure> {
    let wrong = || {
        Failure::invalid(format!(
            "chart: `{}` is no address such as oci://registry.example.com/charts/web",
            shown(text)
        ))
    };
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/:+@".contains(&byte);
    let rest = text.strip_prefix("oci://").ok_or_else(wrong)?;
    let (host, path) = rest.split_once('/').ok_or_else(wrong)?;
    let fits = text.len() <= URL_MAX_BYTES
        && rest.bytes().all(known)
        && !host.contains('@')
        && host.starts_with(|first: char| first.is_ascii_alphanumeric())
        && !path.is_empty()
        && path.split('/').all(|part| !part.is_empty() && !part.starts_with(['.', '-']));
    if fits { Ok(text.to_owned()) } else { Err(wrong()) }
}

fn decoded(archive: &str) -> Result<Vec<u8>, Failure> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(archive.trim());
    let bytes = bytes.map_err(|error| Failure::invalid(format!("archive: it is not base64: {error}")))?;
    if bytes.len() > ARCHIVE_MAX_BYTES {
        return Err(Failure::new("too-large", format!("archive: it has more than {ARCHIVE_MAX_BYTES} bytes")));
    }
    // A gzip stream begins so; anything else Helm would take for a folder or a script.
    if bytes.get(..2) != Some(&[0x1f, 0x8b]) {
        return Err(Failure::invalid("archive: it is no `.tgz`"));
    }
    Ok(bytes)
}
