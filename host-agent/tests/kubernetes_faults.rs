//! An API server that is away, slow, broken, or answers what no healthy one does: faults of a remote part, played by a socket
//! that says what a case tells it to. Nothing is sent twice that may have arrived and that writes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use claiflow_agent::{
    grants::kubernetes::{Kind, Name, Namespace, Object, Patch},
    kubernetes::{Actor, Cluster, Effect, Event, Failure, Listing, Place, Request, Search, Watch, Writing},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Notify,
    time::Instant,
};

/// How one request is answered.
#[derive(Clone)]
enum Answer {
    Says(u16, Vec<(&'static str, &'static str)>, String),
    /// Not at all.
    Hangs,
    /// The connection ends without a word.
    Cuts,
    /// More is announced than comes.
    Breaks,
    /// Lines, and then the stream stays open.
    Streams(Vec<Value>),
    /// Lines, and then the stream ends.
    Ends(Vec<Value>),
}

use Answer::{Breaks, Cuts, Ends, Hangs, Says, Streams};

fn says(status: u16) -> Answer {
    Says(
        status,
        Vec::new(),
        json!({"kind": "Status", "code": status, "message": format!("as told: {status}")}).to_string(),
    )
}

fn ok(body: Value) -> Answer {
    Says(200, Vec::new(), body.to_string())
}

#[derive(Default)]
struct Played {
    answers: Mutex<VecDeque<Answer>>,
    /// Method and path of each request, with the token that it brought.
    heard: Mutex<Vec<String>>,
    /// A stream's other end went away.
    left: Notify,
}

impl Played {
    /// Listens, and answers in this order; what comes beyond is answered with 418.
    async fn listen(answers: Vec<Answer>) -> (Arc<Self>, Arc<Cluster>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let played = Arc::new(Self { answers: Mutex::new(answers.into()), ..Self::default() });
        let serving = played.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        (played, cluster(port).await)
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let (head, _body) = request(&mut stream).await?;
        let line = head.lines().next()?.rsplit_once(' ')?.0.to_owned();
        let token = head.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap_or("");
        let is_token = line.ends_with("/token?&fieldManager=claiflow");
        let said = format!("{line} {token}").trim_end().to_owned();
        let count = {
            let mut heard = self.heard.lock().unwrap();
            heard.push(said);
            heard.iter().filter(|heard| heard.contains("/token?")).count()
        };
        let next = if is_token {
            ok(json!({"spec": {"expirationSeconds": 3600}, "status": {"token": format!("token-{count}")}}))
        } else {
            self.answers.lock().unwrap().pop_front().unwrap_or_else(|| says(418))
        };
        match next {
            Says(status, headers, body) => {
                let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).await.ok()?;
                stream.write_all(body.as_bytes()).await.ok()?;
            }
            Hangs => drop(stream.read(&mut [0; 1]).await),
            Cuts => {}
            Breaks => stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\n{\"half\":").await.ok()?,
            Streams(lines) => {
                self.lines(&mut stream, lines).await?;
                let _ = stream.read(&mut [0; 1]).await;
                self.left.notify_one();
            }
            Ends(lines) => {
                self.lines(&mut stream, lines).await?;
                stream.write_all(b"0\r\n\r\n").await.ok()?;
            }
        }
        stream.shutdown().await.ok()
    }

    async fn lines(&self, stream: &mut TcpStream, lines: Vec<Value>) -> Option<()> {
        stream.write_all(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n").await.ok()?;
        for line in lines {
            let line = format!("{line}\n");
            stream.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes()).await.ok()?;
        }
        Some(())
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// Head and body of one request.
async fn request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).into_owned();
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
    while read.len() < end + length.unwrap_or(0) {
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, read.split_off(end)))
}

async fn cluster(port: u16) -> Arc<Cluster> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
         clusters: [{{name: k, cluster: {{server: \"http://127.0.0.1:{port}\"}}}}]\nusers: [{{name: u, user: {{token: own}}}}]\n"
    );
    std::fs::write(&file, text).unwrap();
    Cluster::open(Place { kubeconfig: Some(file), namespace: Some("agents".into()) }).await.unwrap().unwrap()
}

fn kind() -> Kind {
    Kind {
        group: String::new(),
        version: "v1".into(),
        plural: "configmaps".into(),
        subresource: String::new(),
        kind: "ConfigMap".into(),
        api_version: "v1".into(),
        namespaced: true,
    }
}

fn at() -> Object {
    Object { namespace: Some(Namespace::new("shop").unwrap()), name: Some(Name::new("a").unwrap()) }
}

fn read() -> Request {
    Request::get(&kind(), &at()).unwrap()
}

fn write() -> Request {
    let patch = Patch::parse("merge", json!({"data": {}})).unwrap();
    let writing = Writing { manager: "claiflow:test".into(), dry_run: false };
    Request::patch(&kind(), &at(), &patch, &writing).unwrap()
}

fn dry() -> Request {
    let writing = Writing { manager: "claiflow:test".into(), dry_run: true };
    Request::create(&kind(), &at(), &json!({}), &writing).unwrap()
}

/// Long enough that only a case which waits for it on purpose ends by it.
const PATIENCE: Duration = Duration::from_secs(60);

async fn ask(
    cluster: &Cluster,
    actor: &Actor,
    request: &Request,
    most: usize,
    patience: Duration,
) -> Result<Value, Failure> {
    let answer = cluster.ask(actor, request, most, Instant::now() + patience).await;
    answer.map(|(value, _)| value).map_err(|error| error.failure(|status| status))
}

struct Case {
    what: &'static str,
    request: Request,
    answers: Vec<Answer>,
    patience: Duration,
    code: &'static str,
    effect: Effect,
    sent: usize,
}

#[tokio::test]
async fn reads_are_repeated_where_that_may_help_and_writes_never() {
    let later = |seconds| Says(429, vec![("retry-after", seconds)], "{}".into());
    let most = vec![says(500), says(503), says(500), says(504), says(500), ok(json!({}))];
    let soon = Duration::from_secs(2);
    for case in [
        ("a read passes after a moment", read(), vec![says(503), ok(json!({"a": 1}))], PATIENCE, "ok", Effect::None, 2),
        ("a read waits as it is told", read(), vec![later("1"), ok(json!({}))], PATIENCE, "ok", Effect::None, 2),
        (
            "a read is told when waiting would take too long",
            read(),
            vec![later("120")],
            PATIENCE,
            "unavailable",
            Effect::None,
            1,
        ),
        ("a read is given up", read(), most, PATIENCE, "unavailable", Effect::None, 5),
        ("what is refused stays refused", read(), vec![says(404)], PATIENCE, "not-found", Effect::None, 1),
        ("a read whose connection is cut", read(), vec![Cuts, ok(json!({}))], PATIENCE, "ok", Effect::None, 2),
        ("a read whose answer breaks off", read(), vec![Breaks, ok(json!({}))], PATIENCE, "ok", Effect::None, 2),
        ("a read of a slow server", read(), vec![Hangs], soon, "timeout", Effect::None, 1),
        (
            "a read that is too large",
            read(),
            vec![ok(json!({"k": "x".repeat(2000)}))],
            PATIENCE,
            "too-large",
            Effect::None,
            1,
        ),
        (
            "a read that is no JSON",
            read(),
            vec![Says(200, vec![], "<html>".into())],
            PATIENCE,
            "unavailable",
            Effect::None,
            1,
        ),
        ("a write that a fault answers", write(), vec![says(500)], PATIENCE, "unavailable", Effect::Unknown, 1),
        (
            "a write while the database changes hands",
            write(),
            vec![says(503)],
            PATIENCE,
            "unavailable",
            Effect::Unknown,
            1,
        ),
        ("a write that must wait", write(), vec![later("1")], PATIENCE, "unavailable", Effect::None, 1),
        ("a write that conflicts", write(), vec![says(409)], PATIENCE, "conflict", Effect::None, 1),
        ("a write of something gone", write(), vec![says(410)], PATIENCE, "gone", Effect::None, 1),
        ("a write whose connection is cut", write(), vec![Cuts], PATIENCE, "unavailable", Effect::Unknown, 1),
        ("a write that nobody answers", write(), vec![Hangs], soon, "timeout", Effect::Unknown, 1),
        ("a write whose answer breaks off", write(), vec![Breaks], PATIENCE, "unavailable", Effect::Done, 1),
        (
            "a write whose answer is too large",
            write(),
            vec![ok(json!({"k": "x".repeat(2000)}))],
            PATIENCE,
            "too-large",
            Effect::Done,
            1,
        ),
        (
            "a write whose answer is no JSON",
            write(),
            vec![Says(200, vec![], "?".into())],
            PATIENCE,
            "unavailable",
            Effect::Done,
            1,
        ),
        ("a dry run is a read", dry(), vec![says(500), ok(json!({}))], PATIENCE, "ok", Effect::None, 2),
    ] {
        let (what, request, answers, patience, code, effect, sent) = case;
        check(Case { what, request, answers, patience, code, effect, sent }).await;
    }
}

async fn check(case: Case) {
    let Case { what, request, answers, patience, code, effect, sent } = case;
    let (played, cluster) = Played::listen(answers).await;
    let answer = ask(&cluster, &Actor::Agent, &request, 1000, patience).await;
    let (said, did) = answer.as_ref().map_or_else(|failure| (failure.code, failure.effect), |_| ("ok", Effect::None));
    assert_eq!((said, did, played.heard().len()), (code, effect, sent), "{what}: {answer:?}");
}

#[tokio::test]
async fn an_api_server_that_is_away_has_received_nothing() {
    // Its port is taken, and nobody listens.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let cluster = cluster(taken.local_addr().unwrap().port()).await;
    for request in [read(), write()] {
        let failure = ask(&cluster, &Actor::Agent, &request, 1000, PATIENCE).await.unwrap_err();
        assert_eq!((failure.code, failure.effect), ("unavailable", Effect::None), "{failure}");
        assert!(failure.message.contains("cannot be reached"), "{failure}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_accepted_is_replaced_once() {
    let (played, cluster) = Played::listen(vec![says(401), ok(json!({})), ok(json!({})), says(401), says(401)]).await;
    let robot = Actor::Account("robot".into());
    ask(&cluster, &robot, &write(), 1000, PATIENCE).await.unwrap();
    ask(&cluster, &robot, &read(), 1000, PATIENCE).await.unwrap();
    let refused = ask(&cluster, &robot, &write(), 1000, PATIENCE).await.unwrap_err();
    assert_eq!((refused.code, refused.status, refused.effect), ("denied", Some(401), Effect::None));
    let token = "POST /api/v1/namespaces/agents/serviceaccounts/robot/token?&fieldManager=claiflow own";
    let get = "GET /api/v1/namespaces/shop/configmaps/a";
    let patch = "PATCH /api/v1/namespaces/shop/configmaps/a?&fieldManager=claiflow%3Atest";
    let heard = [
        token.to_owned(),
        format!("{patch} token-1"),
        token.to_owned(),
        format!("{patch} token-2"),
        format!("{get} token-2"),
        format!("{patch} token-2"),
        token.to_owned(),
        format!("{patch} token-3"),
    ];
    assert_eq!(played.heard(), heard);
}

#[tokio::test]
async fn a_page_that_is_too_large_is_asked_for_again_in_halves() {
    let item = json!({"metadata": {"name": "a"}, "data": {"k": "x".repeat(1 << 20)}});
    let page = |count: usize, token: &str| ok(json!({"metadata": {"continue": token}, "items": vec![&item; count]}));
    let (played, cluster) =
        Played::listen(vec![page(6, "t"), page(5, "t"), page(3, "t"), page(1, ""), says(410)]).await;
    let mut listing = Listing::new(kind(), [Some(Namespace::new("shop").unwrap())], Search::default());
    let end = Instant::now() + PATIENCE;
    let mut counts = Vec::new();
    while let Some(page) = listing.next(&cluster, &Actor::Agent, 100, 64 << 20, end).await.unwrap() {
        counts.push(page.items.len());
    }
    assert_eq!(counts, [3, 1]);
    let limits: Vec<_> = played.heard().iter().map(|line| line.split("limit=").nth(1).unwrap().to_owned()).collect();
    assert_eq!(limits, ["100 own", "50 own", "25 own", "25&continue=t own"]);

    let mut stale = Listing::new(kind(), [Some(Namespace::new("shop").unwrap())], Search::default());
    let gone = stale.next(&cluster, &Actor::Agent, 100, 64 << 20, end).await.unwrap_err();
    assert_eq!(gone.failure(|status| status).code, "gone");
}

fn event(event: &str, version: &str) -> Value {
    json!({"type": event, "object": {"metadata": {"name": "a", "resourceVersion": version}}})
}

fn error(code: u16) -> Value {
    json!({"type": "ERROR", "object": {"kind": "Status", "code": code, "reason": "Expired", "message": "too old"}})
}

/// Reads a watch until it fails or so many events came.
async fn watched(cluster: &Cluster, from: &str, most: usize) -> (Vec<Event>, Option<&'static str>) {
    let end = Instant::now() + PATIENCE;
    let place = Some(Namespace::new("shop").unwrap());
    let mut watch = Watch::open(cluster, &Actor::Agent, kind(), [place], Search::default(), from, end).await.unwrap();
    let mut events = Vec::new();
    while events.len() < most {
        match watch.next(cluster, &Actor::Agent, end).await {
            Ok(came) => events.extend(came),
            Err(error) => return (events, Some(error.failure(|status| status).code)),
        }
    }
    (events, None)
}

#[tokio::test]
async fn a_watch_that_is_closed_goes_on_where_it_was() {
    let bookmark = event("BOOKMARK", "7");
    for (what, from, answers, came, end, resumed) in [
        (
            "behind a change",
            "",
            vec![Ends(vec![event("MODIFIED", "5")]), Ends(vec![event("DELETED", "6")])],
            2,
            None,
            vec!["", "5"],
        ),
        (
            "behind a bookmark",
            "",
            vec![Ends(vec![event("ADDED", "3"), bookmark]), Streams(vec![event("ADDED", "8")])],
            2,
            None,
            vec!["", "7"],
        ),
        ("behind where it began", "4", vec![Ends(vec![]), Streams(vec![event("ADDED", "5")])], 1, None, vec!["4", "4"]),
        (
            "nowhere, while it is not known what was there",
            "",
            vec![Ends(vec![event("ADDED", "3")])],
            1,
            Some("gone"),
            vec![""],
        ),
        ("nowhere, from any version", "0", vec![Ends(vec![event("ADDED", "3")])], 1, Some("gone"), vec!["0"]),
        (
            "nowhere, where the server forgot",
            "4",
            vec![Ends(vec![event("ADDED", "5"), error(410)])],
            1,
            Some("gone"),
            vec!["4"],
        ),
        (
            "nowhere, where the server forgot meanwhile",
            "4",
            vec![Ends(vec![event("ADDED", "5")]), says(410)],
            1,
            Some("gone"),
            vec!["4", "5"],
        ),
        (
            "nowhere, where it is closed again and again",
            "4",
            vec![Ends(vec![]); 6],
            0,
            Some("unavailable"),
            vec!["4"; 6],
        ),
        (
            "over a faulty server",
            "4",
            vec![Ends(vec![]), says(503), Streams(vec![event("ADDED", "5")])],
            1,
            None,
            vec!["4"; 3],
        ),
        ("over a torn line", "4", vec![Breaks, Streams(vec![event("ADDED", "5")])], 1, None, vec!["4"; 2]),
    ] {
        let (played, cluster) = Played::listen(answers).await;
        let wanted = if end.is_some() { usize::MAX } else { came };
        let (events, failed) = watched(&cluster, from, wanted).await;
        assert_eq!((events.len(), failed), (came, end), "{what}");
        let versions: Vec<_> = played
            .heard()
            .iter()
            .map(|line| line.split("resourceVersion=").nth(1).unwrap().trim_end_matches("own").trim().to_owned())
            .collect();
        assert_eq!(versions, resumed, "{what}");
    }
}

#[tokio::test]
async fn a_watch_that_nobody_reads_any_more_is_closed() {
    let (played, cluster) = Played::listen(vec![Streams(vec![event("ADDED", "5")])]).await;
    let (events, _) = watched(&cluster, "", 1).await;
    assert_eq!(events.len(), 1);
    tokio::time::timeout(PATIENCE, played.left.notified()).await.expect("the connection is closed");
}
