use std::time::Duration;

use super::{Arguments, Config, Database, Mode};
use crate::jobs::Retention;

fn read_files(files: &[&str], variables: &[(&str, &str)], http_port: Option<u16>) -> Result<Config, String> {
    let directory = tempfile::tempdir().unwrap();
    let mut arguments = Arguments { http_port, ..Arguments::default() };
    for (index, text) in files.iter().enumerate() {
        let file = directory.path().join(format!("{index}.yaml"));
        std::fs::write(&file, text).unwrap();
        arguments.files.push(file);
    }
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::read(&arguments, variables).map_err(|error| error.to_string())
}

pub(super) fn read(yaml: &str) -> Result<Config, String> {
    read_files(&[yaml], &[], None)
}

#[test]
fn flags_beat_variables_and_variables_beat_files_and_the_first_file_wins() {
    let files = ["http: {port: 1}", "http: {port: 9}\ngrpc: {port: '2'}"];
    let port = [("CLAIFLOW_HTTP_PORT", "3")];
    assert_eq!(read_files(&files, &[], None).unwrap().http, "127.0.0.1:1");
    assert_eq!(read_files(&files, &[], None).unwrap().grpc, "127.0.0.1:2");
    assert_eq!(read_files(&files, &port, None).unwrap().http, "127.0.0.1:3");
    assert_eq!(read_files(&files, &port, Some(4)).unwrap().http, "127.0.0.1:4");
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let arguments = Arguments { files: vec!["/nonexistent/claiflow.yaml".into()], ..Arguments::default() };
    let error = Config::read(&arguments, std::iter::empty()).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/claiflow.yaml"), "{error}");
}

#[test]
fn the_files_of_the_first_version_are_read() {
    let application = "appName: claiflow\nhttp:\n  port: 8099\n  urlPrefix:\n  tls:\n  cors:\ngrpc:\n  port: \"18099\"\n  tls:\n    enable: false\n    certFile: server.crt\n    keyFile: server.key\n  maxRecvMsgSize: 1073741824\nmigrate:\n  source: /app/migrations\nlogger:\n  verbose: 0\n  disableCaller: true\n  disableStacktrace: true\n";
    let database = "database:\n  type: mysql\n  protocol: tcp\n  host: db\n  port: '3307'\n  dbname: x\n  username: u\n  password: p\n  maxOpenConns: 15\n  maxIdleConns: 5\n  connMaxLifetime: 1\n";
    let enigma = "enigma:\n  claiflow.v1:\n    blockmethod: none\n    BLOCKSIZE: 0\n    blockKey: null\n    cipherMode: NONE\n    cipherSalt: null\n    padding: none\n    strconv: plain\n";
    let config = read_files(&[application, enigma, database], &[], None).unwrap();
    let Database::Maria(maria) = config.database else { panic!("not MariaDB") };
    assert_eq!((maria.hosts, maria.connections), (vec![("db".to_owned(), 3307)], 15));
    assert_eq!(config.grpc_message_bytes, Some(1 << 30));
    assert_eq!(config.telemetry.filter, "info");
    assert!(config.notes.iter().any(|note| note.contains("migrate.source")), "{:?}", config.notes);
}

#[test]
fn what_cannot_be_read_is_refused_with_the_right_key() {
    for (yaml, parts) in [
        ("http: {prot: 1}", &["`http.prot`", "`http.port`"][..]),
        ("database: {user: x}", &["`database.user`"]),
        ("htp: {port: 1}", &["`htp`"]),
        ("http: 5", &["`http`", "mapping"]),
        ("http: {port: many}", &["`http.port`", "many"]),
        ("http: {port: 70000}", &["`http.port`", "65535"]),
        ("http: {urlPrefix: 'a b'}", &["`http.urlPrefix`"]),
        ("replica: {address: 10.0.0.1}", &["`replica.address`", "host:port"]),
        ("history: {retention: 90}", &["`history.retention`", "90d"]),
        ("history: {retention: 0d}", &["`history.retention`"]),
        ("delivery: {grace: soon}", &["`delivery.grace`", "10s, 5m"]),
        ("delivery: {offer: 0s}", &["`delivery.offer`", "100ms"]),
        ("delivery: {leaseTtl: 10s, silence: 5s, grace: 5s}", &["`delivery.leaseTtl`", "shorter"]),
        ("database: {type: oracle}", &["sqlite, mariadb"]),
        ("database: {type: mariadb, maxOpenConns: lots}", &["`database.maxOpenConns`", "4 to 500"]),
        ("database: {protocol: unix}", &["`database.protocol`"]),
        ("grpc: {maxRecvMsgSize: 10}", &["`grpc.maxRecvMsgSize`", "65536"]),
        ("logger: {verbose: loud}", &["`logger.verbose`"]),
        ("enigma: {a: {blockMethode: none}}", &["enigma.a.blockMethode", "enigma.blockMethod"]),
        ("ops: {host: 0.0.0.0}", &["`ops.port`"]),
    ] {
        let error = read(yaml).unwrap_err();
        assert!(parts.iter().all(|part| error.contains(part)), "{yaml}: {error}");
    }
}

#[test]
fn a_capability_that_is_not_there_is_refused_and_never_pretended() {
    for (yaml, key) in [
        ("http: {cors: {allowOrigins: ['https://example.com']}}", "`http.cors.allowOrigins`"),
        ("auth: {mode: ldap}", "`auth.mode`"),
        ("auth: {bootstrapToken: hunter2}", "`auth.bootstrapToken`"),
        ("enigma: {a: {blockMethod: none}, b: {blockMethod: AES}}", "`enigma.blockMethod`"),
        ("enigma: {blockKey: hunter2}", "`enigma.blockMethod`"),
    ] {
        let error = read(yaml).unwrap_err();
        assert!(error.contains(key) && !error.contains("hunter2"), "{yaml}: {error}");
    }
    assert!(read_files(&[], &[("CLAIFLOW_ENIGMA_BLOCKMETHOD", "AES")], None).is_err());
    assert!(read("auth: {mode: none}").is_ok());
}

#[test]
fn variables_are_known_by_name_and_former_ones_are_answered() {
    let error = read_files(&[], &[("CLAIFLOW_HTTP_PROT", "1")], None).unwrap_err();
    assert!(error.contains("CLAIFLOW_HTTP_PORT"), "{error}");
    let config = read_files(&[], &[("CONFIGOR_DATABASE_HOST", "db")], None).unwrap();
    assert!(config.notes.iter().any(|note| note.contains("CLAIFLOW_DATABASE_HOST")), "{:?}", config.notes);
    assert_eq!(read_files(&[], &[("CLAIFLOW_HTTP_URLPREFIX", "a/b/")], None).unwrap().url_prefix, "/a/b");
}

#[test]
fn variables_that_kubernetes_makes_for_services_are_passed_over() {
    let links = [
        ("CLAIFLOW_SERVICE_SERVICE_HOST", "10.0.0.1"),
        ("CLAIFLOW_SERVICE_SERVICE_PORT_HTTP", "8099"),
        ("CLAIFLOW_SERVICE_PORT", "tcp://10.0.0.1:8099"),
        ("CLAIFLOW_SERVICE_PORT_8099_TCP_ADDR", "10.0.0.1"),
        ("CLAIFLOW_HTTP_PORT", "tcp://10.0.0.2:80"),
        ("CLAIFLOW_TOKEN", "an agent's"),
    ];
    assert_eq!(read_files(&[], &links, None).unwrap().http, "127.0.0.1:8099");
}

#[test]
fn the_operations_listener_is_off_unless_it_has_a_port() {
    assert_eq!(read("").unwrap().ops, None);
    assert_eq!(read("ops: {port: 8098}").unwrap().ops.as_deref(), Some("127.0.0.1:8098"));
    assert_eq!(read("ops: {host: '::', port: 8098}").unwrap().ops.as_deref(), Some("[::]:8098"));
}

#[test]
fn verbose_is_the_former_way_to_ask_for_more() {
    for (yaml, level) in [
        ("logger: {verbose: true}", "debug"),
        ("logger: {verbose: 9}", "debug"),
        ("logger: {verbose: false}", "info"),
        ("logger: {verbose: true, level: warn}", "warn"),
    ] {
        assert_eq!(read(yaml).unwrap().telemetry.filter, level, "{yaml}");
    }
}

#[test]
fn several_database_hosts_are_a_list_or_a_text() {
    let hosts = vec![("a".to_owned(), 3306), ("b".to_owned(), 3307)];
    for yaml in ["database: {type: mariadb, host: [a, 'b:3307']}", "database: {type: mariadb, host: 'a, b:3307'}"] {
        let Database::Maria(maria) = read(yaml).unwrap().database else { panic!("{yaml}") };
        assert_eq!(maria.hosts, hosts, "{yaml}");
    }
}

#[test]
fn final_tasks_are_kept_for_ever_unless_it_is_said() {
    for (yaml, retention) in [
        ("", Retention::Unlimited),
        ("history: {retention: unlimited}", Retention::Unlimited),
        ("history: {retention: 90d}", Retention::For(Duration::from_secs(90 * 86_400))),
    ] {
        assert_eq!(read(yaml).unwrap().retention, retention, "{yaml}");
    }
    assert_eq!(read("replica: {address: 'pod-1:18099'}").unwrap().replica_address.as_deref(), Some("pod-1:18099"));
}

#[test]
fn nobody_is_let_in_unrecognised_from_another_machine() {
    for (yaml, mode) in [
        ("", Mode::None),
        ("auth: {mode: none}", Mode::None),
        ("auth: {mode: token}", Mode::Token),
        ("http: {host: '::1'}", Mode::None),
        ("http: {host: 0.0.0.0}", Mode::Token),
        ("{http: {host: '::'}, auth: {mode: token}}", Mode::Token),
    ] {
        assert_eq!(read(yaml).unwrap().auth.mode, mode, "{yaml}");
    }
    for host in ["0.0.0.0", "'::'", "10.0.0.1", "claiflow"] {
        let error = read(&format!("{{http: {{host: {host}}}, auth: {{mode: none}}}}")).unwrap_err();
        assert!(error.contains("`auth.mode`") && error.contains("loopback"), "{error}");
    }
}

#[test]
fn a_bootstrap_token_is_long_and_never_shown() {
    let secret = "x".repeat(40);
    let config = read(&format!("auth: {{bootstrapToken: claiflow_{secret}}}")).unwrap();
    assert_eq!(config.auth.bootstrap.as_ref().map(|secret| secret.0.len()), Some(49));
    assert!(!format!("{config:?}").contains(&secret));
    for wrong in [secret.clone(), format!("claiflow_{}", "x".repeat(31)), format!("claiflow_x x{secret}")] {
        let error = read(&format!("auth: {{bootstrapToken: '{wrong}'}}")).unwrap_err();
        assert!(error.contains("openssl rand") && !error.contains(&wrong), "{error}");
    }
}
