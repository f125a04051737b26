//! What the grants file allows over HTTP, as data: each case is a request and what becomes of it; what a denial suggests is put
//! into a grants file and must allow the request.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

use std::net::IpAddr;

use claiflow_agent::grants::{
    Denial, Grant, Grants,
    http::{Allowed, Request, admit, authorise},
};
use http::Uri;

const GRANT: &str = r#"
    http:
      - {url: "https://Shop.example.com.", methods: [GET, POST], paths: ["/api/v1/*", /health]}
      - {url: "https://shop.example.com:8443", methods: [DELETE]}
      - {url: "http://prometheus.monitoring.svc:9090", methods: [GET], paths: ["/api/*/query"], addresses: cluster}
      - {url: "https://[2001:db8::7]", methods: [GET]}
      - {url: "http://10.1.2.3", methods: [GET], addresses: ["10.1.2.0/24"]}
    credentials:
      "shop-*": {hosts: ["https://shop.example.com"], methods: [GET], header: X-Api-Key}
      exact: {hosts: ["https://shop.example.com", "https://shop.example.com:8443"], methods: [GET, DELETE]}
"#;

fn granted(sections: &str) -> Grant {
    let text = format!("plugins:\n  tool:\n    sha256: \"{}\"\n{sections}", "0".repeat(64));
    let mut grants = Grants::parse(&text).unwrap_or_else(|mistakes| panic!("{text}\n{mistakes:?}"));
    grants.plugins.remove("tool").unwrap()
}

fn ask(grant: &Grant, method: &str, url: &str, credential: Option<&str>) -> Result<Allowed, Denial> {
    let url: Uri = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
    authorise(grant, &Request { plugin: "tool", method, url: &url, credential })
}

/// The grant that a denial tells to add.
fn suggested(denial: &Denial) -> Grant {
    let line = denial.allow.as_ref().unwrap_or_else(|| panic!("{denial} suggests nothing"));
    let text = line.replacen("tool: {", &format!("tool: {{sha256: \"{}\", ", "0".repeat(64)), 1);
    Grants::parse(&text).unwrap_or_else(|mistakes| panic!("{text}: {mistakes:?}")).plugins.remove("tool").unwrap()
}

#[test]
fn one_entry_covers_all_of_a_request() {
    let grant = granted(GRANT);
    for (method, url) in [
        ("GET", "https://shop.example.com/api/v1/orders"),
        ("POST", "https://shop.example.com/api/v1/orders?page=2&x=../.."),
        ("GET", "https://SHOP.EXAMPLE.COM:443/health"),
        ("GET", "https://shop.example.com./health"),
        ("GET", "https://shop.example.com/api/v1/a%20b"),
        ("DELETE", "https://shop.example.com:8443/any/path/at/all"),
        ("DELETE", "https://shop.example.com:8443"),
        ("GET", "http://prometheus.monitoring.svc:9090/api/v1/query"),
        ("GET", "https://[2001:0db8:0::7]/x"),
        ("GET", "http://10.1.2.3:80/x"),
    ] {
        let allowed = ask(&grant, method, url, None).unwrap_or_else(|denial| panic!("{method} {url}: {denial}"));
        assert_eq!(allowed.method, method);
    }
    for (method, url, part) in [
        ("PUT", "https://shop.example.com/api/v1/orders", "has the method"),
        ("DELETE", "https://shop.example.com/health", "has the method"),
        ("GET", "https://shop.example.com/api/v1/orders/7", "has the path"),
        ("GET", "https://shop.example.com/api/v2/orders", "has the path"),
        ("GET", "https://shop.example.com/Health", "has the path"),
        ("GET", "https://shop.example.com/api/v1%20/x", "has the path"),
        ("GET", "https://shop.example.com//health", "has the path"),
        ("GET", "http://shop.example.com/health", "no entry has that scheme"),
        ("GET", "https://shop.example.com:444/health", "no entry has that scheme"),
        ("GET", "https://shop.example.com.evil.example/health", "no entry has that scheme"),
        ("GET", "https://evil-shop.example.com/health", "no entry has that scheme"),
        ("GET", "http://10.1.2.4/x", "no entry has that scheme"),
        ("GET", "http://[::ffff:10.1.2.3]/x", "no entry has that scheme"),
    ] {
        let denial = ask(&grant, method, url, None).unwrap_err();
        assert!(denial.code == "denied" && denial.message.contains(part), "{method} {url}: {denial}");
        let more = suggested(&denial);
        ask(&more, method, url, None).unwrap_or_else(|denial| panic!("{method} {url}: {denial}"));
    }
}

#[test]
fn a_post_writes_unless_an_entry_says_that_it_only_reads() {
    let grant = granted(
        r#"
    http:
      - {url: "http://10.1.2.3", methods: [GET, POST, DELETE], addresses: cluster}
      - {url: "http://10.1.2.3", methods: [POST], paths: ["/api/v1/query"], reads: [POST], addresses: cluster}
"#,
    );
    for (method, path, writes) in [
        ("GET", "/api/v1/query", false),
        ("POST", "/api/v1/query", false),
        ("POST", "/api/v1/admin", true),
        ("DELETE", "/api/v1/query", true),
    ] {
        let allowed = ask(&grant, method, &format!("http://10.1.2.3{path}"), None).unwrap();
        assert_eq!(allowed.writes(), writes, "{method} {path}");
    }
}

#[test]
fn what_no_grant_could_mean_is_invalid() {
    let grant = granted(GRANT);
    for (method, url, part) in [
        ("CONNECT", "https://shop.example.com/health", "never sent"),
        ("TRACE", "https://shop.example.com/health", "never sent"),
        ("get", "https://shop.example.com/health", "never sent"),
        ("GET", "https://user:secret@shop.example.com/health", "user or password"),
        ("GET", "https://shop.example.com@evil.example/health", "user or password"),
        ("GET", "ftp://shop.example.com/health", "neither https nor http"),
        ("GET", "/health", "no scheme"),
        ("GET", "http://127.1/", "is a number"),
        ("GET", "http://2130706433/", "is a number"),
        ("GET", "http://0x7f.0.0.1/", "is a number"),
        ("GET", "http://0x7f000001/", "is a number"),
        ("GET", "http://127.0.0.0x1/", "is a number"),
        ("GET", "http://0177.0.0.1/", "is a number"),
        ("GET", "http://1.2.3.4.5/", "is a number"),
        ("GET", "http://10.1.2.3../", "is no host"),
        ("GET", "https://shop..example.com/", "is no host"),
        ("GET", "https://-shop.example.com/", "is no host"),
        ("GET", "https://shop.example.com:0/health", "is no port"),
        ("GET", "https://shop.example.com:/health", "is no port"),
        ("GET", "https://shop.example.com/api/v1/..", "`..`"),
        ("GET", "https://shop.example.com/api/v1/../../admin", "`..`"),
        ("GET", "https://shop.example.com/api/v1/%2e%2E", "`..`"),
        ("GET", "https://shop.example.com/api/v1/%252e%252e", "`..`"),
        ("GET", "https://shop.example.com/api/v1/..;x=1", "`..`"),
        ("GET", "https://shop.example.com/api/v1/.", "`..`"),
        ("GET", "https://shop.example.com/api/v1/a%2fb", "encoded slash"),
        ("GET", "https://shop.example.com/api/v1/a%252Fb", "encoded slash"),
        ("GET", "https://shop.example.com/api/v1/a%5cb", "backslash"),
        ("GET", "https://shop.example.com/api/v1/a\\b", "backslash"),
        ("GET", "https://shop.example.com/api/v1/a%00", "control character"),
        ("GET", "https://shop.example.com/api/v1/a%0d%0ab", "control character"),
        ("GET", "https://shop.example.com/api/v1/%25252525252e", "several times"),
    ] {
        let denial = ask(&grant, method, url, None).unwrap_err();
        let told = denial.code == "invalid" && denial.message.contains(part) && denial.allow.is_none();
        assert!(told && !denial.message.contains("secret"), "{method} {url}: {denial}");
    }
}

#[test]
fn a_credential_goes_where_its_own_grant_says() {
    let grant = granted(GRANT);
    for (method, url, name, header) in [
        ("GET", "https://shop.example.com/health", "shop-1", Some("x-api-key")),
        ("GET", "https://shop.example.com/health", "exact", None),
        ("DELETE", "https://shop.example.com:8443/x", "exact", None),
    ] {
        let allowed = ask(&grant, method, url, Some(name)).unwrap();
        let goes = allowed.credential.unwrap();
        assert_eq!((goes.name.as_str(), goes.header.as_deref()), (name, header));
    }
    for (method, url, name, code) in [
        ("POST", "https://shop.example.com/api/v1/x", "exact", "denied"),
        ("GET", "https://[2001:db8::7]/", "exact", "denied"),
        ("DELETE", "https://shop.example.com:8443/x", "shop-1", "denied"),
        ("GET", "https://shop.example.com/health", "other", "denied"),
        ("GET", "https://shop.example.com/health", "shop-../x", "invalid"),
        ("GET", "https://shop.example.com/health", "shop-..", "invalid"),
        ("GET", "https://shop.example.com/health", "shop 1", "invalid"),
        ("GET", "https://shop.example.com/health", "Shop-1", "denied"),
        ("GET", "https://shop.example.com/health", "", "invalid"),
    ] {
        let denial = ask(&grant, method, url, Some(name)).unwrap_err();
        assert_eq!(denial.code, code, "{method} {url} {name}: {denial}");
        if code == "denied" {
            let mut more = suggested(&denial);
            more.http.clone_from(&grant.http);
            assert!(ask(&more, method, url, Some(name)).is_ok(), "{denial}");
        }
    }
}

/// One entry with these addresses for a host.
fn reaching(url: &str, addresses: &str) -> Allowed {
    let grant = granted(&format!("    http: [{{url: \"{url}\", methods: [GET], addresses: {addresses}}}]\n"));
    ask(&grant, "GET", url, None).unwrap()
}

#[test]
fn a_name_leads_where_its_entry_says() {
    let own: Vec<IpAddr> = vec!["10.0.0.9".parse().unwrap(), "203.0.114.9".parse().unwrap()];
    // Address; reached by `public`, by `cluster`, by every network, and by the network of it alone.
    for (address, public, cluster, every, alone) in [
        ("93.184.216.34", true, false, true, true),
        ("2606:2800:220:1::1", true, false, true, true),
        ("10.0.0.1", false, true, true, true),
        ("172.31.255.255", false, true, true, true),
        ("172.32.0.1", true, false, true, true),
        ("192.168.1.1", false, true, true, true),
        ("100.64.0.1", false, true, true, true),
        ("fd12::1", false, true, true, true),
        ("198.18.0.1", false, false, true, true),
        ("2001:db8::1", false, false, true, true),
        ("127.0.0.1", false, false, false, true),
        ("127.8.9.1", false, false, false, true),
        ("::1", false, false, false, true),
        ("0.0.0.0", false, false, false, false),
        ("0.1.2.3", false, false, false, false),
        ("::", false, false, false, false),
        ("169.254.169.254", false, false, false, false),
        ("169.254.1.1", false, false, false, false),
        ("fe80::1", false, false, false, false),
        ("224.0.0.1", false, false, false, false),
        ("255.255.255.255", false, false, false, false),
        ("ff02::1", false, false, false, false),
        ("168.63.129.16", false, false, false, false),
        ("100.100.100.200", false, false, false, false),
        ("192.0.0.192", false, false, false, false),
        ("fd00:ec2::254", false, false, false, false),
        // The same inside IPv6: mapped, compatible, NAT64, 6to4, ISATAP.
        ("::ffff:93.184.216.34", true, false, true, true),
        ("::ffff:10.0.0.1", false, true, true, true),
        ("::ffff:127.0.0.1", false, false, false, true),
        ("::127.0.0.1", false, false, false, true),
        ("::ffff:169.254.169.254", false, false, false, false),
        ("::ffff:0:169.254.169.254", false, false, false, false),
        ("64:ff9b::a9fe:a9fe", false, false, false, false),
        ("64:ff9b::10.0.0.1", false, true, true, true),
        ("64:ff9b:1::1", false, false, false, false),
        ("2002:a9fe:a9fe::1", false, false, false, false),
        ("2002:7f00:1::", false, false, false, true),
        ("2001:0:1::1", false, false, false, false),
        ("fd00::5efe:169.254.169.254", false, false, false, false),
        // The agent's pod and the API server.
        ("10.0.0.9", false, false, false, false),
        ("::ffff:10.0.0.9", false, false, false, false),
        ("203.0.114.9", false, false, false, false),
    ] {
        let parsed: IpAddr = address.parse().unwrap();
        let by = |addresses: &str| admit(&reaching("https://x.example", addresses), parsed, &own);
        assert_eq!(by("public").is_ok(), public, "{address} public: {:?}", by("public"));
        assert_eq!(by("cluster").is_ok(), cluster, "{address} cluster: {:?}", by("cluster"));
        assert_eq!(by("[0.0.0.0/0, \"::/0\"]").is_ok(), every, "{address} every");
        let denial = match by("public") {
            Ok(()) => continue,
            Err(denial) => denial,
        };
        assert_eq!(denial.code, "denied");
        assert_eq!(denial.allow.is_some(), alone, "{address}: {denial}");
        if alone {
            let more = suggested(&denial);
            let allowed = ask(&more, "GET", "https://x.example", None).unwrap();
            admit(&allowed, parsed, &own).unwrap_or_else(|denial| panic!("{address}: {denial}"));
        }
    }
    for url in ["https://x.example:10250", "http://x.example:10255"] {
        assert!(admit(&reaching(url, "[0.0.0.0/0]"), "93.184.216.34".parse().unwrap(), &own).is_err(), "{url}");
    }
}

#[test]
fn an_entry_that_could_only_be_a_misunderstanding_is_a_mistake() {
    for (sections, at, part) in [
        ("http: [{methods: [GET]}]", "http[0]", "needs `url`"),
        ("http: [{url: \"https://x.example\"}]", "http[0]", "needs `methods`"),
        ("http: [{url: x.example, methods: [GET]}]", "http[0].url", "no scheme"),
        ("http: [{url: \"https://x.example/api\", methods: [GET]}]", "http[0].url", "write https://x.example"),
        ("http: [{url: \"https://u:p@x.example\", methods: [GET]}]", "http[0].url", "user or password"),
        ("http: [{url: \"https://*.example\", methods: [GET]}]", "http[0].url", "is no host"),
        ("http: [{url: \"https://x.example\", methods: [CONNECT]}]", "http[0].methods[0]", "none of GET"),
        ("http: [{url: \"https://x.example\", methods: [GET], paths: []}]", "http[0].paths", "it is empty"),
        (
            "http: [{url: \"https://x.example\", methods: [GET], paths: [api]}]",
            "http[0].paths",
            "begin it with a slash",
        ),
        (
            "http: [{url: \"https://x.example\", methods: [GET], paths: [\"/a?b\"]}]",
            "http[0].paths",
            "more than a path",
        ),
        ("http: [{url: \"https://x.example\", methods: [GET], paths: [\"/a/../b\"]}]", "http[0].paths", "`..`"),
        ("http: [{url: \"https://x.example\", methods: [GET], path: [/a]}]", "http[0]", "did you mean `paths`?"),
        (
            "http: [{url: \"https://x.example\", methods: [GET], addresses: all}]",
            "http[0].addresses",
            "public, cluster",
        ),
        ("http: [{url: \"https://x.example\", methods: [GET], addresses: []}]", "http[0].addresses", "it is empty"),
        (
            "http: [{url: \"https://x.example\", methods: [GET], addresses: [10.1.2.3/8]}]",
            "http[0].addresses",
            "10.0.0.0/8",
        ),
        (
            "http: [{url: \"https://x.example\", methods: [GET], addresses: [169.254.169.254]}]",
            "http[0].addresses",
            "no grant reaches that",
        ),
        ("http: [{url: \"https://x.example\", methods: [GET], ca: mine}]", "http[0].ca", "absolute path of a PEM file"),
        ("http: [{url: \"http://x.example\", methods: [GET], ca: cluster}]", "http[0]", "has no certificate"),
        ("credentials: {x: {methods: [GET]}}", "credentials.x", "needs `hosts`"),
        ("credentials: {x: {hosts: [\"https://x.example\"]}}", "credentials.x", "needs `methods`"),
        (
            "credentials: {x: {hosts: [\"https://x.example\"], methods: [GET], header: Host}}",
            "credentials.x.header",
            "how a message travels",
        ),
        (
            "credentials: {x: {hosts: [\"https://x.example\"], methods: [GET], header: \"a b\"}}",
            "credentials.x.header",
            "name of a header",
        ),
    ] {
        let text = format!("plugins: {{a: {{sha256: \"{}\", {sections}}}}}", "0".repeat(64));
        let mistakes = Grants::parse(&text).unwrap_err();
        let at = format!("plugins.a.{at}");
        assert!(
            mistakes.iter().any(|mistake| mistake.at == at && mistake.message.contains(part)),
            "{sections}: {mistakes:?}"
        );
    }
}
