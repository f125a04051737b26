//! The hosts of a database: `host`, `host:port`, `[v6]:port`, several of them after commas or as a YAML list.

use super::Error;

/// Reads hosts; one without a port gets `port`.
///
/// # Errors
/// [`Error::Value`].
pub(super) fn read(text: &str, port: u16) -> Result<Vec<(String, u16)>, Error> {
    text.split(',').map(str::trim).filter(|host| !host.is_empty()).map(|host| one(host, port)).collect()
}

fn one(text: &str, port: u16) -> Result<(String, u16), Error> {
    let refused = || Error::value("database.host", format!("`{text}` is not a host with or without `:port`"));
    let (host, given) = match text.rsplit_once(':') {
        // An IPv6 address without brackets has colons of its own.
        Some((host, _)) if host.contains(':') && !text.starts_with('[') => (text, None),
        Some((host, given)) if !text.ends_with(']') => (host, Some(given)),
        _ => (text, None),
    };
    let port = given.map_or(Ok(port), |given| given.parse().map_err(|_| refused()))?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
    if host.is_empty() || !host.bytes().all(plain) {
        return Err(refused());
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn hosts_are_read_with_their_ports_in_their_order() {
        for (text, hosts) in [
            ("db", vec![("db", 3306)]),
            ("db:3307", vec![("db", 3307)]),
            ("a, b:1 ,c.example.org", vec![("a", 3306), ("b", 1), ("c.example.org", 3306)]),
            ("::1", vec![("::1", 3306)]),
            ("[::1]", vec![("::1", 3306)]),
            ("[fe80::1%eth0]:3307,127.0.0.1", vec![("fe80::1%eth0", 3307), ("127.0.0.1", 3306)]),
        ] {
            let hosts: Vec<_> = hosts.into_iter().map(|(host, port)| (host.to_owned(), port)).collect();
            assert_eq!(read(text, 3306).unwrap(), hosts, "{text}");
        }
        for text in ["db:many", "db:70000", ":3306", "a b", "a;b", "[]"] {
            let error = read(text, 3306).unwrap_err().to_string();
            assert!(error.contains("`database.host`") && error.contains(text), "{text}: {error}");
        }
    }
}
