//! What the store and the dispatcher promise, kept on SQLite and on MariaDB alike.
//!
//! `CLAIFLOW_TEST_MARIADB` names a server, such as `mysql://user:password@127.0.0.1:3306`; each test makes a database of
//! its own there. Without it the MariaDB half is skipped, or fails where `CLAIFLOW_STRICT=1`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

/// Each named `async fn(World)` becomes two tests.
macro_rules! promises {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[test]
            fn on_sqlite() {
                crate::world::on_sqlite(super::$name);
            }

            #[test]
            fn on_mariadb() {
                crate::world::on_mariadb(super::$name);
            }
        }
    )*};
}

mod cancel;
mod claim;
mod create;
mod engine;
mod finish;
mod inventory;
mod life;
mod limits;
mod list;
mod pause;
mod predefined;
mod protocol;
mod request;
mod resolve;
mod schema;
mod script;
mod served;
mod shell;
mod silence;
mod step;
mod text;
mod times;
mod together;
mod watched;
mod world;
