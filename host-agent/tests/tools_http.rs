//! Cassettes of what went over HTTP: recorded on a server on loopback, replayed with no network, under the grants that are suggested
//! for them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod http_parts;
mod plugin_parts;

use std::fs;

use http_parts::Server;
use plugin_parts::{Said, agent, built};
use serde_json::{Value, json};
use tokio::net::TcpSocket;

/// What the probe asks for beside HTTP, and is refused without.
const REST: &str =
    "    identity: agent\n    kubernetes: [{groups: [\"\"], resources: [pods], verbs: [get], namespaces: [shop]}]\n";
const TOKEN: &str = "abcdef123456";

/// A folder with the probe, grants and a credential, and a server.
struct Stage {
    folder: tempfile::TempDir,
    server: Server,
}

impl Stage {
    async fn open(grants: &str) -> Option<Self> {
        let bytes = built("probe.wasm")?;
        let (folder, server) = (tempfile::tempdir().unwrap(), Server::plain().await);
        fs::write(folder.path().join("probe.wasm"), bytes).unwrap();
        fs::create_dir(folder.path().join("credentials")).unwrap();
        fs::write(folder.path().join("credentials/shop"), format!("Bearer {TOKEN}\n")).unwrap();
        let stage = Self { folder, server };
        let grants = grants.replace("URL", &stage.url());
        let digest = "0".repeat(64);
        stage.write("wide.yaml", &format!("plugins:\n  probe:\n    sha256: \"{digest}\"\n{REST}{grants}"));
        Some(stage)
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.path().join(file)).unwrap()
    }

    fn record(&self, command: &str, calls: &Value) -> Said {
        self.write("inputs.json", &json!({"calls": calls}).to_string());
        let words = ["--inputs", "@inputs.json", "--grants", "wide.yaml", "--unpinned", "--credentials", "credentials"];
        let run = ["run", "probe.wasm", command, "--cache", "cache", "--record", "tape.yaml"];
        agent(self.folder.path(), &[&run[..], &words[..]].concat())
    }

    fn replay(&self, cassette: &str, grants: &str) -> Said {
        let words = ["run", "probe.wasm", "--cache", "cache", "--replay", cassette, "--grants", grants, "--unpinned"];
        agent(self.folder.path(), &words)
    }

    /// Suggested for the cassette, and written to `few.yaml`.
    fn suggested(&self) -> String {
        let said = agent(self.folder.path(), &["suggest-grants", "tape.yaml"]);
        assert_eq!((said.code, said.error.as_str()), (0, ""), "{said:?}");
        self.write("few.yaml", &format!("{}{REST}", said.output));
        said.output
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_recorded_of_servers_holds_no_secret_and_replays_without_them() {
    // Its port is taken, and nobody listens.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = taken.local_addr().unwrap();
    let grants = format!(
        "    http:\n      - {{url: URL, methods: [GET, POST], addresses: [127.0.0.1/32]}}\n      - {{url: \"http://{closed}\", methods: \
         [GET], addresses: [127.0.0.1/32]}}\n    credentials: {{\"*\": {{hosts: [URL], methods: [GET]}}}}\n"
    );
    let Some(stage) = Stage::open(&grants).await else { return };
    let url = stage.url();
    let http = |request: Value| json!({"http": request});
    // They are as long as their sign, since the result says how many bytes there were.
    let order = json!({"what": "tea", "password": "hunter2-of"}).to_string();
    let calls = json!([
        http(
            json!({"url": format!("{url}/x?a=1&b=two%20words"), "headers": {"accept": "text/plain", "X-Api-Key": "key-of-the"}})
        ),
        http(
            json!({"method": "POST", "url": format!("{url}/orders"), "body": order, "headers": {"content-type": "application/json"}})
        ),
        http(
            json!({"method": "POST", "url": format!("{url}/form"), "body": "q=a+b&q=c", "headers": {"content-type": "application/x-www-form-urlencoded"}})
        ),
        http(json!({"url": format!("{url}/mine"), "credential": "shop"})),
        http(json!({"url": format!("{url}/to?/x")})),
        http(json!({"url": format!("{url}/compressed")})),
        http(json!({"url": format!("{url}/cut")})),
        http(
            json!({"url": format!("{url}/x?a=1&b=two%20words"), "headers": {"accept": "text/plain", "X-Api-Key": "key-of-the"}})
        ),
        http(json!({"url": format!("http://{closed}/away")})),
        http(json!({"url": "https://example.com/not/granted"})),
    ]);
    let said = stage.record("probe.run", &calls);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.error.contains("recorded 10 requests"), "{said:?}");
    let tape = stage.read("tape.yaml");
    for secret in [TOKEN, "hunter2-of", "key-of-the"] {
        assert!(!tape.contains(secret), "{secret}: {tape}");
    }
    for part in [
        "- request:\n    method: GET\n",
        "two words",
        "x-api-key: <redacted>",
        "credential: shop",
        "form:\n        q:\n        - a b\n        - c\n",
        "what: tea",
        "base64: H4s=",
        "status: 302",
        "code: unavailable",
        "address: 127.0.0.1",
    ] {
        assert!(tape.contains(part), "{part}: {tape}");
    }

    let seen = stage.server.seen().len();
    let replayed = stage.replay("tape.yaml", "wide.yaml");
    assert_eq!(replayed.code, 0, "{replayed:?}\n{tape}");
    assert!(!replayed.error.contains("not asked for"), "{replayed:?}");

    let few = stage.suggested();
    let replayed = stage.replay("tape.yaml", "few.yaml");
    assert_eq!(replayed.code, 0, "{few}: {replayed:?}");
    let lines: Vec<&str> = few.lines().filter(|line| line.starts_with("      ")).collect();
    assert!(lines.len() >= 3, "{few}");
    for line in lines {
        stage.write(
            "few.yaml",
            &format!(
                "{}{REST}",
                few.replace(&format!("{line}\n"), "").replace("    credentials:\n", "    credentials: {}\n")
            ),
        );
        let replayed = stage.replay("tape.yaml", "few.yaml");
        assert_ne!(replayed.code, 0, "without {line}: {replayed:?}");
    }
    assert_eq!(stage.server.seen().len(), seen, "nothing is sent in a replay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_only_reads_is_suggested_as_one() {
    let Some(stage) =
        Stage::open("    http: [{url: URL, methods: [POST], reads: [POST], addresses: [127.0.0.1/32]}]\n").await
    else {
        return;
    };
    let calls = json!([{"http": {"method": "POST", "url": format!("{}/query", stage.url()), "body": "up"}}]);
    let said = stage.record("probe.read", &calls);
    assert_eq!(said.code, 0, "{said:?}");
    let few = stage.suggested();
    let entry = format!(
        "{{url: \"{}\", methods: [POST], paths: [\"/query\"], reads: [POST], addresses: [\"127.0.0.1/32\"]}}",
        stage.url()
    );
    assert!(few.contains(&entry), "{few}");
    let replayed = stage.replay("tape.yaml", "few.yaml");
    assert!(replayed.code == 0 && replayed.output.contains("POST /query up"), "{replayed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_in_the_cassette_is_told_with_the_nearest_one() {
    let Some(stage) = Stage::open("    http: [{url: URL, methods: [GET], addresses: [127.0.0.1/32]}]\n").await else {
        return;
    };
    let said = stage.record("probe.run", &json!([{"http": {"url": format!("{}/x?page=1", stage.url())}}]));
    assert_eq!(said.code, 0, "{said:?}");
    let tape = stage.read("tape.yaml");
    for (from, to, part) in [
        ("      page:\n      - '1'\n", "      page:\n      - '2'\n", "`query.page[0]` (recorded \"2\", asked \"1\")"),
        ("  gave:\n", "  reads: true\n  gave:\n", ""),
        ("/x\n", "/y\n", "the nearest is request 1, `GET http://127.0.0.1:"),
        ("result:\n", "result:\n- one more\n", "the result is not the recorded one"),
        ("status: 200", "status: 2000", "2000 is no status"),
    ] {
        assert!(tape.contains(from), "{from}: {tape}");
        stage.write("changed.yaml", &tape.replacen(from, to, 1));
        let said = stage.replay("changed.yaml", "wide.yaml");
        assert!((said.code == 0) == part.is_empty() && said.error.contains(part), "{from}: {said:?}");
    }
    assert_eq!(stage.server.seen().len(), 1, "nothing is sent in a replay");
}
