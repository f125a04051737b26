//! Without authentication a browser's page must not reach the API, wherever it came from.
//!
//! A page sends where it is from (`Origin`, `Sec-Fetch-Site`), which no script can change, and the name that it thinks the
//! server has (`Host`). A page of another site, or of another port of this machine, is refused by the former; one that had its
//! own name lead here (DNS rebinding) by the latter. No header of CORS is ever sent, so nothing can be read in any case.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::problem::Problem;

/// What no page of another origin may do with an answer: show it in a frame, load it as an image or a script, guess its kind.
const KEPT: [(HeaderName, HeaderValue); 4] = [
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// Refuses what a page of another origin could send.
pub(super) async fn only_local(request: Request, next: Next) -> Response {
    let mut response = match refusal(&request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    response.headers_mut().extend(KEPT);
    response
}

fn refusal(request: &Request) -> Option<Problem> {
    let headers = request.headers();
    let host = match check_host(headers, request.uri()) {
        Ok(host) => host,
        Err(host) => {
            let detail = format!("without authentication only a loopback Host is served, not `{host}`");
            return Some(Problem::forbidden(detail));
        }
    };
    if let Some(origin) = foreign_page(request.method(), headers, &host) {
        let detail = format!("without authentication no page of another site is served, as of {origin}");
        return Some(Problem::forbidden(detail));
    }
    let writes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if writes && has_body(request.version(), headers) && !is_json(headers) {
        return Some(Problem::media_type("send the header `Content-Type: application/json`".into()));
    }
    None
}

/// The one host that the request names, which is this machine.
fn check_host(headers: &HeaderMap, uri: &Uri) -> Result<String, String> {
    let mut hosts: Vec<&str> = uri.authority().map(|authority| authority.as_str()).into_iter().collect();
    for host in headers.get_all(header::HOST) {
        hosts.push(host.to_str().map_err(|_| "one that cannot be printed".to_owned())?);
    }
    match hosts.iter().find(|host| !is_loopback(host)) {
        Some(host) => Err((*host).to_owned()),
        None => hosts.first().map(|host| (*host).to_owned()).ok_or_else(|| "none".to_owned()),
    }
}

/// The page that sent the request, where it is not one of `host` itself: another port of this machine is another page.
fn foreign_page(method: &Method, headers: &HeaderMap, host: &str) -> Option<String> {
    for origin in headers.get_all(header::ORIGIN) {
        let text = origin.to_str().unwrap_or("one that cannot be printed");
        let is_own = text.split_once("://").is_some_and(|(_, origin)| origin.eq_ignore_ascii_case(host));
        if !is_own {
            return Some(format!("`{text}`"));
        }
    }
    let said = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match said("sec-fetch-site") {
        // Nobody's page: no browser, a typed address, a bookmark.
        None | Some("same-origin" | "none") => None,
        // A link to Swagger UI is followed; its page shows nothing to the one that has the link.
        Some(_) if *method == Method::GET && is_opened(said("sec-fetch-mode"), said("sec-fetch-dest")) => None,
        Some(site) => Some(format!("one that its browser calls `{site}`")),
    }
}

fn is_opened(mode: Option<&str>, to: Option<&str>) -> bool {
    mode == Some("navigate") && to == Some("document")
}

fn is_loopback(host: &str) -> bool {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name);
    name.eq_ignore_ascii_case("localhost")
        || name == "[::1]"
        || name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

/// HTTP/2 tells no length: there, a body has a kind, or no browser's page sent it.
fn has_body(version: Version, headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
        || headers.contains_key(header::TRANSFER_ENCODING)
        || version == Version::HTTP_2 && headers.contains_key(header::CONTENT_TYPE)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use super::{check_host, foreign_page, refusal};
    use axum::{
        body::Body,
        http::{
            HeaderMap, Method, Request, Uri,
            header::{HOST, ORIGIN},
        },
    };

    #[test]
    fn a_page_of_another_site_is_known_by_its_origin() {
        for (origin, is_foreign) in [
            ("http://localhost:8099", false),
            ("http://LOCALHOST:8099", false),
            ("https://localhost:8099", false),
            ("http://localhost:3000", true),
            ("http://localhost", true),
            ("http://127.0.0.1:8099", true),
            ("https://example.com", true),
            ("http://localhost.example.com", true),
            ("http://localhost:8099.example.com", true),
            ("localhost:8099", true),
            ("null", true),
            ("", true),
        ] {
            let headers = HeaderMap::from_iter([(ORIGIN, origin.parse().unwrap())]);
            for method in [Method::GET, Method::POST, Method::DELETE] {
                assert_eq!(
                    foreign_page(&method, &headers, "localhost:8099").is_some(),
                    is_foreign,
                    "{method} {origin}"
                );
            }
        }
        assert_eq!(foreign_page(&Method::POST, &HeaderMap::new(), "localhost"), None);
    }

    #[test]
    fn what_a_browser_says_of_its_page_is_believed() {
        for (method, site, mode, to, passes) in [
            (Method::GET, "none", "navigate", "document", true),
            (Method::POST, "same-origin", "cors", "empty", true),
            (Method::GET, "cross-site", "navigate", "document", true),
            (Method::GET, "cross-site", "navigate", "iframe", false),
            (Method::GET, "cross-site", "no-cors", "image", false),
            (Method::GET, "same-site", "no-cors", "script", false),
            (Method::GET, "same-site", "websocket", "empty", false),
            (Method::POST, "cross-site", "navigate", "document", false),
            (Method::DELETE, "same-site", "cors", "empty", false),
            (Method::OPTIONS, "cross-site", "cors", "empty", false),
            (Method::GET, "something-new", "cors", "empty", false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", to)] {
                headers.insert(name, value.parse().unwrap());
            }
            assert_eq!(foreign_page(&method, &headers, "localhost").is_none(), passes, "{method} {headers:?}");
        }
    }

    #[test]
    fn a_body_that_a_form_can_send_is_refused_whatever_the_method() {
        for (method, kind, length, passes) in [
            ("POST", Some("application/json"), "2", true),
            ("POST", Some("application/json; charset=utf-8"), "2", true),
            ("POST", None, "0", true),
            ("GET", Some("text/plain"), "2", true),
            ("POST", Some("text/plain"), "2", false),
            ("POST", None, "2", false),
            ("PUT", Some("multipart/form-data"), "2", false),
            ("DELETE", Some("application/x-www-form-urlencoded"), "2", false),
            ("POST", Some("text/plain; application/json"), "2", false),
        ] {
            let mut request = Request::builder().method(method).uri("/").header(HOST, "localhost");
            if let Some(kind) = kind {
                request = request.header("content-type", kind);
            }
            let request = request.header("content-length", length).body(Body::empty()).unwrap();
            assert_eq!(refusal(&request).is_none(), passes, "{method} {kind:?} {length}");
        }
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
