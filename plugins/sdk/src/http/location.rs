//! Where a redirection leads: RFC 3986, section 5.2, for what servers send.

/// An absolute URL in its parts; the path begins with a slash, and query and fragment are no part of it.
pub(crate) struct Parts<'a> {
    pub(crate) scheme: &'a str,
    pub(crate) authority: &'a str,
    pub(crate) path: &'a str,
    /// With its `?`; may be empty.
    pub(crate) query: &'a str,
}

/// None where it is not absolute.
pub(crate) fn parts(url: &str) -> Option<Parts<'_>> {
    let url = url.split('#').next()?;
    let (scheme, rest) = url.split_once("://")?;
    if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
        return None;
    }
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    (!authority.is_empty()).then_some(Parts {
        scheme,
        authority,
        path: if path.is_empty() { "/" } else { path },
        query,
    })
}

/// Scheme, host and port, in lower case with the port said.
pub(super) fn origin(url: &str) -> Option<(String, String)> {
    let Parts { scheme, authority, .. } = parts(url)?;
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let is_said = authority.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let port = if scheme == "https" { 443 } else { 80 };
    let authority = if is_said { authority } else { format!("{authority}:{port}") };
    Some((scheme, authority))
}

/// `location` as it is meant in an answer of `base`.
pub(super) fn join(base: &str, location: &str) -> Option<String> {
    let location = location.split('#').next()?.trim();
    if parts(location).is_some() {
        return Some(location.to_owned());
    }
    let Parts { scheme, authority, path, query } = parts(base)?;
    if location.starts_with("//") {
        return Some(format!("{scheme}:{location}")).filter(|url| parts(url).is_some());
    }
    let (reference, asked) = location.split_at(location.find('?').unwrap_or(location.len()));
    let (path, query) = match (reference, asked) {
        ("", "") => (path.to_owned(), query),
        ("", asked) => (path.to_owned(), asked),
        (absolute, asked) if absolute.starts_with('/') => (without_dots(absolute), asked),
        (relative, asked) => {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            (without_dots(&format!("{folder}/{relative}")), asked)
        }
    };
    Some(format!("{scheme}://{authority}{path}{query}"))
}

fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            other => {
                kept.push(other);
                continue;
            }
        }
        if is_last {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::{join, origin};

    #[test]
    fn a_location_is_read_as_its_answer_means_it() {
        for (location, expected) in [
            ("https://other.example/x", Some("https://other.example/x")),
            ("//other.example/x", Some("https://other.example/x")),
            ("/x?y=1#z", Some("https://shop.example:8443/x?y=1")),
            ("x", Some("https://shop.example:8443/a/x")),
            ("./x/", Some("https://shop.example:8443/a/x/")),
            ("../../../x", Some("https://shop.example:8443/x")),
            ("..", Some("https://shop.example:8443/")),
            ("?page=2", Some("https://shop.example:8443/a/b?page=2")),
            ("", Some("https://shop.example:8443/a/b?q=1")),
            ("//", None),
        ] {
            assert_eq!(join("https://shop.example:8443/a/b?q=1", location).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn the_same_host_is_the_same_however_it_is_written() {
        let same = [
            ("https://shop.example", "HTTPS://Shop.example:443/x", true),
            ("https://shop.example", "http://shop.example", false),
            ("https://shop.example", "https://shop.example:8443", false),
            ("https://shop.example", "https://shop.example.evil", false),
        ];
        for (one, other, expected) in same {
            assert_eq!(origin(one) == origin(other), expected, "{one} {other}");
        }
    }
}
