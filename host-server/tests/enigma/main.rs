//! Encryption at rest, on SQLite and on MariaDB: what is sealed, that it opens again and nowhere else, and how keys change.
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

mod command;
mod configured;
mod envelope;
mod former;
mod planted;
mod rekey;
mod rows;
mod server;
mod stored;
mod world;
