//! What webhooks promise, with a real receiver, kept on SQLite and on MariaDB alike; `CLAIFLOW_TEST_MARIADB` names a server as for the
//! tests of the storage.

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
                crate::engine::on_sqlite(|engine| async { super::$name(crate::world::World::new(engine).await).await });
            }

            #[test]
            fn on_mariadb() {
                crate::engine::on_mariadb(|engine| async { super::$name(crate::world::World::new(engine).await).await });
            }
        }
    )*};
}

mod deliveries;
mod engine;
mod killed;
mod outbox;
mod places;
mod receiver;
mod resource;
mod world;
