//! What a plugin gets over HTTP through the host: the built plugin `probe` sends what a case lists, to a server on loopback,
//! under a grant.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod http_parts;
mod plugin_parts;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use claiflow_agent::{
    credentials::Stores,
    executor::commands::{
        Applied, CallDone, CallFailed, CallSink, CommandCall, Commands, Effect, LogLevel, PluginState, Verified,
    },
    http::Client,
    metrics::Metrics,
};
use http_parts::{Names, Server, part};
use plugin_parts::{House, built, call, eventually, outcomes, said};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

/// An agent that serves the probe, and a server. `PORT` is the server's, `shop.test` leads to it.
struct Stage {
    server: Server,
    names: Arc<Names>,
    house: House,
    digest: String,
    metrics: Metrics,
}

impl Stage {
    async fn open(grant: &str) -> Option<Self> {
        Self::over(Server::plain().await, grant).await
    }

    /// Grants the probe this, beside its pin.
    async fn over(server: Server, grant: &str) -> Option<Self> {
        let bytes = built("probe.wasm")?;
        let digest = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let (names, metrics) = (Arc::new(Names::default()), Metrics::register().unwrap());
        names.lead("shop.test", &[&["127.0.0.1"]]);
        let mut stage = Self { server, names, house: House::new(), digest, metrics };
        let credentials = stage.house.root.path().join("credentials");
        std::fs::create_dir(&credentials).unwrap();
        std::fs::write(credentials.join("shop"), "Bearer abcdef123456\n").unwrap();
        std::fs::write(credentials.join("key"), "0123456789").unwrap();
        let client = Client::new(stage.names.clone(), Arc::new(Stores::new(Some(credentials), None, None)));
        client.protect(vec!["10.9.9.9".parse().unwrap()]);
        stage.house.config.http = Arc::new(client);
        stage.house.config.host_calls = stage.metrics.host_calls();
        // A debug build on a busy machine.
        stage.house.config.limits.cpu = Duration::from_secs(60);
        stage.house.config.limits.wall = Duration::from_secs(120);
        stage.house.put("probe.wasm", &bytes);
        stage.grant(grant);
        stage.house.open().await;
        assert_eq!(stage.house.plugin("probe").state, PluginState::Ready, "{:?}", stage.house.plugin("probe"));
        Some(stage)
    }

    /// The probe asks for the cluster's API too, and is refused without.
    fn grant(&self, grant: &str) {
        let grant = self.filled(grant);
        self.house.grant(&format!(
            "plugins:\n  probe:\n    sha256: \"{}\"\n    identity: agent\n    kubernetes: [{{groups: [\"\"], resources: [pods], verbs: [get], namespaces: [shop]}}]\n{grant}",
            self.digest
        ));
    }

    fn filled(&self, text: &str) -> String {
        text.replace("PORT", &self.server.port().to_string())
    }

    fn call(&self, command: &str, calls: &Value) -> CommandCall {
        call(command, &self.filled(&json!({"calls": calls}).to_string()))
    }

    async fn make(&self, call: CommandCall) -> Result<CallDone, CallFailed> {
        self.house.runtime().call(call).await
    }

    /// What each call gave.
    async fn run(&self, calls: Value) -> Vec<Value> {
        outcomes(self.make(self.call("probe.run", &calls)).await)
    }

    /// Each request gave the code, with such words; the code `ok` and the JSON text of its answer.
    async fn expect(&self, cases: &[(Value, &str, &str)]) {
        let calls = cases.iter().map(|(request, ..)| json!({"http": request})).collect();
        let outcomes = self.run(calls).await;
        for ((request, code, part), outcome) in cases.iter().zip(outcomes) {
            let (said, text) = said(&outcome);
            assert!(said == *code && text.contains(&self.filled(part)), "{request}: {outcome}");
        }
    }
}

fn codes(outcomes: &[Value]) -> Vec<&str> {
    outcomes.iter().map(|outcome| said(outcome).0).collect()
}

fn get(url: &str) -> Value {
    json!({"url": url})
}

const SHOP: &str = "    http:
      - {url: \"http://shop.test:PORT\", methods: [GET, POST], addresses: [127.0.0.1/32]}
";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_granted_is_sent_and_counted() {
    let Some(stage) = Stage::open(SHOP).await else { return };
    stage
        .expect(&[
            (get("http://shop.test:PORT/echo?a=1"), "ok", "GET /echo?a=1"),
            (
                json!({"method": "POST", "url": "http://SHOP.test.:PORT/orders", "body": "two"}),
                "ok",
                "POST /orders two",
            ),
            (
                json!({"method": "POST", "url": "http://shop.test:PORT", "body": "x".repeat(100_000)}),
                "ok",
                "POST / xxx",
            ),
            (get("http://shop.test:PORT/cut"), "unavailable", "broke off"),
            (get("http://shop.test:PORT/switch"), "failed", "another protocol"),
            (get("http://shop.test:PORT/headers"), "too-large", "headers"),
        ])
        .await;
    let seen = stage.server.seen();
    assert_eq!(seen[0].headers["host"], stage.filled("shop.test:PORT"));
    assert_eq!(seen[2].body.len(), 100_000);
    let text = stage.metrics.text(&stage.house.runtime().inventory().borrow()).unwrap();
    for line in [
        r#"claiflow_agent_host_calls_total{outcome="ok",plugin="probe",resource="shop.test",verb="GET"} 2"#,
        r#"claiflow_agent_host_calls_total{outcome="ok",plugin="probe",resource="shop.test",verb="POST"} 2"#,
        r#"claiflow_agent_host_call_seconds_count{plugin="probe",resource="shop.test",verb="POST"} 2"#,
        r#"claiflow_agent_http_bytes_total{direction="sent",plugin="probe"} 100003"#,
        r#"claiflow_agent_http_bytes_total{direction="received",plugin="probe"} "#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_granted_is_told_and_never_sent() {
    let grant = "    http:
      - {url: \"http://shop.test:PORT\", methods: [GET], paths: [\"/api/*\"], addresses: [127.0.0.1/32]}
      - {url: \"http://public.test:PORT\", methods: [GET]}
      - {url: \"http://inner.test:PORT\", methods: [GET], addresses: cluster}
      - {url: \"http://mixed.test:PORT\", methods: [GET], addresses: [127.0.0.1/32]}
      - {url: \"http://127.0.0.1:PORT\", methods: [GET]}
      - {url: \"http://[::ffff:127.0.0.1]:PORT\", methods: [GET], addresses: [0.0.0.0/0]}
      - {url: \"http://169.254.169.254\", methods: [GET], addresses: [0.0.0.0/0]}
";
    let Some(stage) = Stage::open(grant).await else { return };
    stage.names.lead("public.test", &[&["127.0.0.1"]]);
    stage.names.lead("inner.test", &[&["10.9.9.9"]]);
    stage.names.lead("mixed.test", &[&["127.0.0.1", "169.254.169.254"]]);
    let with = |method: &str, url: &str| json!({"method": method, "url": url});
    stage
        .expect(&[
            (get("http://shop.test:PORT/api/x/y"), "denied", r#"paths: ["/api/x/y"]"#),
            (with("POST", "http://shop.test:PORT/api/x"), "denied", "methods: [POST]"),
            (get("http://shop.test/api/x"), "denied", "no entry has that scheme, host and port"),
            (get("https://shop.test:PORT/api/x"), "denied", "no entry has that scheme, host and port"),
            (get("http://other.test:PORT/api/x"), "denied", r#"{url: "http://other.test:PORT""#),
            (get("http://user:hidden@shop.test:PORT/api/x"), "invalid", "user or password"),
            (get("http://127.1:PORT/api/x"), "invalid", "is a number"),
            (get("http://shop.test:PORT/api/%2e%2e"), "invalid", "`..`"),
            (with("CONNECT", "http://shop.test:PORT/api/x"), "invalid", "never sent"),
            (with("TRACE", "http://shop.test:PORT/api/x"), "invalid", "never sent"),
            (
                get("http://public.test:PORT/x"),
                "denied",
                r#"leads to 127.0.0.1, and its entry allows public addresses; "#,
            ),
            (get("http://public.test:PORT/x"), "denied", r#"addresses: ["127.0.0.1/32"]"#),
            (get("http://inner.test:PORT/x"), "denied", "the agent's own pod or the cluster's API server"),
            (get("http://mixed.test:PORT/x"), "denied", "169.254.169.254"),
            (get("http://127.0.0.1:PORT/x"), "denied", "public addresses"),
            (get("http://[::ffff:127.0.0.1]:PORT/x"), "denied", "which is 127.0.0.1"),
            (get("http://169.254.169.254/latest/meta-data"), "denied", "metadata"),
            (json!({"url": "http://shop.test:PORT/api/x", "credential": "shop"}), "denied", "credentials: {\"shop\""),
        ])
        .await;
    assert!(stage.server.seen().is_empty(), "{:?}", stage.server.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_elsewhere_the_second_time_is_judged_anew() {
    let Some(stage) = Stage::open(&SHOP.replace("shop.test", "turns.test")).await else { return };
    stage.names.lead("turns.test", &[&["127.0.0.1"], &["169.254.169.254"], &["10.0.0.1"], &["::ffff:127.0.0.2"], &[]]);
    let url = get("http://turns.test:PORT/x");
    stage
        .expect(&[
            (url.clone(), "ok", "GET /x"),
            (url.clone(), "denied", "169.254.169.254"),
            (url.clone(), "denied", "addresses: cluster"),
            (url.clone(), "denied", "127.0.0.2/32"),
            (url, "unavailable", "has no address"),
        ])
        .await;
    assert_eq!(stage.names.asked.lock().unwrap().len(), 5, "each request resolves once");
    assert_eq!(stage.server.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirection_is_a_new_request_under_the_grant() {
    let grant = "    http:
      - {url: \"http://shop.test:PORT\", methods: [GET, POST], addresses: [127.0.0.1/32]}
      - {url: \"http://other.test:PORT\", methods: [GET], addresses: [127.0.0.1/32]}
    credentials: {shop: {hosts: [\"http://shop.test:PORT\"], methods: [GET]}}
";
    let Some(stage) = Stage::open(grant).await else { return };
    stage.names.lead("other.test", &[&["127.0.0.1"]]);
    let to = |location: &str| format!("http://shop.test:PORT/to?{location}");
    let sent = json!({"url": to("http://other.test:PORT/b"), "headers": {"cookie": "mine", "x-kept": "yes"}, "credential": "shop"});
    stage
        .expect(&[
            (get(&to("/a")), "ok", "GET /a"),
            (get(&to("http://169.254.169.254/latest/meta-data")), "denied", "169.254.169.254"),
            (json!({"url": to("/a"), "stay": true}), "ok", r#""status":302"#),
            (sent, "ok", "GET /b"),
            (json!({"method": "POST", "url": to("/c"), "body": "x"}), "ok", "GET /c"),
        ])
        .await;
    let seen = stage.server.seen();
    let last = seen.iter().find(|seen| seen.target == "/b").unwrap();
    assert!(last.headers.contains_key("x-kept"), "{last:?}");
    assert!(!last.headers.contains_key("cookie") && !last.headers.contains_key("authorization"), "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_is_put_in_by_the_host_and_never_comes_back() {
    let grant = "    http:
      - {url: \"http://shop.test:PORT\", methods: [GET, POST], addresses: [127.0.0.1/32]}
    credentials:
      shop: {hosts: [\"http://shop.test:PORT\"], methods: [GET]}
      key: {hosts: [\"http://shop.test:PORT\"], methods: [GET], header: X-Api-Key}
      absent: {hosts: [\"http://shop.test:PORT\"], methods: [GET]}
";
    let Some(stage) = Stage::open(grant).await else { return };
    let with = |name: &str, path: &str| {
        json!({"url": format!("http://shop.test:PORT{path}"), "credential": name,
               "headers": {"authorization": "mine", "accept-encoding": "gzip", "range": "bytes=0-3"}})
    };
    let posts = json!({"method": "POST", "url": "http://shop.test:PORT/x", "credential": "shop"});
    let outcomes = stage
        .run(json!([
            {"http": with("shop", "/x")},
            {"http": with("key", "/x")},
            {"http": with("absent", "/x")},
            {"http": with("shop", "/compressed")},
            {"http": posts},
            {"http": with("../shop", "/x")},
        ]))
        .await;
    assert_eq!(codes(&outcomes), ["ok", "ok", "denied", "failed", "denied", "invalid"], "{outcomes:?}");
    assert_eq!(outcomes[0]["ok"]["body"], "GET /x  got ***, that is ***.");
    assert_eq!(outcomes[0]["ok"]["headers"]["x-got"], "***");
    assert_eq!(outcomes[1]["ok"]["headers"]["x-got"], "mine", "the echo prefers the other header");
    for outcome in &outcomes {
        assert!(!outcome.to_string().contains("abcdef") && !outcome.to_string().contains("0123456789"), "{outcome}");
    }
    let seen = stage.server.seen();
    assert_eq!(seen[0].headers["authorization"], "Bearer abcdef123456");
    assert_eq!(seen[1].headers["x-api-key"], "0123456789");
    for seen in &seen {
        assert!(!seen.headers.contains_key("claiflow-credential") && !seen.headers.contains_key("range"), "{seen:?}");
        assert_eq!(seen.headers["accept-encoding"], "identity");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_trusts_whom_the_entry_names() {
    let entry = |more: &str| {
        format!(
            "    http:\n      - {{url: \"https://shop.test:PORT\", methods: [GET], addresses: [127.0.0.1/32]{more}}}\n      - {{url: \"https://127.0.0.1:PORT\", methods: [GET], addresses: [127.0.0.1/32]{more}}}\n"
        )
    };
    let authority = part("authority.pem");
    let by_file = entry(&format!(", ca: \"{}\"", authority.display()));
    let Some(stage) = Stage::over(Server::tls().await, &by_file).await else { return };
    stage
        .expect(&[
            (get("https://shop.test:PORT/x"), "ok", "GET /x"),
            (get("https://127.0.0.1:PORT/x"), "unavailable", "over TLS"),
        ])
        .await;
    let pem = std::fs::read_to_string(&authority).unwrap();
    let by_text = entry(&format!(", ca: {}", json!(pem)));
    let other = entry(&format!(", ca: \"{}\"", part("mod.rs").display()));
    for (grant, code, words) in [(by_text, "ok", "GET /x"), (other, "unavailable", "no certificate")] {
        let mut grants = stage.house.runtime().grants();
        grants.mark_unchanged();
        stage.grant(&grant);
        grants.changed().await.unwrap();
        stage.expect(&[(get("https://shop.test:PORT/x"), code, words)]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_for_ever_and_nothing_is_read_without_end() {
    let grant = "    http:
      - {url: \"http://shop.test:PORT\", methods: [GET], addresses: [127.0.0.1/32]}
      - {url: \"https://shop.test:MUTE\", methods: [GET], addresses: [127.0.0.1/32]}
      - {url: \"http://slow.test:PORT\", methods: [GET]}
";
    // The system takes the connection, and nobody ever reads from it.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mute_port = mute.local_addr().unwrap().port().to_string();
    let Some(mut stage) = Stage::open(&grant.replace("MUTE", &mute_port)).await else { return };
    let within = |url: &str| json!({"url": url, "timeout_ms": 1_500});
    stage
        .expect(&[
            (get("http://shop.test:PORT/endless"), "too-large", "16777216 bytes"),
            (within("http://shop.test:PORT/silent"), "timeout", "no answer came in time"),
            (within("http://shop.test:PORT/half"), "timeout", "body did not come in time"),
            (within(&format!("https://shop.test:{mute_port}/x")), "timeout", "no connection came about in time"),
            (within("http://slow.test:PORT/x"), "timeout", "no connection came about in time"),
        ])
        .await;

    // Without a time of its own, a request ends a little before the call has to.
    stage.house.config.limits.wall = Duration::from_secs(10);
    stage.house.open().await;
    let run = |path| stage.run(json!([{"http": get(&format!("http://shop.test:PORT{path}"))}]));
    for outcomes in <[_; 2]>::from(tokio::join!(run("/silent"), run("/half"))) {
        assert_eq!(codes(&outcomes), ["timeout"], "{outcomes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_nobody_awaits_end_with_the_call() {
    let Some(stage) = Stage::open(&format!("{SHOP}    limits: {{host_calls: 400}}\n")).await else { return };
    // Each waits for an answer that never comes, so they hold all that a call may hold.
    let outcomes = stage.run(json!([{"abandon": {"url": "http://shop.test:PORT", "times": 600}}])).await;
    assert_eq!(codes(&outcomes), ["ok"], "{outcomes:?}");
    eventually("the end of all connections", async || stage.server.open() == 0).await;
    let most = stage.server.log.most_open.load(Ordering::SeqCst);
    assert!(most <= 8, "{most} at once");
    stage.expect(&[(get("http://shop.test:PORT/x"), "ok", "GET /x")]).await;
}

/// Withdraws the grant when the call leaves a note, and waits until that counts.
struct Withdraws(Arc<Stage>);

#[async_trait::async_trait]
impl CallSink for Withdraws {
    fn log(&self, _: LogLevel, _: &str, _: &[(String, String)]) {}

    fn progress(&self, _: u64, _: u64, _: &str) {}

    async fn note(&self, _: String) -> bool {
        let mut grants = self.0.house.runtime().grants();
        grants.mark_unchanged();
        self.0.grant("    http: [{url: \"http://shop.test:PORT\", methods: [POST], addresses: [127.0.0.1/32]}]\n");
        tokio::time::timeout(Duration::from_secs(60), grants.changed()).await.is_ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_withdrawn_counts_from_the_next_request_on() {
    let Some(stage) = Stage::open(SHOP).await else { return };
    let stage = Arc::new(stage);
    let asked = json!({"http": get("http://shop.test:PORT/x")});
    let calls = stage.call("probe.run", &json!([asked, {"note": {"text": "now"}}, asked]));
    let outcomes = outcomes(stage.make(CommandCall { sink: Arc::new(Withdraws(stage.clone())), ..calls }).await);
    assert_eq!(codes(&outcomes), ["ok", "ok", "denied"], "{outcomes:?}");
    assert_eq!(stage.server.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_withdrawn_while_a_name_is_resolved_is_not_sent() {
    let Some(stage) = Stage::open(&SHOP.replace("shop.test", "held.test")).await else { return };
    stage.names.lead("held.test", &[&["127.0.0.1"]]);
    let post = json!([{"http": {"method": "POST", "url": "http://held.test:PORT/x", "body": "x"}}, {"trap": {}}]);
    let withdrawn = async {
        stage.names.held.notified().await;
        let mut grants = stage.house.runtime().grants();
        grants.mark_unchanged();
        stage.grant(&SHOP.replace("shop.test", "other.test"));
        grants.changed().await.unwrap();
        stage.names.go.notify_one();
    };
    let (made, ()) = tokio::join!(stage.make(stage.call("probe.run", &post)), withdrawn);
    let failed = made.unwrap_err();
    assert_eq!(failed.applied, Applied::No, "nothing was sent: {failed:?}");
    assert!(stage.server.seen().is_empty());
}

/// Cancels the call when it leaves a note.
struct Stops(CancellationToken);

#[async_trait::async_trait]
impl CallSink for Stops {
    fn log(&self, _: LogLevel, _: &str, _: &[(String, String)]) {}

    fn progress(&self, _: u64, _: u64, _: &str) {}

    async fn note(&self, _: String) -> bool {
        self.0.cancel();
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_write_sends_nothing_and_who_did_says_so() {
    let grant =
        format!("{SHOP}      - {{url: \"http://nobody.test:PORT\", methods: [POST], addresses: [127.0.0.1/32]}}\n");
    let grant = format!(
        "{grant}      - {{url: \"http://shop.test:PORT\", methods: [POST], paths: [/query], reads: [POST], addresses: [127.0.0.1/32]}}\n"
    );
    let Some(stage) = Stage::open(&grant).await else { return };
    let read = json!({"http": get("http://shop.test:PORT/x")});
    let post = |url: &str| json!({"http": {"method": "POST", "url": url, "body": "x"}});
    let (write, nowhere, denied) =
        (post("http://shop.test:PORT/x"), post("http://nobody.test:PORT/x"), post("http://other.test/x"));
    let trap = json!({"trap": {}});
    let query = post("http://shop.test:PORT/query");

    let declared = CommandCall { effect: Effect::Read, ..stage.call("probe.read", &json!([write, read, query])) };
    let outcomes = outcomes(stage.make(declared).await);
    assert_eq!(codes(&outcomes), ["denied", "ok", "ok"], "{outcomes:?}");
    assert!(said(&outcomes[0]).1.contains("`reads: [POST]`"), "{outcomes:?}");
    let inputs = stage.filled(&json!({"calls": [], "verify": [write, read]}).to_string());
    let verified = stage.house.runtime().verify(call("probe.run", &inputs)).await;
    let Verified::Unknown(why) = verified else { panic!("the probe never knows") };
    assert!(why.contains("`verify` leaves nothing behind") && why.contains("GET /x"), "{why}");
    assert!(stage.server.seen().iter().all(|seen| seen.method == "GET" || seen.target == "/query"));

    for (calls, applied) in [
        (json!([read, trap]), Applied::No),
        (json!([denied, trap]), Applied::No),
        (json!([query, trap]), Applied::No),
        (json!([nowhere, trap]), Applied::No),
        (json!([write, trap]), Applied::Maybe),
        (json!([write, read, nowhere, trap]), Applied::Maybe),
    ] {
        let failed = stage.make(stage.call("probe.run", &calls)).await.unwrap_err();
        assert!(failed.applied == applied && failed.message.contains("trapped"), "{calls}: {failed:?}");
    }

    let stop = CancellationToken::new();
    let sink = Arc::new(Stops(stop.clone()));
    let stopped = stage.call("probe.run", &json!([{"note": {"text": "now"}}, write, read]));
    let outcomes = self::outcomes(stage.make(CommandCall { stop, sink, ..stopped }).await);
    assert_eq!(codes(&outcomes), ["ok", "stopped", "ok"], "{outcomes:?}");
}
