//! Keys change while servers write: nothing is lost, and whoever is stopped goes on later.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use claiflow_server::{
    enigma::{Former, Text},
    model::variables::SECRET,
    rekey,
    storage::{Count, Cursor, Store},
};
use tokio_util::sync::CancellationToken;

use crate::{
    rows::{self, TOKEN, claim, finish, running, view, waiting},
    world::{World, bytes_of},
};

promises![
    plain_values_are_sealed_and_a_former_key_becomes_needless,
    a_rekey_that_is_stopped_goes_on_while_servers_write,
    a_value_that_changes_in_between_keeps_its_new_content,
    a_key_is_kept_while_a_server_seals_under_it,
    what_cannot_be_opened_stays_and_is_counted,
    values_of_the_first_version_are_taken_for_what_they_were,
];

/// Tasks in every place, with a token.
async fn fill(store: &Store, tasks: usize) {
    for index in 0..tasks {
        let lease = running(store, &format!(r#"{{"n":{index}}}"#)).await;
        match index % 3 {
            0 => finish(store, &lease, Ok(&index.to_string())).await,
            1 => finish(store, &lease, Err(&format!("error {index}"))).await,
            _ => {
                store.keep_step(&lease, &rows::step(&index.to_string())).await.unwrap();
                let task = &lease.task;
                store.keep_lines(&[(task.id, task.cluster, rows::line(1, "said"))]).await.unwrap();
            }
        }
    }
    waiting(store, r#"{"waits":true}"#).await;
}

async fn all(store: &Store) -> rekey::Outcome {
    rekey::all(store, None, 3, &CancellationToken::new(), |_| {}).await.unwrap()
}

fn under(counts: &[Count], key: Option<&str>) -> u64 {
    counts.iter().filter(|count| count.key.as_deref() == key).map(|count| count.values).sum()
}

async fn plain_values_are_sealed_and_a_former_key_becomes_needless(world: World) {
    let plain = world.open(&[]).await;
    fill(&plain, 9).await;
    plain.insert_token(&rows::token("secret")).await.unwrap();
    plain.insert_webhook(&rows::webhook("secret")).await.unwrap();
    plain.publish(rows::HOOK, [9; 16], "{}").await.unwrap();
    plain.default_variable(&SECRET, "c2VjcmV0", 1).await.unwrap();
    let counts = plain.count_sealed().await.unwrap();
    let values = under(&counts, None);
    assert!(values > 30 && counts.iter().all(|count| count.key.is_none()), "{counts:?}");
    for (ids, before) in [(&["k1"][..], None), (&["k2", "k1"], Some("k1"))] {
        let store = world.open(ids).await;
        assert_eq!(under(&store.count_sealed().await.unwrap(), before), values);
        let outcome = all(&store).await;
        assert_eq!(outcome, rekey::Outcome { sealed: values, left: 0, is_stopped: false });
        let counts = store.count_sealed().await.unwrap();
        assert_eq!(under(&counts, Some(ids[0])), values, "{counts:?}");
        assert_eq!(all(&store).await.sealed, 0);
        assert_eq!(store.token(TOKEN).await.unwrap().unwrap().token, "secret");
        assert_eq!(store.tokens_like(rows::CLUSTER, "secret").await.unwrap().len(), 1);
        assert!(store.tokens_like(rows::CLUSTER, "other").await.unwrap().is_empty());
        assert_eq!(store.webhook(rows::HOOK).await.unwrap().unwrap().headers, rows::webhook("secret").headers);
        assert_eq!(rows::published(&store).await, [Some("{}".to_owned())]);
        assert_eq!(store.variable("ClientSession/SignatureSecret").await.unwrap().as_deref(), Some("c2VjcmV0"));
        assert_eq!(store.forget_keys().await.unwrap(), Vec::<String>::new());
    }
    // The former key can leave the ring, and everything opens.
    let store = world.open(&["k2"]).await;
    let tasks =
        store.tasks(&claiflow_server::model::list::TaskListing { limit: 100, ..Default::default() }).await.unwrap();
    assert_eq!(tasks.len(), 10);
    assert!(tasks.iter().all(|task| task.inputs.starts_with('{')), "{tasks:?}");
    assert_eq!(tasks.iter().filter(|task| task.result.is_some()).count(), 3);
}

async fn a_rekey_that_is_stopped_goes_on_while_servers_write(world: World) {
    let old = world.open(&["k1"]).await;
    fill(&old, 40).await;
    let store = world.open(&["k2", "k1"]).await;
    let (stop, writes) = (CancellationToken::new(), Arc::new(AtomicBool::new(true)));
    // A server with the new keys goes on with its work, on the very rows.
    let writer = tokio::spawn({
        let (store, writes) = (store.clone(), Arc::clone(&writes));
        async move {
            let mut done = vec![];
            while writes.load(Ordering::Relaxed) || done.len() < 5 {
                waiting(&store, r#"{"late":true}"#).await;
                for lease in claim(&store).await {
                    finish(&store, &lease, Ok("\"late\"")).await;
                    done.push(lease);
                }
            }
            done
        }
    });
    let mut pieces = 0;
    let stopped = rekey::all(&store, None, 3, &stop, |_| {
        pieces += 1;
        if pieces == 4 {
            stop.cancel();
        }
    });
    let stopped = stopped.await.unwrap();
    assert!(stopped.is_stopped && stopped.sealed > 0 && pieces == 4, "{stopped:?}");
    let left = store.count_unsealed().await.unwrap();
    assert!(left > 0);
    let outcome = all(&store).await;
    assert!(!outcome.is_stopped && outcome.sealed > 0 && outcome.left == 0, "{outcome:?}");
    writes.store(false, Ordering::Relaxed);
    let done = writer.await.unwrap();
    assert_eq!(store.count_unsealed().await.unwrap(), 0);
    assert_eq!(store.forget_keys().await.unwrap(), Vec::<String>::new());
    let alone = world.open(&["k2"]).await;
    for lease in &done {
        assert_eq!(view(&alone, &lease.task).await.result.as_deref(), Some("\"late\""));
    }
}

async fn a_value_that_changes_in_between_keeps_its_new_content(world: World) {
    let old = world.open(&["k1"]).await;
    old.insert_token(&{
        rows::cluster(&old).await;
        rows::token("first")
    })
    .await
    .unwrap();
    let store = world.open(&["k2", "k1"]).await;
    let writes = Arc::new(AtomicBool::new(true));
    // A server that has the former first key still changes the token again and again.
    let writer = tokio::spawn({
        let writes = Arc::clone(&writes);
        async move {
            let mut count = 0;
            while writes.load(Ordering::Relaxed) || count < 20 {
                count += 1;
                old.update_token(&rows::token(&format!("token {count}"))).await.unwrap();
                let known = old.token(TOKEN).await;
                // Sealed under a key that the old server lacks, or as it was written: never something older.
                assert!(known.is_err() || known.unwrap().unwrap().token == format!("token {count}"));
            }
            count
        }
    });
    for _ in 0..20 {
        all(&store).await;
    }
    writes.store(false, Ordering::Relaxed);
    let count = writer.await.unwrap();
    all(&store).await;
    assert_eq!(store.token(TOKEN).await.unwrap().unwrap().token, format!("token {count}"));
    assert_eq!(store.tokens_like(rows::CLUSTER, &format!("token {count}")).await.unwrap().len(), 1);
    assert_eq!(store.count_unsealed().await.unwrap(), 0);
}

async fn a_key_is_kept_while_a_server_seals_under_it(world: World) {
    let old = world.open(&["k1"]).await;
    old.beat([1; 16], "").await.unwrap();
    let store = world.open(&["k2", "k1"]).await;
    store.beat([2; 16], "").await.unwrap();
    all(&store).await;
    assert_eq!(store.forget_keys().await.unwrap(), ["k1"]);
    assert!(world.try_open(crate::world::ring(&["k2"])).await.is_err());
    old.forget_replica([1; 16]).await.unwrap();
    assert_eq!(store.forget_keys().await.unwrap(), Vec::<String>::new());
    world.open(&["k2"]).await;
}

async fn what_cannot_be_opened_stays_and_is_counted(world: World) {
    let old = world.open(&["k1"]).await;
    let (one, _) = (waiting(&old, r#"{"n":1}"#).await, waiting(&old, r#"{"n":2}"#).await);
    let broken = "claiflow.enigma:1:k1:AAAA";
    let stored = world.texts("SELECT inputs FROM task ORDER BY id").await;
    world.type_sql(&format!("UPDATE task SET inputs = '{broken}' WHERE inputs = '{}'", stored[0])).await;
    let store = world.open(&["k2", "k1"]).await;
    let outcome = all(&store).await;
    assert_eq!(outcome, rekey::Outcome { sealed: 1, left: 1, is_stopped: false });
    assert_eq!(store.forget_keys().await.unwrap(), ["k1"]);
    assert!(world.texts("SELECT inputs FROM task").await.contains(&broken.to_owned()));
    // A key that nobody registered is told, too.
    world
        .type_sql("UPDATE task SET inputs = 'claiflow.enigma:1:lost:AAAA' WHERE inputs = 'claiflow.enigma:1:k1:AAAA'")
        .await;
    assert_eq!(under(&store.count_sealed().await.unwrap(), Some("?")), 1);
    let refused = store.task(one.cluster, &one.id).await.unwrap_err().to_string();
    assert!(refused.contains("begins like a sealed one"), "{refused}");
}

async fn values_of_the_first_version_are_taken_for_what_they_were(world: World) {
    // Of former.json: 256 bits, no salt, PKCS, base64.
    let vectors: Vec<serde_json::Value> = serde_json::from_str(include_str!("former.json")).unwrap();
    let is_it = |vector: &&serde_json::Value| {
        vector["blockSize"] == 256
            && vector["cipherSalt"].is_null()
            && vector["padding"] == "PKCS"
            && vector["text"] == r#"{"name":"world"}"#
            && vector["strconv"] == "base64"
    };
    let vector = vectors.iter().find(is_it).unwrap();
    let key = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, vector["blockKey"].as_str().unwrap())
        .unwrap();
    let former = Former::new(&key, 32, None, true, Text::Base64);
    let plain = world.open(&[]).await;
    let (theirs, ours) = (waiting(&plain, vector["stored"].as_str().unwrap()).await, waiting(&plain, "{}").await);
    let store = world.open(&["k1"]).await;
    // A reader never takes a user's text for ciphertext; only who rekeys may say so.
    assert_eq!(view(&store, &theirs).await.inputs, vector["stored"].as_str().unwrap());
    let outcome = rekey::all(&store, Some(&former), 64, &CancellationToken::new(), |_| {}).await.unwrap();
    assert_eq!((outcome.sealed, outcome.left), (2, 0));
    assert_eq!(view(&store, &theirs).await.inputs, r#"{"name":"world"}"#);
    assert_eq!(view(&store, &ours).await.inputs, "{}");
    assert_ne!(bytes_of("k1"), key);
    // A piece behind the end does nothing.
    let table = Store::sealed_tables().next().unwrap();
    assert_eq!(store.rekey_piece(table, &mut Cursor::default(), 1, None).await.unwrap(), None);
}
