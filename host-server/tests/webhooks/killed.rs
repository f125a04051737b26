//! A server process that is killed while it sends.

use std::process::{Child, Command, Stdio};

use crate::{
    engine::{Engine, on_sqlite},
    receiver::{Receiver, Reply},
    world::World,
};

struct Server(Child);

impl Server {
    /// A real process over the world's SQLite file.
    fn start(directory: &std::path::Path) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_claiflow-server"))
            .arg("--data-dir")
            .arg(directory)
            .env("CLAIFLOW_HTTP_PORT", "0")
            .env("CLAIFLOW_GRPC_PORT", "0")
            .env("CLAIFLOW_WEBHOOK_ALLOWADDRESSES", "127.0.0.0/8")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGKILL: it tidies nothing up.
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn what_a_killed_server_was_sending_is_sent_again_by_the_next() {
    on_sqlite(|engine| async move {
        let Engine::Sqlite(file) = engine.clone() else { return };
        let directory = file.parent().unwrap().to_owned();
        let receiver = Receiver::start(|index| if index == 0 { Reply::Silence } else { Reply::Status(200) }).await;
        let world = World::new(engine).await;
        world.hook(receiver.url(), |hook| hook.timeout = Some("1m".into())).await;
        world.whole_run(world.task()).await;
        let first = Server::start(&directory);
        receiver.gets(1).await;
        drop(first);
        // Else the next one waits for its time, which is a minute and what is held longer.
        world.engine.type_sql("UPDATE webhook_delivery SET held_until = 1 WHERE held_until IS NOT NULL").await;
        let _second = Server::start(&directory);
        let got = receiver.gets(7).await;
        assert_eq!(got[0].id(), got[1].id());
        let order: Vec<_> = got[1..].iter().map(|got| got.json()["sequence"].as_i64().unwrap()).collect();
        assert_eq!(order, [1, 2, 3, 4, 5, 6]);
        world.until(|all| all.iter().all(|one| one.state == 1)).await;
    });
}
