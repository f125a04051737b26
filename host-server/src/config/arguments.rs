//! The command line.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// Run task templates on any number of Kubernetes clusters.
#[derive(Parser, Debug, Default)]
#[command(name = "claiflow-server", version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// YAML files; the first that sets a key wins.
    pub files: Vec<PathBuf>,
    /// Port of REST, Swagger UI and metrics; beats `http.port`.
    #[arg(long)]
    pub http_port: Option<u16>,
    /// Port for agents; beats `grpc.port`.
    #[arg(long)]
    pub grpc_port: Option<u16>,
    /// Where SQLite keeps its file; beats `dataDir`.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
}

/// What to do instead of serving.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Print the OpenAPI document.
    Openapi,
    /// What people and programs show to be recognised.
    Token {
        /// What to do with it.
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Take over what a database of the first version holds.
    ///
    /// The database that the files and variables configure is the target: an empty one. What is read is never changed. The
    /// command may be ended and run again: it goes on where it is.
    Import(ImportArguments),
    /// Encrypt what is stored under the first key of `enigma.keys`, while servers run.
    Rekey(Rekey),
}

impl Command {
    /// The files and the data directory that a command names, where it works on a database.
    #[must_use]
    pub fn place(&self) -> Option<(&[PathBuf], Option<&PathBuf>)> {
        match self {
            Self::Openapi => None,
            Self::Token { command: TokenCommand::Create(wish) } => Some((&wish.files, wish.data_dir.as_ref())),
            Self::Import(import) => Some((&import.files, import.data_dir.as_ref())),
            Self::Rekey(rekey) => Some((&rekey.files, rekey.data_dir.as_ref())),
        }
    }
}

/// What to do with API tokens.
#[derive(Subcommand, Debug)]
pub enum TokenCommand {
    /// Make an API token in the server's database, and print it: once.
    Create(CreateToken),
}

/// An API token to make.
#[derive(Args, Debug)]
pub struct CreateToken {
    /// What its bearer may do: viewer, operator or admin.
    #[arg(long)]
    pub role: String,
    /// Its name, in the audit trail too; one is made from the time when absent.
    #[arg(long)]
    pub name: Option<String>,
    /// Until when it is known: a time such as 2030-01-31T00:00:00Z, or a duration such as 720h; for ever when absent.
    #[arg(long)]
    pub expires: Option<String>,
    /// Only this cluster, by its uuid; may be given several times.
    #[arg(long = "cluster")]
    pub clusters: Vec<String>,
    /// Only this template, by its uuid; may be given several times.
    #[arg(long = "template")]
    pub templates: Vec<String>,
    /// Where SQLite keeps its file; beats `dataDir`.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// The server's YAML files.
    pub files: Vec<PathBuf>,
}

/// What `import` takes.
#[derive(Args, Debug, Default)]
pub struct ImportArguments {
    /// YAML files that name the target, as for serving.
    pub files: Vec<PathBuf>,
    /// The first version's database: `mysql://USER:PASSWORD@HOST:PORT/DATABASE`, or the name of another database on the configured
    /// MariaDB. `import.from` and CLAIFLOW_IMPORT_FROM say the same, and other users of this machine do not see those.
    #[arg(long)]
    pub from: Option<String>,
    /// The first version's server is stopped: take over tasks that have not ended, too.
    #[arg(long)]
    pub stopped: bool,
    /// Where SQLite keeps its file; beats `dataDir`.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
}

/// How to encrypt again.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "What was done stays done: after Ctrl-C, or a crash, the same command goes on with what is left.\n\n\
    Examples:\n  \
    claiflow-server rekey config.yaml            encrypt what is plain or under another key than the first\n  \
    claiflow-server rekey --status config.yaml   how many values stand under which key"
)]
pub struct Rekey {
    /// The server's YAML files.
    pub files: Vec<PathBuf>,
    /// Say how many values stand under which key, and change nothing.
    #[arg(long)]
    pub status: bool,
    /// Rows of one transaction.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(i64).range(1..=4096))]
    pub batch: i64,
    /// Also take what the first version of the server encrypted for what it was.
    #[arg(long)]
    pub original: bool,
    /// Where SQLite keeps its file; beats `dataDir`.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
}

impl Arguments {
    /// Reads the process's arguments; ends it for `--help`, `--version` and mistakes.
    #[must_use]
    pub fn of_process() -> Self {
        let help = format!(
            "Data:\n  SQLite keeps tasks in {}, unless --data-dir, `dataDir` or `database.type: mariadb` says otherwise.\n\n\
             Examples:\n  \
             claiflow-server                       SQLite, HTTP on 127.0.0.1:8099, agents on 127.0.0.1:18099\n  \
             claiflow-server config.yaml           as the file says, for instance on MariaDB\n  \
             claiflow-server a.yaml b.yaml         a key of a.yaml beats the same key of b.yaml\n  \
             CLAIFLOW_HTTP_PORT=9000 claiflow-server\n                                        a variable beats the files; a flag beats both\n  \
             CLAIFLOW_OPS_PORT=8098 CLAIFLOW_OPS_HOST=0.0.0.0 claiflow-server\n                                        /healthz, /readyz and /metrics for probes, on an address of their own\n  \
             claiflow-server token create --role admin config.yaml\n                                        make the first admin's token, and print it\n  \
             claiflow-server openapi               print the OpenAPI document\n  \
             claiflow-server import --help         take over a database of the first version",
            default_data_dir().join("claiflow.db").display()
        );
        let matches = Self::command().after_help(help).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// The user's data directory.
pub(super) fn default_data_dir() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(home)
        .unwrap_or_else(|| PathBuf::from("."))
        .join("claiflow")
}
