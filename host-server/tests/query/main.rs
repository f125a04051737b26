//! What lists promise: two notations with one meaning, the same rows on SQLite and on MariaDB as a reference in Rust gives, pages
//! that fit together, and no text that takes more than its limits.
//!
//! `CLAIFLOW_TEST_MARIADB` names a server, as for the target `storage`.

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

mod any;
mod cases;
mod limits;
mod over_http;
mod reference;
mod rows;
#[allow(dead_code, reason = "other targets use the rest of it")]
#[path = "../rest/server.rs"]
mod server;
mod tasks;
mod time;
#[allow(dead_code, reason = "other targets use the rest of it")]
#[path = "../storage/world.rs"]
mod world;
