//! `claiflow-server token create`: the first admin, from a shell.

use std::process::{Command, Output};

use serde_json::json;

use crate::{stage::Stage, world::World};

promises![a_shell_beside_the_database_makes_a_token_and_prints_it_once];

fn run(world: &World, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claiflow-server"));
    command.args(["token", "create"]).args(arguments).envs(world.variables()).output().unwrap()
}

async fn a_shell_beside_the_database_makes_a_token_and_prints_it_once(world: World) {
    let stage = Stage::start(&world).await;
    let output = run(&world, &["--role", "admin", "--name", "first", "--expires", "720h"]);
    let (told, logged) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{logged}");
    let secret = told.trim_end();
    assert!(
        secret.starts_with("claiflow_") && secret.lines().count() == 1 && !logged.contains(secret),
        "{told}{logged}"
    );
    let shown = stage.get(secret, "/api/v1/api_token?name=first").await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    assert!(shown.json()[0]["expires"].is_string());
    let row = stage.get(secret, "/api/v1/audit?caller=shell").await.json();
    assert_eq!((&row[0]["operation"], &row[0]["resource_type"]), (&json!("create_api_token"), &json!("api_token")));
    let scoped = run(&world, &["--role", "operator", "--cluster", &"0".repeat(32), "--template", "t"]);
    let scoped = String::from_utf8(scoped.stdout).unwrap();
    assert_eq!(stage.get(scoped.trim_end(), "/api/v1/cluster").await.json(), json!([]));
    for (arguments, words) in [
        (&["--role", "root"][..], "viewer"),
        (&["--role", "admin", "--name", "first"], "first"),
        (&["--role", "admin", "--expires", "yesterday"], "expires"),
        (&["--role", "admin", "--cluster", "x"], "32 hexadecimal digits"),
        (&[], "--role"),
    ] {
        let output = run(&world, arguments);
        let logged = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        assert!(logged.contains(words), "{arguments:?}: {logged}");
    }
}
