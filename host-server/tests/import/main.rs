//! A database of the first version is taken over with nothing lost, into MariaDB and into SQLite.
//!
//! `CLAIFLOW_TEST_MARIADB` names a server, such as `mysql://user:password@127.0.0.1:3306`: the first version's database is made
//! there, for each test anew. Without it everything here is skipped, or fails where `CLAIFLOW_STRICT=1`.

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
            fn into_sqlite() {
                crate::world::into_sqlite(super::$name);
            }

            #[test]
            fn into_mariadb() {
                crate::world::into_mariadb(super::$name);
            }
        }
    )*};
}

mod command;
mod forms;
mod interrupted;
mod refusals;
mod shown;
mod world;
