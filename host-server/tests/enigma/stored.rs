//! What is sealed comes back as it was given, and opens nowhere but in its own row.

use claiflow_server::{
    model::{ids::Source, list::Listing, state::State, variables::SECRET},
    storage::{Error, Kept, Store},
};

use crate::{
    rows::{self, TOKEN, claim, finish, lines, running, view, waiting},
    world::{World, bytes_of, ring},
};

promises![
    every_value_comes_back_and_none_is_stored_plain,
    rows_from_before_encryption_are_read_and_new_ones_sealed,
    a_value_of_another_row_is_refused,
    a_changed_value_is_refused_and_its_task_ends,
    a_server_without_a_key_in_use_refuses_to_start,
    a_token_is_found_while_it_is_sealed,
];

/// Columns that hold what a user gave.
const COLUMNS: [(&str, &str); 12] = [
    ("inputs", "task"),
    ("reason", "task"),
    ("inputs", "history"),
    ("result", "history"),
    ("error", "history"),
    ("timeline", "history"),
    ("output", "step"),
    ("message", "log"),
    ("token", "cluster_token"),
    ("headers", "webhook"),
    ("secrets", "webhook"),
    ("body", "webhook_delivery"),
];

/// Writes a secret everywhere; the tasks that hold it.
async fn write(store: &Store, secret: &str) -> [std::sync::Arc<claiflow_server::model::task::Lease>; 3] {
    let json = format!(r#"{{"secret":"{secret}"}}"#);
    let [done, failed, doubtful] =
        [running(store, &json).await, running(store, &json).await, running(store, &json).await];
    finish(store, &done, Ok(&json)).await;
    finish(store, &failed, Err(secret)).await;
    assert_eq!(store.keep_step(&doubtful, &rows::step(&json)).await.unwrap(), Kept::Stored);
    assert_eq!(store.keep_step(&doubtful, &rows::step(&json)).await.unwrap(), Kept::Repeated);
    assert!(store.mark_unknown(&doubtful, secret).await.unwrap());
    let task = &doubtful.task;
    store.keep_lines(&[(task.id, task.cluster, rows::line(1, secret))]).await.unwrap();
    store.insert_token(&rows::token(secret)).await.unwrap();
    store.insert_webhook(&rows::webhook(secret)).await.unwrap();
    store.update_webhook(&rows::webhook(secret)).await.unwrap();
    store.publish(rows::HOOK, Source.id(), &json).await.unwrap();
    [done, failed, doubtful]
}

async fn every_value_comes_back_and_none_is_stored_plain(world: World) {
    let store = world.open(&["k1"]).await;
    let secret = "hunter2 äöü";
    let [done, failed, doubtful] = write(&store, secret).await;
    let json = format!(r#"{{"secret":"{secret}"}}"#);
    let shown = view(&store, &done.task).await;
    assert_eq!((shown.inputs.as_str(), shown.result.as_deref()), (json.as_str(), Some(json.as_str())));
    assert_eq!(shown.timeline.as_deref(), Some(r#"{"steps":[]}"#));
    assert_eq!(view(&store, &failed.task).await.error.as_deref(), Some(secret));
    assert_eq!(view(&store, &doubtful.task).await.error.as_deref(), Some(secret));
    assert_eq!(store.steps(&doubtful.task.id, doubtful.task.cluster).await.unwrap(), [rows::step(&json)]);
    assert_eq!(lines(&store, &doubtful.task).await, [rows::line(1, secret)]);
    let held = store.lease_of(doubtful.task.cluster, doubtful.task.id).await.unwrap().unwrap();
    assert_eq!(held.lease.task.inputs, json);
    let all = Listing::default();
    assert_eq!(store.tokens(&all).await.unwrap()[0].token, secret);
    let (hook, as_given) = (store.webhook(rows::HOOK).await.unwrap().unwrap(), rows::webhook(secret));
    assert_eq!((hook.headers, hook.secrets), (as_given.headers, as_given.secrets));
    assert_eq!(rows::published(&store).await, [Some(json.clone())]);
    store.default_variable(&SECRET, secret, 1).await.unwrap();
    assert_eq!(store.variable(SECRET.name).await.unwrap().as_deref(), Some(secret));
    for (column, table) in COLUMNS.into_iter().chain([("fields", "log"), ("value", "global_variable")]) {
        let stored = world.texts(&format!("SELECT {column} FROM {table} WHERE {column} IS NOT NULL")).await;
        assert!(!stored.is_empty(), "{table}.{column}");
        for text in stored {
            assert!(text.starts_with("claiflow.enigma:1:k1:"), "{table}.{column}: {text}");
        }
    }
    waiting(&store, &json).await;
    assert_eq!(claim(&store).await[0].task.inputs, json);
}

async fn rows_from_before_encryption_are_read_and_new_ones_sealed(world: World) {
    let before = world.open(&[]).await;
    // Nobody is misled by a text that looks like an envelope.
    let odd = "claiflow.enigma:1:k1:AAAA";
    let [done, failed, _] = write(&before, odd).await;
    let waits = waiting(&before, r#"{"a":1}"#).await;
    assert!(world.texts("SELECT inputs FROM history").await.iter().all(|text| text.starts_with('{')));
    let after = world.open(&["k1"]).await;
    assert!(view(&after, &done.task).await.result.unwrap().contains(odd));
    assert_eq!(view(&after, &failed.task).await.error.as_deref(), Some(odd));
    assert_eq!(after.token(TOKEN).await.unwrap().unwrap().token, odd);
    let lease = claim(&after).await.remove(0);
    assert_eq!((lease.task.id, lease.task.inputs.as_str()), (waits.id, r#"{"a":1}"#));
    finish(&after, &lease, Ok("1")).await;
    assert_eq!(world.texts("SELECT inputs FROM history WHERE inputs LIKE 'claiflow.enigma:1:k1:%'").await.len(), 1);
}

async fn a_value_of_another_row_is_refused(world: World) {
    let store = world.open(&["k1"]).await;
    let (one, two) = (running(&store, r#"{"n":1}"#).await, running(&store, r#"{"n":2}"#).await);
    finish(&store, &one, Ok("1")).await;
    finish(&store, &two, Ok("2")).await;
    let stored = world.texts("SELECT inputs FROM history ORDER BY id").await;
    world.type_sql(&format!("UPDATE history SET inputs = '{}'", stored[1])).await;
    let refused = store.task(one.task.cluster, &one.task.id).await.unwrap_err();
    assert!(matches!(refused, Error::Sealed(_)) && refused.to_string().contains("task.inputs"), "{refused}");
    assert!(!refused.to_string().contains(&stored[1]), "{refused}");
    assert_eq!(view(&store, &two.task).await.inputs, r#"{"n":2}"#);
    // Nor does a result stand for inputs.
    world.type_sql("UPDATE history SET inputs = result").await;
    assert!(store.task(two.task.cluster, &two.task.id).await.is_err());
}

async fn a_changed_value_is_refused_and_its_task_ends(world: World) {
    let store = world.open(&["k1"]).await;
    let (broken, fine) = (waiting(&store, r#"{"n":1}"#).await, waiting(&store, r#"{"n":2}"#).await);
    let stored = world.texts("SELECT inputs FROM task ORDER BY id").await.remove(0);
    let changed = if stored.ends_with('A') { "B" } else { "A" };
    let cut = &stored[..stored.len() - 1];
    world.type_sql(&format!("UPDATE task SET inputs = '{cut}{changed}' WHERE inputs = '{stored}'")).await;
    // It neither holds up the cluster nor runs with anything else.
    let leases = claim(&store).await;
    assert_eq!(leases.iter().map(|lease| lease.task.id).collect::<Vec<_>>(), [fine.id]);
    let ended = world.texts("SELECT error FROM history").await;
    assert!(ended.len() == 1 && ended[0].starts_with("claiflow.enigma:1:k1:"), "{ended:?}");
    assert!(store.task(broken.cluster, &broken.id).await.is_err(), "its inputs stay unreadable");
    world.type_sql(&format!("UPDATE history SET inputs = '{stored}'")).await;
    let shown = view(&store, &broken).await;
    assert_eq!(State::of(shown.state), State::Failed);
    assert!(shown.error.unwrap().contains("task.inputs"));
}

async fn a_server_without_a_key_in_use_refuses_to_start(world: World) {
    let store = world.open(&["k1"]).await;
    store.insert_token(&rows::token("secret")).await.unwrap();
    for without in [ring(&[]), ring(&["k2"])] {
        let refused = world.try_open(without).await.unwrap_err().to_string();
        assert!(refused.contains("`k1`") && refused.contains("enigma.keys"), "{refused}");
    }
    let other = claiflow_server::enigma::Key::new("k1", zeroize::Zeroizing::new(bytes_of("other"))).unwrap();
    let other = claiflow_server::enigma::Enigma::new(vec![other], std::sync::Arc::new(Source)).unwrap();
    let refused = world.try_open(other).await.unwrap_err().to_string();
    assert!(refused.contains("`k1`") && refused.contains("another key"), "{refused}");
    // Nor does whoever forgets the keys write plain values beside sealed ones.
    let forgetful = world.connect().await;
    let refused = forgetful.update_token(&rows::token("plain")).await.unwrap_err().to_string();
    assert!(refused.contains("cluster_token.token"), "{refused}");
    let both = world.open(&["k2", "k1"]).await;
    assert_eq!(both.token(TOKEN).await.unwrap().unwrap().token, "secret");
}

async fn a_token_is_found_while_it_is_sealed(world: World) {
    for ids in [&[][..], &["k1"], &["k2", "k1"]] {
        let store = world.open(ids).await;
        if ids.is_empty() {
            store.insert_token(&rows::token("first")).await.unwrap();
        }
        let known = store.token(TOKEN).await.unwrap().unwrap();
        let found = store.tokens_like(rows::CLUSTER, &known.token).await.unwrap();
        assert_eq!(
            found.iter().map(|token| token.token.as_str()).collect::<Vec<_>>(),
            [known.token.as_str()],
            "{ids:?}"
        );
        let mut changed = known;
        changed.token = format!("under {ids:?}");
        store.update_token(&changed).await.unwrap();
        assert_eq!(store.tokens_like(rows::CLUSTER, &changed.token).await.unwrap().len(), 1, "{ids:?}");
        let of_a_stranger = store.tokens_like(rows::CLUSTER, "something else").await.unwrap();
        assert_eq!(of_a_stranger.len(), usize::from(ids.is_empty()), "{ids:?}");
    }
}
