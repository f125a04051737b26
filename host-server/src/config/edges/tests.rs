//! What is read of the edges, and what is refused.

use std::path::PathBuf;

use super::{Cors, Edges, Origins, read};
use crate::{
    config::keys::Settings,
    ports::{ClientAuth, Files},
};

fn edges(given: &[(&'static str, &str)], authenticated: bool) -> Result<Edges, String> {
    let mut settings = Settings::default();
    for (key, value) in given {
        settings.offer(key, (*value).to_owned());
    }
    read(&settings, authenticated).map_err(|error| error.to_string())
}

#[test]
fn tls_has_its_files_and_says_what_clients_show() {
    let basic = [("grpc.tls.enable", "true"), ("grpc.tls.certFile", "a.crt"), ("grpc.tls.keyFile", "a.key")];
    for (more, client_ca, client_auth) in [
        (&[][..], None, ClientAuth::None),
        (&[("grpc.tls.clientCAFile", "ca.crt")], Some("ca.crt"), ClientAuth::Required),
        (
            &[("grpc.tls.clientCAFile", "ca.crt"), ("grpc.tls.clientAuth", "optional")],
            Some("ca.crt"),
            ClientAuth::Optional,
        ),
        (&[("grpc.tls.clientCAFile", "ca.crt"), ("grpc.tls.clientAuth", "none")], Some("ca.crt"), ClientAuth::None),
    ] {
        let edges = edges(&[&basic[..], more].concat(), false).unwrap();
        let client_ca = client_ca.map(PathBuf::from);
        let files = Files { cert: "a.crt".into(), key: "a.key".into(), client_ca, client_auth };
        assert_eq!((edges.grpc.tls, edges.http.tls), (Some(files), None));
    }
    // Files of the first version name certificates and do not use them.
    assert_eq!(edges(&[("http.tls.certFile", "a.crt"), ("http.tls.keyFile", "a.key")], false).unwrap().http.tls, None);
}

#[test]
fn half_of_tls_is_refused_with_the_key_that_is_missing() {
    for (given, key) in [
        (&[("http.tls.enable", "true")][..], "`http.tls.certFile`"),
        (&[("http.tls.enable", "true"), ("http.tls.certFile", "a")], "`http.tls.keyFile`"),
        (&[("http.tls.enable", "yes")], "`http.tls.enable`"),
        (&[("grpc.tls.clientAuth", "required")], "`grpc.tls.clientCAFile`"),
        (&[("grpc.tls.clientAuth", "always")], "none, optional, required"),
        (&[("grpc.tls.clientCAFile", "ca.crt")], "`grpc.tls.enable`"),
        (&[("http.maxConnections", "0")], "`http.maxConnections`"),
        (&[("http.drainDelay", "soon")], "`http.drainDelay`"),
        (&[("http.drainDelay", "1h")], "`http.drainDelay`"),
        (&[("replica.serverName", "a b")], "`replica.serverName`"),
    ] {
        let error = edges(given, true).unwrap_err();
        assert!(error.contains(key), "{given:?}: {error}");
    }
}

#[test]
fn other_origins_are_named_exactly_and_only_where_callers_say_who_they_are() {
    let origins = |text| [("http.cors.allowOrigins", text)];
    for (text, expected) in [
        ("*", Origins::Any),
        ("https://a.test", Origins::Named(vec!["https://a.test".into()])),
        ("https://a.test, http://b.test:81", Origins::Named(vec!["https://a.test".into(), "http://b.test:81".into()])),
        ("http://[::1]:3000", Origins::Named(vec!["http://[::1]:3000".into()])),
    ] {
        let methods = ["GET", "POST", "PUT", "DELETE"].map(str::to_owned).to_vec();
        assert_eq!(edges(&origins(text), true).unwrap().cors, Some(Cors { origins: expected, methods }), "{text}");
        let error = edges(&origins(text), false).unwrap_err();
        assert!(error.contains("`http.cors.allowOrigins`") && error.contains("without authentication"), "{error}");
    }
    for text in [
        "a.test",
        "https://a.test/",
        "https://A.test",
        "https://a.test:443",
        "http://a.test:80",
        "https://*.a.test",
        "null",
        "ftp://a.test",
        "https://",
        "https://a.test, *",
    ] {
        let error = edges(&origins(text), true).unwrap_err();
        assert!(error.contains("`http.cors.allowOrigins`") && error.contains("https://console"), "{text}: {error}");
    }
    let given = [("http.cors.allowOrigins", "https://a.test"), ("http.cors.allowMethods", "GET,HEAD")];
    assert_eq!(edges(&given, true).unwrap().cors.unwrap().methods, ["GET", "HEAD"]);
    let given = [("http.cors.allowOrigins", "https://a.test"), ("http.cors.allowMethods", "get")];
    assert!(edges(&given, true).unwrap_err().contains("`http.cors.allowMethods`"));
    assert!(edges(&[("http.cors.allowMethods", "GET")], true).unwrap_err().contains("`http.cors.allowOrigins`"));
    assert_eq!(edges(&[], true).unwrap().cors, None);
}
