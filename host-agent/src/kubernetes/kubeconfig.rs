//! The way to the cluster for a program: a kubeconfig with the identity of a plugin's account, and nothing else in it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kube::{Config, config::AuthInfo};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{Actor, Cluster, Failure};

/// The API server gives no token for less.
const TOKEN_LIFE_MIN: Duration = Duration::from_secs(600);
/// Beyond what the program may take.
const TOKEN_LIFE_MORE: Duration = Duration::from_secs(120);
/// What of the agent's own identity a program can use beside an impersonation.
const OWN_KEYS: [&str; 3] = ["token", "client-certificate-data", "client-key-data"];
const OWN_FILES: [(&str, &str); 2] =
    [("client-certificate", "client-certificate-data"), ("client-key", "client-key-data")];
const FILE_MAX_BYTES: usize = 256 << 10;
const NAME: &str = "claiflow";

/// Where the API server is and how it is known. Has no `Debug`: nothing may print it.
pub(super) struct Reach {
    server: String,
    certificates: Option<Vec<Vec<u8>>>,
    /// Read anew each time; it counts before the others.
    certificate_file: Option<PathBuf>,
    server_name: Option<String>,
    is_unchecked: bool,
    own: AuthInfo,
}

/// A kubeconfig. Has no `Debug`: nothing may print it.
pub struct Kubeconfig {
    /// The file's text.
    pub text: String,
    /// What of it must not be seen.
    pub secrets: Vec<Vec<u8>>,
}

impl Reach {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            server: config.cluster_url.to_string(),
            certificates: config.root_cert.clone(),
            certificate_file: config.root_cert_file.clone(),
            server_name: config.tls_server_name.clone(),
            is_unchecked: config.accept_invalid_certs,
            own: config.auth_info.clone(),
        }
    }

    async fn cluster(&self) -> Result<Value, Failure> {
        let mut cluster = json!({"server": self.server});
        let pem = match (&self.certificate_file, &self.certificates) {
            (Some(file), _) => Some(read(file).await?),
            (None, Some(certificates)) => Some(certificates.iter().flat_map(|der| pem(der)).collect()),
            (None, None) => None,
        };
        if let Some(cluster) = cluster.as_object_mut() {
            cluster.extend(pem.map(|pem| ("certificate-authority-data".to_owned(), STANDARD.encode(pem).into())));
            cluster.extend(self.server_name.clone().map(|name| ("tls-server-name".to_owned(), name.into())));
            // Only where the agent itself was told so.
            cluster.extend(self.is_unchecked.then(|| ("insecure-skip-tls-verify".to_owned(), true.into())));
        }
        Ok(cluster)
    }

    /// The agent's own identity, as far as it can be written down.
    async fn own(&self) -> Result<Map<String, Value>, Failure> {
        let unusable = || {
            let message = "the agent's own identity cannot be given to a program that impersonates: it comes from a helper program; \
                           use `identity: token`";
            Failure::new("unavailable", message)
        };
        let Ok(Value::Object(all)) = serde_json::to_value(&self.own) else { return Err(unusable()) };
        let mut own: Map<String, Value> = all
            .iter()
            .filter(|(key, _)| OWN_KEYS.contains(&key.as_str()))
            .map(|(key, it)| (key.clone(), it.clone()))
            .collect();
        if let (None, Some(file)) = (own.get("token"), &self.own.token_file) {
            let token = read(Path::new(file)).await?;
            own.insert("token".to_owned(), String::from_utf8_lossy(&token).trim().into());
        }
        for (path, data) in OWN_FILES {
            if let (None, Some(file)) = (own.get(data), all.get(path).and_then(Value::as_str)) {
                own.insert(data.to_owned(), STANDARD.encode(read(Path::new(file)).await?).into());
            }
        }
        if own.is_empty() { Err(unusable()) } else { Ok(own) }
    }
}

impl Cluster {
    /// A kubeconfig with which a program acts as the account for that long. The agent's own identity is never in it, but where the
    /// program impersonates the account by it.
    ///
    /// # Errors
    /// `denied` where the agent may make no token of the account, or for [`Actor::Agent`]; `unavailable` where the agent speaks
    /// with the cluster in a way that cannot be written down.
    pub async fn kubeconfig(&self, actor: &Actor, life: Duration, deadline: Instant) -> Result<Kubeconfig, Failure> {
        let Some(reach) = &self.reach else {
            return Err(Failure::new("unavailable", "no program reaches this cluster: nobody knows its address"));
        };
        let (mut user, account) = match actor {
            Actor::Agent => return Err(Failure::new("denied", "a program never acts as the agent itself")),
            Actor::Account(account) => {
                let life = (life + TOKEN_LIFE_MORE).max(TOKEN_LIFE_MIN);
                let token = Box::pin(self.new_token(account, life, deadline)).await;
                let token = token.map_err(|error| error.failure(|status| status))?;
                (Map::from_iter([("token".to_owned(), Value::from(token))]), None)
            }
            Actor::Impersonated(account) => (reach.own().await?, Some(account)),
        };
        let secrets = user.values().filter_map(|secret| Some(secret.as_str()?.as_bytes().to_vec())).collect();
        let namespace = &self.namespace;
        if let Some(account) = account {
            let groups = [
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".into(),
            ];
            user.insert("as".to_owned(), format!("system:serviceaccount:{namespace}:{account}").into());
            user.insert("as-groups".to_owned(), groups.to_vec().into());
        }
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": NAME,
            "clusters": [{"name": NAME, "cluster": reach.cluster().await?}],
            "users": [{"name": NAME, "user": user}],
            "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
        });
        // JSON is YAML.
        Ok(Kubeconfig { text: config.to_string(), secrets })
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let unread = |why: String| Failure::new("unavailable", format!("{}: {why}", path.display()));
    let bytes = tokio::fs::read(path).await.map_err(|error| unread(error.to_string()))?;
    if bytes.len() > FILE_MAX_BYTES {
        return Err(unread(format!("it has more than {FILE_MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

fn pem(der: &[u8]) -> Vec<u8> {
    let encoded = STANDARD.encode(der);
    let mut text = b"-----BEGIN CERTIFICATE-----\n".to_vec();
    for line in encoded.as_bytes().chunks(64) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(b"-----END CERTIFICATE-----\n");
    text
}
