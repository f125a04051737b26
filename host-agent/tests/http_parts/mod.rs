//! A server on loopback that says what it was asked, and misbehaves as a path tells it to; names that lead where a test says.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use claiflow_agent::http::Resolve;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::Notify,
};
use tokio_rustls::TlsAcceptor;

/// What the server got.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

#[derive(Debug, Default)]
pub struct Log {
    pub seen: Mutex<Vec<Seen>>,
    open: AtomicUsize,
    /// Connections at once, at most.
    pub most_open: AtomicUsize,
}

/// Ends with the test's runtime.
pub struct Server {
    pub address: SocketAddr,
    pub log: Arc<Log>,
}

pub fn part(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/http_parts").join(file)
}

impl Server {
    pub async fn plain() -> Self {
        Self::listen(None).await
    }

    /// With the certificate of `shop.test`.
    pub async fn tls() -> Self {
        let certificate = CertificateDer::from_pem_file(part("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(part("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        Self::listen(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, log) = (listener.local_addr().unwrap(), Arc::new(Log::default()));
        let kept = log.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, tls) = (kept.clone(), tls.clone());
                tokio::spawn(async move {
                    let open = log.open.fetch_add(1, Ordering::SeqCst) + 1;
                    log.most_open.fetch_max(open, Ordering::SeqCst);
                    // A client that goes away is what many tests are about.
                    let _ = match tls {
                        None => serve(stream, &log).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, &log).await,
                            Err(error) => Err(error),
                        },
                    };
                    log.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, log }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.log.seen.lock().unwrap().clone()
    }

    pub fn open(&self) -> usize {
        self.log.open.load(Ordering::SeqCst)
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, log: &Log) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        // A connection over which nothing was sent.
        return Ok(());
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut seen =
        Seen { method: words.next().unwrap_or_default(), target: words.next().unwrap_or_default(), ..Seen::default() };
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        seen.headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = seen.headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    seen.body = String::from_utf8_lossy(&body).into_owned();
    log.seen.lock().unwrap().push(seen.clone());
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    match path {
        "/silent" => std::future::pending().await,
        "/half" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await?;
            stream.flush().await?;
            std::future::pending().await
        }
        "/cut" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await?;
            stream.shutdown().await
        }
        "/endless" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
            loop {
                stream.write_all(chunk.as_bytes()).await?;
            }
        }
        "/headers" => {
            let flood = format!("x-flood: {}\r\n", "x".repeat(1_000)).repeat(200);
            answer(&mut stream, "200 OK", &flood, b"").await
        }
        "/switch" => answer(&mut stream, "101 Switching Protocols", "connection: upgrade\r\nupgrade: x\r\n", b"").await,
        "/to" => answer(&mut stream, "302 Found", &format!("location: {query}\r\n"), b"").await,
        "/counted" => answer(&mut stream, "200 OK", "", seen.body.len().to_string().as_bytes()).await,
        "/compressed" => answer(&mut stream, "200 OK", "content-encoding: gzip\r\n", b"\x1f\x8b").await,
        // Says what it got in a header, and twice in a body whose chunks have three bytes.
        _ => {
            let got = seen.headers.get("authorization").or(seen.headers.get("x-api-key")).cloned().unwrap_or_default();
            let token = got.rsplit(' ').next().unwrap_or_default();
            let text = format!("{} {} {} got {got}, that is {token}.", seen.method, seen.target, seen.body);
            let head = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-got: {got}\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            for chunk in text.as_bytes().chunks(3) {
                let size = format!("{:x}\r\n", chunk.len());
                stream.write_all(&[size.as_bytes(), chunk, b"\r\n"].concat()).await?;
                stream.flush().await?;
            }
            stream.write_all(b"0\r\n\r\n").await?;
            stream.flush().await
        }
    }
}

async fn answer(stream: &mut (impl AsyncWrite + Unpin), status: &str, headers: &str, body: &[u8]) -> io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    stream.flush().await
}

/// Names, and where each leads at each asking; the last answer stays.
#[derive(Debug, Default)]
pub struct Names {
    answers: Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>,
    pub asked: Mutex<Vec<String>>,
    /// `held.test` is being asked for, and its answer may go.
    pub held: Notify,
    pub go: Notify,
}

impl Names {
    pub fn lead(&self, name: &str, answers: &[&[&str]]) {
        let answers = answers.iter().map(|answer| answer.iter().map(|address| address.parse().unwrap()).collect());
        self.answers.lock().unwrap().insert(name.to_owned(), answers.collect());
    }
}

#[async_trait::async_trait]
impl Resolve for Names {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(name.to_owned());
        if name == "slow.test" {
            return std::future::pending().await;
        }
        if name == "held.test" {
            self.held.notify_one();
            self.go.notified().await;
        }
        let mut answers = self.answers.lock().unwrap();
        let left = answers.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        let answer = if left.len() > 1 { left.pop_front() } else { left.front().cloned() };
        Ok(answer.unwrap_or_default())
    }
}
