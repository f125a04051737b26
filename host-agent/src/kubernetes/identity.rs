//! As whom a request is made: as the agent itself, by a token of a plugin's own account, or by impersonating that account.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use kube::{Client, client::Body};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::{
    Effect, Error, Failure, Request, Writing,
    cluster::Cluster,
    send::{Safety, in_time},
};
use crate::grants::kubernetes::{Kind, Name, Namespace, Object};

/// Asked for; an API server may give another.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);
const TOKEN_MAX_BYTES: usize = 64 << 10;

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The agent, with all that it may do.
    Agent,
    /// The ServiceAccount of this name in the agent's namespace, by a token of its own.
    Account(String),
    /// The same account, by the agent's right to impersonate it.
    Impersonated(String),
}

/// Tokens that were asked for, by account.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<String, Slot>>);

type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

/// Has no `Debug`: nothing may print it.
#[derive(Clone)]
struct Token {
    header: HeaderValue,
    refresh: Instant,
}

#[derive(Deserialize)]
struct TokenRequest {
    spec: Spec,
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    expiration_seconds: Option<u64>,
}

#[derive(Deserialize)]
struct Status {
    token: String,
}

impl Tokens {
    fn slot(&self, account: &str) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(account.to_owned()).or_default().clone()
    }
}

impl Cluster {
    /// The request as the actor makes it, and the client that sends it.
    pub(super) async fn as_actor(
        &self,
        actor: &Actor,
        request: &http::Request<Vec<u8>>,
        deadline: Instant,
    ) -> Result<(&Client, http::Request<Body>), Error> {
        let mut request = request.clone().map(Body::from);
        match actor {
            Actor::Agent => Ok((&self.own, request)),
            Actor::Account(account) => {
                request.headers_mut().insert(AUTHORIZATION, self.token(account, deadline).await?);
                Ok((&self.anonymous, request))
            }
            Actor::Impersonated(account) => {
                let namespace = self.namespace.as_str();
                let user = format!("system:serviceaccount:{namespace}:{account}");
                let accounts = format!("system:serviceaccounts:{namespace}");
                let headers = request.headers_mut();
                headers.append(HeaderName::from_static("impersonate-user"), value(&user)?);
                for group in ["system:serviceaccounts", accounts.as_str(), "system:authenticated"] {
                    headers.append(HeaderName::from_static("impersonate-group"), value(group)?);
                }
                Ok((&self.own, request))
            }
        }
    }

    /// Forgets a token that was not accepted. False: the actor has none that could be replaced.
    pub(super) async fn forget_token(&self, actor: &Actor) -> bool {
        let Actor::Account(account) = actor else { return false };
        self.tokens.slot(account).lock().await.take().is_some()
    }

    /// Of several that need the same token, one asks.
    async fn token(&self, account: &str, deadline: Instant) -> Result<HeaderValue, Error> {
        let slot = self.tokens.slot(account);
        let mut held = in_time(deadline, slot.lock()).await?;
        if let Some(token) = held.as_ref().filter(|token| Instant::now() < token.refresh) {
            return Ok(token.header.clone());
        }
        let token = Box::pin(self.cached_token(account, deadline)).await?;
        let header = token.header.clone();
        *held = Some(token);
        Ok(header)
    }

    /// For one program alone, which may live so long.
    pub(super) async fn new_token(&self, account: &str, life: Duration, deadline: Instant) -> Result<String, Error> {
        Ok(self.ask_token(account, life, deadline).await?.status.token)
    }

    async fn cached_token(&self, account: &str, deadline: Instant) -> Result<Token, Error> {
        // Its life is counted from before it was asked for, by this clock alone.
        let asked = Instant::now();
        let TokenRequest { spec, status } = self.ask_token(account, TOKEN_LIFE, deadline).await?;
        let mut header = value(&format!("Bearer {}", status.token))?;
        header.set_sensitive(true);
        let life = spec.expiration_seconds.map_or(TOKEN_LIFE, Duration::from_secs);
        Ok(Token { header, refresh: asked + life * 4 / 5 })
    }

    async fn ask_token(&self, account: &str, life: Duration, deadline: Instant) -> Result<TokenRequest, Error> {
        let request = self.token_request(account, life)?;
        let answer = self.whole(&Actor::Agent, &request, Safety::Repeatable, TOKEN_MAX_BYTES, deadline).await;
        let answer = answer.map_err(|error| self.without_token(account, error))?;
        let unread =
            |_| Failure::new("unavailable", format!("the API server gave no token for the account `{account}`"));
        Ok(serde_json::from_slice(&answer).map_err(unread)?)
    }

    fn token_request(&self, account: &str, life: Duration) -> Result<Request, Failure> {
        let kind = Kind {
            group: String::new(),
            version: "v1".to_owned(),
            plural: "serviceaccounts".to_owned(),
            subresource: "token".to_owned(),
            kind: "TokenRequest".to_owned(),
            api_version: "authentication.k8s.io/v1".to_owned(),
            namespaced: true,
        };
        let wrong =
            |error| Failure::new("denied", format!("the account `{account}` of the agent cannot be one: {error}"));
        let at = Object {
            namespace: Some(Namespace::new(&self.namespace).map_err(wrong)?),
            name: Some(Name::new(account).map_err(wrong)?),
        };
        let body = json!({
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "spec": {"expirationSeconds": life.as_secs()},
        });
        Request::create(&kind, &at, &body, &Writing { manager: "claiflow".to_owned(), dry_run: false })
    }

    /// Says what an operator can do; the plugin's own request was not sent.
    fn without_token(&self, account: &str, error: Error) -> Error {
        let failure = error.failure(|status| status).with(Effect::None);
        let namespace = &self.namespace;
        let message = match failure.status {
            Some(404) => format!(
                "the plugin acts as the ServiceAccount `{account}` of the namespace `{namespace}`, which does not exist; \
                 `claiflow-agent inspect FILE --rbac` prints it with its Role, `account: NAME` in the grants file names \
                 another"
            ),
            Some(401 | 403) => format!(
                "the agent may not make a token of the ServiceAccount `{account}` of the namespace `{namespace}` ({}); \
                 `claiflow-agent inspect FILE --rbac` prints the Role that is missing",
                failure.message
            ),
            _ => {
                let message = format!("no token of the ServiceAccount `{account}`: {}", failure.message);
                return Failure { message, ..failure }.into();
            }
        };
        // The status was that of another request than the plugin's.
        Failure::new("denied", message).into()
    }
}

fn value(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|_| Failure::new("failed", "an identity holds what no HTTP header may hold"))
}
