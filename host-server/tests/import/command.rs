//! The command as an operator types it, and the server that refuses to start.

use std::process::{Output, Stdio};

use crate::world::{Target, World, on};

promises![
    the_command_takes_over_and_says_what_it_did,
    a_killed_command_is_run_again,
    a_server_does_not_start_on_what_is_not_its_own
];

fn said(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

async fn the_command_takes_over_and_says_what_it_did(world: World) {
    // On the same server, the name of the database is enough.
    let from = if matches!(world.target, Target::Maria(_)) { world.original.dbname.clone() } else { world.url.clone() };
    let first = world.command().args(["import", "--from", &from]).output().unwrap();
    let (out, err) = said(&first);
    assert!(!first.status.success() && out.contains("4 task(s) have not ended"), "{out}{err}");
    let served = world.command().output().unwrap();
    let (_, err) = said(&served);
    assert!(!served.status.success() && err.contains("is not complete: run `claiflow-server import` again"), "{err}");
    let second = world.command().env("CLAIFLOW_IMPORT_FROM", &from).args(["import", "--stopped"]).output().unwrap();
    let (out, err) = said(&second);
    assert!(second.status.success() && out.contains("All is taken over"), "{out}{err}");
    for text in [&out, &err] {
        assert!(!text.contains(&world.original.password) && !text.contains("CLIENT_AUTHENTICATION_TOKEN"), "{text}");
    }
    let none = world.command().arg("import").output().unwrap();
    assert!(said(&none).1.contains("--from"), "{none:?}");
}

async fn a_killed_command_is_run_again(world: World) {
    let mut child = world
        .command()
        .args(["import", "--stopped", "--from", &world.url])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // As soon as the target says that an import was begun, or the process has ended by itself.
    loop {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        if let Target::Maria(maria) = &world.target {
            let begun = crate::world::shell(
                maria,
                &maria.dbname,
                "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'import'",
            );
            if begun.trim() == "1" {
                break;
            }
        } else if world.directory().join("claiflow.db-wal").exists() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let _ = child.kill();
    child.wait().unwrap();
    let again = world.command().args(["import", "--stopped", "--from", &world.url]).output().unwrap();
    let (out, err) = said(&again);
    assert!(again.status.success(), "{out}{err}");
    let server = world.serve().await;
    assert_eq!(server.everything().await.keys().filter(|key| key.starts_with("service ")).count(), 307);
}

async fn a_server_does_not_start_on_what_is_not_its_own(world: World) {
    let before = world.digests();
    let mut command = world.command();
    on(&mut command, &world.original);
    let output = command.output().unwrap();
    let (out, err) = said(&output);
    assert!(!output.status.success(), "{out}{err}");
    for words in ["schema_migrations.version = 11", "claiflow-server import --from", "database.dbname"] {
        assert!(err.contains(words), "{words}: {err}");
    }
    assert_eq!(world.digests(), before, "it is left as it is");
}
