//! The way to one cluster's API.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use kube::{
    Client, Config,
    config::{AuthInfo, InClusterError, KubeConfigOptions, Kubeconfig},
};

use super::{body::chain, discovery::Discovery, identity::Tokens, kubeconfig::Reach, tape::Tape};

/// A connection that is not made within this time is not made.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Where the API is, as an operator said. Nothing is inferred: a kubeconfig that happens to lie around is not used.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// A kubeconfig, of which the current context counts. None: the cluster in which the agent runs.
    pub kubeconfig: Option<PathBuf>,
    /// The namespace in which the agent and its plugins' accounts are. None: the mounted account's, or the context's.
    pub namespace: Option<String>,
}

/// Why there is no way to the API.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(String);

/// One cluster's API. Every answer is bounded, every request has a deadline.
pub struct Cluster {
    /// With the agent's own identity.
    pub(super) own: Client,
    /// With none: each request brings its own.
    pub(super) anonymous: Client,
    pub(super) tokens: Tokens,
    pub(super) discovery: Discovery,
    pub(super) namespace: String,
    /// None wherever tasks are served.
    pub(super) tape: Option<Tape>,
    /// Host and port of the API server.
    address: Option<(String, u16)>,
    /// For programs; none where somebody else's client stands for the API server.
    pub(super) reach: Option<Reach>,
}

impl Cluster {
    /// The way to the place. None: the agent is in no cluster, or its account is not mounted, and no kubeconfig was named.
    /// Nothing is sent yet. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// What of the kubeconfig or the mounted account cannot be used.
    pub async fn open(place: Place) -> Result<Option<Arc<Self>>, OpenError> {
        let mut config = match &place.kubeconfig {
            Some(path) => {
                let unusable = |error: &dyn std::error::Error| {
                    OpenError(format!("kubeconfig {}: {}", path.display(), chain(error)))
                };
                let file = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
                let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
                    .await
                    .map_err(|error| unusable(&error))?;
                // kube would also take a proxy from the environment; the API server is reached as the file says.
                config.proxy_url = None;
                config
            }
            None => match Config::incluster() {
                Ok(config) => config,
                Err(InClusterError::ReadEnvironmentVariable(_)) => return Ok(None),
                Err(InClusterError::ReadDefaultNamespace(_) | InClusterError::ReadCertificateBundle(_)) => {
                    tracing::info!(
                        "no account is mounted: commands that need the cluster's API are answered `unavailable`"
                    );
                    return Ok(None);
                }
                Err(error) => return Err(OpenError(format!("the mounted account cannot be used: {}", chain(&error)))),
            },
        };
        // What may be repeated is decided where it is known what a request does.
        config.default_retry = false;
        config.connect_timeout = Some(CONNECT_MAX);
        let namespace = place.namespace.unwrap_or_else(|| config.default_namespace.clone());
        let url = &config.cluster_url;
        let address = url.host().map(|host| {
            let port = if url.scheme_str() == Some("http") { 80 } else { 443 };
            (host.trim_matches(['[', ']']).to_owned(), url.port_u16().unwrap_or(port))
        });
        let reach = Some(Reach::of(&config));
        let mut bare = config.clone();
        bare.auth_info = AuthInfo::default();
        let client = |config| {
            Client::try_from(config)
                .map_err(|error| OpenError(format!("the cluster's API cannot be used: {}", chain(&error))))
        };
        Ok(Some(Arc::new(Self { address, reach, ..Self::over(client(config)?, client(bare)?, namespace) })))
    }

    /// The same over clients of one's own. `anonymous` adds no identity to what it sends.
    #[must_use]
    pub fn over(own: Client, anonymous: Client, namespace: String) -> Self {
        Self {
            own,
            anonymous,
            tokens: Tokens::default(),
            discovery: Discovery::default(),
            namespace,
            tape: None,
            address: None,
            reach: None,
        }
    }

    /// A client for what never sends.
    pub(super) fn nowhere() -> Result<Client, OpenError> {
        let nowhere = http::Uri::from_static("http://nowhere.invalid");
        Client::try_from(Config::new(nowhere)).map_err(|error| OpenError(chain(&error)))
    }

    /// With the agent's own identity, for what the agent does by itself.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.own
    }

    /// Host and port of the API server; none where somebody else's client stands for it.
    #[must_use]
    pub fn address(&self) -> Option<(&str, u16)> {
        self.address.as_ref().map(|(host, port)| (host.as_str(), *port))
    }

    /// The agent's namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
