//! Which MariaDB node is used: the first of the configured ones that can be written to. All connections go there, reads too:
//! with several writers Galera loses updates, and a replica lags.

use std::{sync::Arc, time::Duration};

use sqlx::{ConnectOptions as _, Connection as _, MySqlConnection, Row as _, mysql::MySqlConnectOptions};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Error, link::Link};

/// Between two looks at the node.
const ROUND: Duration = Duration::from_secs(2);
/// After trouble the node is looked at this soon.
const SOON: Duration = Duration::from_millis(20);
/// A node that does not answer within this time is given up. One that is only overloaded should not be.
const SILENCE: Duration = Duration::from_secs(8);
/// How long the first usable node is looked for at the start.
const START: Duration = Duration::from_secs(15);
/// An earlier node of a Galera cluster is used again after this many good looks in a row.
const STEADY: u32 = 5;

/// What a usable node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A member of a Galera cluster: it has every commit of the others.
    Galera,
    /// Anything else; what another node has committed it may lack.
    Single,
}

/// The configured nodes in their order, and the one in use.
pub(super) struct Nodes {
    all: Vec<MySqlConnectOptions>,
    current: usize,
    kind: Kind,
    connection: Option<MySqlConnection>,
    trouble: Arc<Notify>,
}

impl Nodes {
    /// Looks for the first usable node.
    ///
    /// # Errors
    /// [`Error`] of the last one that was asked, when there is none within [`START`].
    pub(super) async fn find(all: Vec<MySqlConnectOptions>) -> Result<Self, Error> {
        let (until, trouble) = (Instant::now() + START, Arc::default());
        let mut nodes = Self { all, current: 0, kind: Kind::Single, connection: None, trouble };
        loop {
            match nodes.first(None).await {
                Ok(()) => return Ok(nodes),
                Err(error) if Instant::now() > until || !(error.may_pass() || matches!(error, Error::Unfit(_))) => {
                    return Err(error);
                }
                Err(_) => sleep(ROUND / 8).await,
            }
        }
    }

    /// The node in use.
    pub(super) fn current(&self) -> MySqlConnectOptions {
        self.all.get(self.current).cloned().unwrap_or_default()
    }

    /// A link to the node in use.
    pub(super) fn link(&self, connections: u32, statements: usize) -> Link {
        Link::to(self.current(), connections, statements, &self.trouble)
    }

    /// Keeps `links` on a usable node until `stop`.
    pub(super) async fn watch(mut self, links: [Link; 4], stop: CancellationToken) {
        let mut steady = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(ROUND) => {}
                () = self.trouble.notified() => sleep(SOON).await,
            }
            match self.look().await {
                Ok(()) => steady = if self.earlier_is_back().await { steady + 1 } else { 0 },
                Err(error) => {
                    steady = 0;
                    self.leave(&links, &error).await;
                }
            }
            if steady >= STEADY && self.first(Some(self.current)).await.is_ok() {
                steady = 0;
                tracing::info!(database.node = self.name(), "an earlier database node is back and is used again");
                links.iter().for_each(|link| link.turn_to(self.current(), false));
            }
        }
    }

    /// Turns to the next usable node; where there is none, the links stay, with new connections if the node says nothing.
    async fn leave(&mut self, links: &[Link], error: &Error) {
        let (left, silent) = (self.name(), matches!(error, Error::Silent));
        self.connection = None;
        let found = self.first(None).await;
        let next = self.name();
        match &found {
            Ok(()) if next != left => {
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    database.left = left,
                    database.node = next,
                    "a database node is not usable; the next one is used"
                );
            }
            Ok(()) => {}
            Err(none) => {
                tracing::warn!(
                    error = none as &dyn std::error::Error,
                    database.left = left,
                    "no database node is usable"
                );
            }
        }
        if silent || (found.is_ok() && next != left) {
            links.iter().for_each(|link| link.turn_to(self.current(), true));
        }
    }

    /// Finds the first usable node, among those before `end`.
    async fn first(&mut self, end: Option<usize>) -> Result<(), Error> {
        let mut last = Error::Unfit("`database.host` names no host".into());
        for (index, options) in self.all.iter().enumerate().take(end.unwrap_or(usize::MAX)) {
            match ask(options).await {
                Ok((connection, kind)) => {
                    (self.current, self.kind, self.connection) = (index, kind, Some(connection));
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Looks at the node in use, through a connection of its own.
    async fn look(&mut self) -> Result<(), Error> {
        if let Some(connection) = &mut self.connection {
            match in_time(fitness(connection, self.kind)).await {
                Ok(()) => return Ok(()),
                // One connection may break while its node is well; but silence is not asked twice.
                Err(error @ (Error::Unfit(_) | Error::Silent)) => return Err(error),
                Err(_) => {}
            }
        }
        let (connection, kind) = ask(&self.current()).await?;
        (self.connection, self.kind) = (Some(connection), kind);
        Ok(())
    }

    /// Whether a node before the one in use could be used again. Outside Galera it may lack what was committed meanwhile.
    async fn earlier_is_back(&self) -> bool {
        for options in self.all.iter().take(if self.kind == Kind::Galera { self.current } else { 0 }) {
            if let Ok((connection, Kind::Galera)) = ask(options).await {
                // What was asked for is known; that the end of it fails changes nothing.
                let _ = connection.close().await;
                return true;
            }
        }
        false
    }

    fn name(&self) -> String {
        self.all.get(self.current).map(name).unwrap_or_default()
    }
}

fn name(options: &MySqlConnectOptions) -> String {
    format!("{}:{}", options.get_host(), options.get_port())
}

/// Connects to a node, and refuses one that cannot be written to.
async fn ask(options: &MySqlConnectOptions) -> Result<(MySqlConnection, Kind), Error> {
    in_time(async {
        let mut connection = options.connect().await?;
        let galera: Option<String> = sqlx::query_scalar(
            "SELECT CAST(variable_value AS CHAR) FROM information_schema.global_variables WHERE variable_name = 'WSREP_ON'",
        )
        .fetch_optional(&mut connection)
        .await?;
        let kind = if galera.as_deref() == Some("ON") { Kind::Galera } else { Kind::Single };
        fitness(&mut connection, kind).await?;
        Ok((connection, kind))
    })
    .await
    .map_err(|error| match error {
        Error::Unfit(why) => Error::Unfit(format!("{}: {why}", name(options))),
        other => other,
    })
}

async fn in_time<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(SILENCE, work).await.unwrap_or(Err(Error::Silent))
}

/// Whether the node can be written to.
async fn fitness(connection: &mut MySqlConnection, kind: Kind) -> Result<(), Error> {
    let read_only: bool = sqlx::query_scalar("SELECT @@global.read_only").fetch_one(&mut *connection).await?;
    if read_only {
        return Err(Error::Unfit("it is read-only".into()));
    }
    if kind == Kind::Single {
        return Ok(());
    }
    let rows = sqlx::query(
        "SELECT CAST(variable_name AS CHAR), CAST(variable_value AS CHAR) FROM information_schema.global_status \
         WHERE variable_name IN ('WSREP_READY', 'WSREP_CLUSTER_STATUS', 'WSREP_LOCAL_STATE')",
    )
    .fetch_all(connection)
    .await?;
    for row in &rows {
        let (variable, value): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let wanted = match variable.as_str() {
            "WSREP_READY" => "ON",
            "WSREP_CLUSTER_STATUS" => "Primary",
            // Synced. A donor may block writes for as long as it gives its state away.
            _ => "4",
        };
        if !value.eq_ignore_ascii_case(wanted) {
            return Err(Error::Unfit(format!("{} is {value}, not {wanted}", variable.to_lowercase())));
        }
    }
    Ok(())
}
