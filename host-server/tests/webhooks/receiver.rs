//! A receiver on loopback that keeps what it gets, and answers as a test says.

use std::{collections::BTreeMap, io::Read as _, net::SocketAddr, sync::Arc};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::watch,
};
use tokio_rustls::TlsAcceptor;

/// What came in one request.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    /// Unpacked.
    pub(crate) text: String,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// Status, step and the step's status.
    pub(crate) fn status(&self) -> (i64, i64, i64) {
        let document = self.json();
        let number = |key: &str| document[key].as_i64().unwrap();
        (number("status"), number("step_position"), number("step_status"))
    }
}

/// What a request is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Status(u16),
    /// Nothing, ever.
    Silence,
    /// Its head, and a body that never ends.
    Drip,
    /// To another place.
    Redirect,
}

type Script = Arc<dyn Fn(usize) -> Reply + Send + Sync>;

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    got: watch::Receiver<Vec<Got>>,
}

impl Receiver {
    /// `script` answers the n-th request, counted from 0.
    pub(crate) async fn start(script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(script, None).await
    }

    pub(crate) async fn content() -> Self {
        Self::start(|_| Reply::Status(200)).await
    }

    /// Over TLS, with a certificate for `shop.test` that only `authority.pem` has signed.
    pub(crate) async fn secure() -> Self {
        let chain = CertificateDer::pem_slice_iter(include_bytes!("server.pem")).collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        Self::listen(|_| Reply::Status(200), Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(script: impl Fn(usize) -> Reply + Send + Sync + 'static, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, (keep, got), script) = (listener.local_addr().unwrap(), watch::channel(vec![]), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (keep, script, tls): (_, Script, _) = (keep.clone(), Arc::clone(&script) as Script, tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => answer(stream, &keep, &script).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => answer(stream, &keep, &script).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self { address, got }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn so_far(&self) -> Vec<Got> {
        self.got.borrow().clone()
    }

    /// Waits until so many requests came.
    pub(crate) async fn gets(&self, count: usize) -> Vec<Got> {
        let mut got = self.got.clone();
        let all = got.wait_for(|got| got.len() >= count).await.unwrap();
        all.clone()
    }
}

/// Reads one request and answers it; none where the sender went away.
async fn answer<S>(stream: S, keep: &watch::Sender<Vec<Got>>, script: &Script) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = BufReader::new(stream);
    let (mut line, mut headers) = (String::new(), BTreeMap::new());
    stream.read_line(&mut line).await.ok()?;
    loop {
        let mut header = String::new();
        if stream.read_line(&mut header).await.ok()? == 0 {
            return None;
        }
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        let before: Option<&String> = headers.get(&name.to_lowercase());
        let value = before.map_or_else(|| value.to_owned(), |before| format!("{before}, {value}"));
        headers.insert(name.to_lowercase(), value);
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(body.as_slice()).read_to_string(&mut text).ok()?;
    let mut index = 0;
    keep.send_modify(|got| {
        index = got.len();
        got.push(Got { line: line.trim_end().to_owned(), headers, text });
    });
    let said = match script(index) {
        Reply::Status(code) => format!("HTTP/1.1 {code} Said\r\ncontent-length: 2\r\nconnection: close\r\n\r\nOK"),
        Reply::Redirect => {
            "HTTP/1.1 302 Elsewhere\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n".into()
        }
        Reply::Drip => "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\na".into(),
        Reply::Silence => String::new(),
    };
    stream.write_all(said.as_bytes()).await.ok()?;
    stream.flush().await.ok()?;
    if matches!(script(index), Reply::Silence | Reply::Drip) {
        // Until the sender has enough of it.
        stream.read_to_end(&mut Vec::new()).await.ok()?;
    }
    Some(())
}
