//! Connections to the one MariaDB node that is used now. The node may change, and no work waits for one that is given up.

use std::{sync::Arc, time::Duration};

use parking_lot::RwLock;
use sqlx::{Connection as _, MySqlPool, mysql::MySqlConnectOptions, mysql::MySqlPoolOptions};
use tokio::sync::Notify;

use super::{Error, engine};

/// A connection that rested for longer is asked whether it lives before it is used.
const IDLE: Duration = Duration::from_secs(1);
/// How long work waits for a free connection.
const ACQUIRE: Duration = Duration::from_secs(10);
/// What runs on a node that is left in peace may take this long.
const FAREWELL: Duration = Duration::from_secs(5);

/// A pool that can be exchanged.
#[derive(Clone, Debug)]
pub(crate) struct Link(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: RwLock<MySqlPool>,
    connections: u32,
    statements: usize,
    trouble: Arc<Notify>,
}

impl Link {
    /// A link to a node; nothing is connected yet. `statements`: so many texts stay prepared on each connection. `trouble` hears of
    /// what may be the node's fault.
    pub(super) fn to(options: MySqlConnectOptions, connections: u32, statements: usize, trouble: &Arc<Notify>) -> Self {
        let pool = RwLock::new(pool_of(options, connections, statements));
        Self(Arc::new(Inner { pool, connections, statements, trouble: Arc::clone(trouble) }))
    }

    /// The connections to use now.
    pub(crate) fn pool(&self) -> MySqlPool {
        self.0.pool.read().clone()
    }

    /// Does `work`, which uses `pool`, unless the node is given up meanwhile: a node that vanished without a word would be
    /// waited for without end.
    ///
    /// # Errors
    /// What `work` met; [`Error::Engine`] when the node was given up, after which it is not known what was committed.
    pub(crate) async fn held<T>(
        &self,
        pool: &MySqlPool,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        // Boxed: futures of whole transactions are large, and every use case would hold one.
        let outcome = pool.close_event().do_until(Box::pin(work)).await.unwrap_or_else(|error| Err(error.into()));
        if outcome.as_ref().is_err_and(Error::may_be_the_node) {
            self.0.trouble.notify_one();
        }
        outcome
    }

    /// Uses another node from now on, or new connections to the same. `at_once`: what runs is not waited for.
    pub(super) fn turn_to(&self, options: MySqlConnectOptions, at_once: bool) {
        let former =
            std::mem::replace(&mut *self.0.pool.write(), pool_of(options, self.0.connections, self.0.statements));
        tokio::spawn(async move {
            if !at_once {
                tokio::time::sleep(FAREWELL).await;
            }
            former.close().await;
        });
    }

    /// Ends all connections.
    pub(super) async fn close(&self) {
        self.pool().close().await;
    }
}

/// Connections that are set up alike.
fn pool_of(options: MySqlConnectOptions, connections: u32, statements: usize) -> MySqlPool {
    MySqlPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        // To ask a busy connection whether it lives would cost each statement a second round trip.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(|connection, _| {
            Box::pin(async move {
                for statement in engine::SESSION {
                    sqlx::query(*statement).execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
        .connect_lazy_with(options.statement_cache_capacity(statements))
}
