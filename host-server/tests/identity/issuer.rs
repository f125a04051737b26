//! An issuer on loopback that counts what it is asked, and tokens that it signed or did not.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use claiflow_server::{
    identity::{Grant, Oidc, Settings},
    model::people::Role,
};
use parking_lot::Mutex;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};

/// Microseconds since 1970 at which each test begins.
pub(crate) const NOW_US: i64 = 1_700_000_000_000_000;
pub(crate) const SECOND_US: i64 = 1_000_000;

/// A private key with a name.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pair: EcdsaKeyPair,
}

impl Key {
    pub(crate) fn new(name: &'static str) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        Self { name, pair }
    }

    pub(crate) fn public(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.name, "x": x, "y": y})
    }

    /// A token under this key, whatever the header says.
    pub(crate) fn signs(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

/// What the issuer answers to a path: the whole HTTP response; none: silence.
pub(crate) type Answer = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The issuer.
pub(crate) struct Issuer {
    pub(crate) url: String,
    asked: Arc<AtomicUsize>,
    answer: Arc<Mutex<Arc<Answer>>>,
}

impl Issuer {
    /// One that publishes keys.
    pub(crate) async fn with(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer: Arc<Mutex<Arc<Answer>>> = Arc::new(Mutex::new(Arc::new(|_: &str| None)));
        let issuer = Self { url, asked: Arc::default(), answer };
        issuer.publishes(keys);
        let (asked, answer) = (issuer.asked.clone(), issuer.answer.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, asked.clone(), answer.clone()));
            }
        });
        issuer
    }

    pub(crate) fn publishes(&self, keys: &[&Key]) {
        let (document, set) = documents(&self.url, keys);
        self.answers(move |path| Some(ok(if path == "/keys" { &set } else { &document })));
    }

    pub(crate) fn answers(&self, answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static) {
        *self.answer.lock() = Arc::new(answer);
    }

    /// How often it was asked for its keys, whatever it answered.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            issuer: self.url.clone(),
            audience: "claiflow".into(),
            ca_file: None,
            role_claim: "roles".into(),
            grants: vec![Grant { value: "ops".into(), role: Role::Operator }],
            cluster_claim: None,
            template_claim: None,
        }
    }

    pub(crate) async fn reader(&self) -> Oidc {
        Oidc::open(self.settings()).await.unwrap()
    }

    /// Claims that are right at [`NOW_US`] and for two days.
    pub(crate) fn claims(&self) -> Value {
        let end = NOW_US / SECOND_US + 2 * 86_400;
        json!({"iss": self.url, "aud": "claiflow", "sub": "ann", "exp": end, "roles": ["ops"]})
    }

    /// A right token.
    pub(crate) fn token(&self, key: &Key) -> String {
        key.signs(&json!({"alg": "ES256", "kid": key.name}), &self.claims())
    }
}

/// The discovery document and the keys.
pub(crate) fn documents(url: &str, keys: &[&Key]) -> (String, String) {
    let set: Vec<Value> = keys.iter().map(|key| key.public()).collect();
    (json!({"issuer": url, "jwks_uri": format!("{url}/keys")}).to_string(), json!({"keys": set}).to_string())
}

pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Reads one request and answers it.
pub(crate) async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    asked: Arc<AtomicUsize>,
    answer: Arc<Mutex<Arc<Answer>>>,
) {
    let mut request = [0; 4_096];
    let length = stream.read(&mut request).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&request[..length]).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    if path.ends_with("openid-configuration") {
        asked.fetch_add(1, Ordering::SeqCst);
    }
    let answer = answer.lock().clone();
    match answer(&path) {
        // Whoever asked may have left already.
        Some(text) => {
            drop(stream.write_all(text.as_bytes()).await);
            drop(stream.flush().await);
        }
        None => std::future::pending().await,
    }
}
