//! Without authentication a browser's page must not reach the API: a loopback Host, and JSON bodies only.

use axum::{
    extract::Request,
    http::{HeaderMap, Uri, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::problem::Problem;

/// Refuses what a page of another origin could send.
pub(super) async fn only_local(request: Request, next: Next) -> Response {
    if let Err(host) = check_host(request.headers(), request.uri()) {
        return Problem::forbidden(format!("without authentication only a loopback Host is served, not `{host}`"))
            .into_response();
    }
    let writes = matches!(request.method().as_str(), "POST" | "PUT" | "PATCH");
    // A page of another site can send a POST without a body, and its browser says where it comes from.
    if writes && let Some(origin) = foreign_origin(request.headers()) {
        return Problem::forbidden(format!(
            "without authentication no page of another site is served, as of `{origin}`"
        ))
        .into_response();
    }
    if writes && has_body(request.headers()) && !is_json(request.headers()) {
        return Problem::media_type("send the header `Content-Type: application/json`".into()).into_response();
    }
    next.run(request).await
}

/// Every host that the request names is this machine; at least one is named.
fn check_host(headers: &HeaderMap, uri: &Uri) -> Result<(), String> {
    let mut hosts: Vec<&str> = uri.authority().map(|authority| authority.as_str()).into_iter().collect();
    for host in headers.get_all(header::HOST) {
        hosts.push(host.to_str().map_err(|_| "one that cannot be printed".to_owned())?);
    }
    match hosts.iter().find(|host| !is_loopback(host)) {
        Some(host) => Err((*host).to_owned()),
        None if hosts.is_empty() => Err("none".to_owned()),
        None => Ok(()),
    }
}

/// The page that sent the request, where it is not this machine's.
fn foreign_origin(headers: &HeaderMap) -> Option<String> {
    let origin = headers.get(header::ORIGIN)?;
    let text = origin.to_str().unwrap_or("one that cannot be printed");
    let host = text.split_once("://").map_or("", |(_, host)| host);
    (!is_loopback(host)).then(|| text.to_owned())
}

fn is_loopback(host: &str) -> bool {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name);
    name.eq_ignore_ascii_case("localhost")
        || name == "[::1]"
        || name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
        || headers.contains_key(header::TRANSFER_ENCODING)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use super::{check_host, foreign_origin};
    use axum::http::{
        HeaderMap, Uri,
        header::{HOST, ORIGIN},
    };

    #[test]
    fn a_page_of_another_site_is_known_by_its_origin() {
        for (origin, is_foreign) in [
            ("http://localhost:8099", false),
            ("http://127.0.0.1:8099", false),
            ("https://example.com", true),
            ("http://localhost.example.com", true),
            ("null", true),
        ] {
            let headers = HeaderMap::from_iter([(ORIGIN, origin.parse().unwrap())]);
            assert_eq!(foreign_origin(&headers).is_some(), is_foreign, "{origin}");
        }
        assert_eq!(foreign_origin(&HeaderMap::new()), None);
    }

    #[test]
    fn only_names_of_this_machine_pass() {
        for (host, passes) in [
            ("localhost", true),
            ("LOCALHOST:8099", true),
            ("127.0.0.1:8099", true),
            ("127.8.9.1", true),
            ("[::1]:8099", true),
            ("", false),
            ("0.0.0.0", false),
            ("example.com", false),
            ("localhost.example.com", false),
            ("127.0.0.1.example.com:80", false),
            ("127.0.0.1@example.com", false),
        ] {
            let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
            assert_eq!(check_host(&headers, &Uri::from_static("/")).is_ok(), passes, "{host}");
        }
        assert!(check_host(&HeaderMap::new(), &Uri::from_static("/")).is_err());
        assert!(check_host(&HeaderMap::new(), &Uri::from_static("http://localhost/")).is_ok());
        let mut two = HeaderMap::from_iter([(HOST, "localhost".parse().unwrap())]);
        two.append(HOST, "example.com".parse().unwrap());
        assert!(check_host(&two, &Uri::from_static("/")).is_err());
    }
}
