//! `claiflow-server rekey`, as an operator types it.

use std::{
    path::Path,
    process::{Command, Output},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    rows::{self, TOKEN, waiting},
    world::{World, bytes_of},
};

promises![an_operator_turns_encryption_on_and_changes_its_key, what_is_missing_is_said];

fn rekey(world: &World, ids: &[&str], arguments: &[&str]) -> Output {
    let file = world.directory.path().join("server.yaml");
    let keys = ids.iter().map(|id| format!("{{id: {id}, key: '{}'}}", STANDARD.encode(bytes_of(id))));
    let keys = keys.collect::<Vec<_>>().join(", ");
    let enigma = if ids.is_empty() { String::new() } else { format!("enigma: {{keys: [{keys}]}}\n") };
    std::fs::write(&file, world.yaml() + &enigma).unwrap();
    run(&file, arguments)
}

fn run(file: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claiflow-server"));
    command.arg("rekey").args(arguments).arg(file).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

async fn an_operator_turns_encryption_on_and_changes_its_key(world: World) {
    let plain = world.open(&[]).await;
    for index in 0..50 {
        waiting(&plain, &format!(r#"{{"n":{index}}}"#)).await;
    }
    plain.insert_token(&rows::token("hunter2")).await.unwrap();
    plain.close().await;
    let status = rekey(&world, &["k1"], &["--status"]);
    assert!(status.status.success() && said(&status).contains("(plain)"), "{}", said(&status));
    for (ids, words) in [(&["k1"][..], "51 values"), (&["k2", "k1"], "51 values"), (&["k2"], "0 values")] {
        let output = rekey(&world, ids, &["--batch", "7"]);
        let said = said(&output);
        assert!(output.status.success() && said.contains(words) && said.contains("can leave"), "{ids:?}: {said}");
        assert!(!said.contains("hunter2") && !said.contains(&STANDARD.encode(bytes_of("k1"))), "{said}");
        let status = rekey(&world, ids, &["--status"]);
        let counts = String::from_utf8_lossy(&status.stdout).into_owned();
        assert!(counts.contains(ids[0]) && !counts.contains("(plain)"), "{counts}");
    }
    assert_eq!(world.open(&["k2"]).await.token(TOKEN).await.unwrap().unwrap().token, "hunter2");
}

async fn what_is_missing_is_said(world: World) {
    drop(world.open(&[]).await);
    for (ids, arguments, words) in [
        (&[][..], &[][..], "enigma.keys"),
        (&["k1"], &["--original"], "enigma.blockMethod"),
        (&[], &["--status"], "`k1`"),
        (&["k2"], &[], "`k1`"),
    ] {
        let output = rekey(&world, ids, arguments);
        assert!(!output.status.success() && said(&output).contains(words), "{ids:?} {arguments:?}: {}", said(&output));
    }
}
