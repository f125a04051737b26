//! Flags and variables.

mod credentials;
mod telemetry;
mod tls;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::{
    credentials::{Credential, Credentials, Rekey},
    telemetry::Telemetry,
    tls::Tls,
};
use crate::tools;

/// The generic agent: runs tasks in its cluster with commands from WebAssembly plugins. It only dials out.
#[derive(Parser)]
#[command(
    name = "claiflow-agent",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  claiflow-agent --server localhost:18099 --clusteruuid 00000000000000000000000000000000 --token SECRET --plugins ./plugins/dist\n  claiflow-agent run plugins/dist/example.wasm helloworld --inputs '{\"name\":\"world\"}'\n  claiflow-agent run plugins/dist/kubernetes.wasm kubernetes.pods.list.v1 --inputs '{\"namespace\":\"default\"}' --grants grants.yaml --kubeconfig ~/.kube/config\n  claiflow-agent inspect plugins/dist/example.wasm --grants grants.yaml\n  claiflow-agent bench plugins/dist/example.wasm math_pow --inputs '{\"x\":3,\"y\":2}'\n  claiflow-agent compat released/example.wasm plugins/dist/example.wasm\n  claiflow-agent suggest-grants recorded.yaml\n  claiflow-agent credential rekey --state claiflow-agent-state"
)]
pub struct Arguments {
    #[command(subcommand)]
    /// Something else than serving.
    pub command: Option<Other>,
    #[command(flatten)]
    /// How to serve.
    pub agent: Agent,
}

/// What an agent can do besides serving.
#[derive(Subcommand)]
pub enum Other {
    /// Run one command of a plugin file here, with no server.
    Run(tools::Run),
    /// Run one command of a plugin file many times, and print times.
    Bench(tools::Bench),
    /// Say whether a plugin file fits this agent, or takes the place of an older one without harm.
    Compat(tools::Compat),
    /// Print the smallest grants for what was recorded of a plugin.
    SuggestGrants(tools::SuggestGrants),
    /// Say what a plugin file asks for, what it is granted, and what is missing.
    Inspect(Inspect),
    /// Work on the files in which the agent keeps credentials.
    #[command(subcommand)]
    Credential(Credential),
}

/// The cluster on which plugins work.
#[derive(Args, Clone, Debug, Default)]
pub struct Kubernetes {
    /// A kubeconfig, of which the current context counts. Without it: the cluster in which this runs, where its account is
    /// mounted; no file is looked for.
    #[arg(long, env = "CLAIFLOW_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The namespace of the agent and of its plugins' accounts. Without it: that of the mounted account, or of the kubeconfig's
    /// context.
    #[arg(long, env = "CLAIFLOW_NAMESPACE")]
    pub namespace: Option<String>,
}

/// See [`Other::Inspect`].
#[derive(Args)]
#[command(
    after_help = "The exit code is 0 where nothing is missing, else 1.\n\nExamples:\n  claiflow-agent inspect plugins/dist/restart-tool.wasm\n  claiflow-agent inspect plugins/dist/restart-tool.wasm --grants grants.yaml --json\n  claiflow-agent inspect plugins/dist/restart-tool.wasm --grants grants.yaml --rbac | kubectl apply --server-side -f -"
)]
pub struct Inspect {
    /// A component file, NAME.wasm.
    pub file: PathBuf,
    /// A grants file; without it nothing is granted.
    #[arg(long, env = "CLAIFLOW_GRANTS")]
    pub grants: Option<PathBuf>,
    /// Write the smallest roles of the cluster that the plugin's grants need, as YAML, in place of the report.
    #[arg(long, conflicts_with = "json")]
    pub rbac: bool,
    /// Write JSON, for programs.
    #[arg(long)]
    pub json: bool,
    /// With --rbac: the agent's namespace.
    #[arg(long, default_value = "claiflowclient")]
    pub namespace: String,
    /// With --rbac: the agent's ServiceAccount.
    #[arg(long, default_value = "claiflowclient-controller", value_name = "ACCOUNT")]
    pub agent_account: String,
    /// Where compiled code is kept.
    #[arg(long)]
    pub cache: Option<PathBuf>,
}

/// What carries the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// Streams, and requests once several streams in a row did not last.
    #[default]
    Auto,
    /// One stream.
    Stream,
    /// Requests that the server holds for some seconds.
    Poll,
}

/// How to serve.
#[derive(Args)]
pub struct Agent {
    /// The server, host:port, or https://host:port for TLS.
    #[arg(long, env = "CLAIFLOW_SERVER_URL", default_value = "localhost:18099")]
    pub server: String,
    #[command(flatten)]
    /// How it is known.
    pub tls: Tls,
    /// How to speak with the server: over one stream, by requests where proxies end streams, or by whichever lasts.
    #[arg(long, env = "CLAIFLOW_TRANSPORT", value_enum, default_value_t)]
    pub transport: Transport,
    /// The cluster that this agent speaks for.
    #[arg(long, env = "CLAIFLOW_CLUSTER_UUID")]
    pub clusteruuid: Option<String>,
    /// A cluster token; better given as a variable.
    #[arg(long, env = "CLAIFLOW_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// trace, debug, info, warn or error.
    #[arg(long, default_value = "info")]
    pub loglevel: String,
    #[command(flatten)]
    /// Log lines and traces.
    pub telemetry: Telemetry,
    /// Directories of component files, such as mounted ConfigMaps and image volumes; an earlier one wins where two have a plugin of
    /// the same name.
    #[arg(long, env = "CLAIFLOW_PLUGINS", value_name = "DIRECTORY", value_delimiter = ',', default_value = "plugins")]
    pub plugins: Vec<PathBuf>,
    /// Take plugins also from ConfigMaps of the agent's namespace that have the label `claiflow.io/plugin`, through the API.
    #[arg(long, env = "CLAIFLOW_PLUGIN_CONFIGMAPS")]
    pub plugin_configmaps: bool,
    /// A file like Docker's config.json, for registries that the grants file names and that want to know who asks.
    #[arg(long, env = "CLAIFLOW_REGISTRY_CREDENTIALS", value_name = "FILE")]
    pub registry_credentials: Option<PathBuf>,
    /// A registry, host:port, that is spoken to without TLS.
    #[arg(long, env = "CLAIFLOW_REGISTRY_PLAIN", value_name = "HOST:PORT", value_delimiter = ',')]
    pub registry_plain: Vec<String>,
    /// A YAML file that says what each plugin may do.
    #[arg(long, env = "CLAIFLOW_GRANTS")]
    pub grants: Option<PathBuf>,
    #[command(flatten)]
    /// Where credentials are.
    pub credentials: Credentials,
    /// The Helm program, for plugins that the grants file lets run it: a path, or a name that is looked for in PATH.
    #[arg(long, env = "HELM_BIN", value_name = "PROGRAM", default_value = "helm")]
    pub helm: PathBuf,
    /// Run programs such as Helm as this user, where the agent itself is root. Without it they run as the agent's user.
    #[arg(long, env = "CLAIFLOW_PROCESS_UID", value_name = "UID", value_parser = clap::value_parser!(u32).range(1..))]
    pub process_uid: Option<u32>,
    /// Tasks at once.
    #[arg(long, env = "CLAIFLOW_SLOTS", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub slots: u64,
    /// A directory that is this agent's own and outlives it, up to 1 GiB: the id by which the server knows it again, and the
    /// journal of what it must still report.
    #[arg(long, env = "CLAIFLOW_STATE", default_value = "claiflow-agent-state")]
    pub state: PathBuf,
    /// A directory that is this agent's own: compiled code. Inside the state directory when absent.
    #[arg(long, env = "CLAIFLOW_CACHE")]
    pub cache: Option<PathBuf>,
    /// Compile the plugins of the directories that the grants file lets load, keep the code in --cache, say what became of each, and
    /// end: for an init container, so that a start finds everything compiled.
    #[arg(long)]
    pub precompile: bool,
    /// Listen here, such as 127.0.0.1:8090, and answer /healthz, /readyz, /metrics and /plugins; nothing listens otherwise.
    #[arg(long, env = "CLAIFLOW_HEALTH", value_name = "ADDRESS")]
    pub health: Option<SocketAddr>,
    #[command(flatten)]
    /// On which cluster.
    pub kubernetes: Kubernetes,
    /// The pod that this agent is, or stands for where it runs elsewhere with --kubeconfig: what that pod stands on is the agent's
    /// own, and its Deployment is what an upgrade changes. Without it: in a cluster, the host's name.
    #[arg(long, env = "CLAIFLOW_POD", value_name = "NAME")]
    pub pod: Option<String>,
}

impl Agent {
    /// Where compiled code is kept.
    #[must_use]
    pub fn compiled(&self) -> PathBuf {
        self.cache.clone().unwrap_or_else(|| self.state.join("compiled"))
    }
}

impl Arguments {
    /// Reads the command line; `-server` counts as `--server`.
    #[must_use]
    pub fn read(arguments: impl Iterator<Item = String>) -> Self {
        let long = [
            "-server",
            "-tls-ca",
            "-tls-cert",
            "-tls-key",
            "-tls-server-name",
            "-transport",
            "-clusteruuid",
            "-token",
            "-loglevel",
            "-log-format",
            "-otlp-endpoint",
            "-otlp-headers",
            "-otlp-sample-ratio",
            "-plugins",
            "-plugin-configmaps",
            "-registry-credentials",
            "-registry-plain",
            "-grants",
            "-credentials",
            "-credential-volume",
            "-credential-key",
            "-helm",
            "-process-uid",
            "-slots",
            "-precompile",
            "-state",
            "-cache",
            "-health",
            "-kubeconfig",
            "-namespace",
            "-pod",
        ];
        Self::parse_from(arguments.map(|argument| {
            let name = argument.split('=').next().unwrap_or_default();
            if long.contains(&name) { format!("-{argument}") } else { argument }
        }))
    }
}
