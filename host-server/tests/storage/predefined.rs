//! The server's own templates: installed, and kept up to date.

mod people;

use std::{collections::BTreeMap, time::Instant};

use claiflow_server::{
    app::{
        predefined::{EDITION, shipped},
        template::Declare,
    },
    model::{list::Listing, nouns::Template, predefined::Decision},
    storage::{Error, Store},
};
use futures_util::future::join_all;

use crate::{shell::serve_on, world::World};

promises![
    all_are_installed_once_and_a_second_start_neither_locks_nor_writes,
    each_one_passes_the_check_that_people_s_own_pass,
    replicas_that_start_together_install_each_once,
    replicas_of_two_editions_that_start_together_end_with_the_later_one,
    a_later_edition_replaces_what_nobody_touched,
    an_earlier_edition_takes_nothing_back,
];

fn ours() -> Vec<Template> {
    shipped("2026-11-23T09:51:46".parse().unwrap()).unwrap()
}

/// The same with another text, as a later server brings them.
fn later() -> Vec<Template> {
    let later = |row: Template| Template { summary: row.summary.map(|words| format!("{words}, better")), ..row };
    ours().into_iter().map(later).collect()
}

async fn stored(store: &Store) -> BTreeMap<String, Template> {
    let listing = Listing::default();
    store.templates(&listing).await.unwrap().into_iter().map(|row| (row.uuid.clone(), row)).collect()
}

fn shown(row: &Template) -> String {
    format!("{row:?}")
}

async fn bring(store: &Store, edition: i32, templates: &[Template]) -> Vec<(String, Decision)> {
    loop {
        match store.bring_templates(edition, templates).await {
            Err(error) if error.may_pass() || matches!(error, Error::Duplicate) => tokio::task::yield_now().await,
            outcome => return outcome.unwrap().decisions,
        }
    }
}

fn count(decisions: &[(String, Decision)], wanted: Decision) -> usize {
    decisions.iter().filter(|(_, decision)| *decision == wanted).count()
}

async fn all_are_installed_once_and_a_second_start_neither_locks_nor_writes(world: World) {
    let (app, stop) = serve_on(&world, world.store.clone()).await;
    let begun = Instant::now();
    let brought = app.bring_templates().await.unwrap();
    let first = begun.elapsed();
    assert_eq!((brought.decisions.len(), count(&brought.decisions, Decision::Install)), (235, 235));
    assert_eq!(brought.namesakes, []);
    let before: Vec<String> = stored(&world.store).await.values().map(shown).collect();
    assert_eq!(before.len(), 235);

    // Somebody else holds every row, and on SQLite the only right to write.
    let held = world.hold(["SELECT uuid FROM template FOR UPDATE", "SELECT uuid FROM predefined FOR UPDATE"]).await;
    let begun = Instant::now();
    let brought = app.bring_templates().await.unwrap();
    eprintln!("predefined templates: first start {first:?}, second start {:?}", begun.elapsed());
    held.release().await;
    assert_eq!((brought.decisions, brought.namesakes), (vec![], vec![]));
    assert_eq!(stored(&world.store).await.values().map(shown).collect::<Vec<_>>(), before);
    stop.cancel();
}

async fn each_one_passes_the_check_that_people_s_own_pass(world: World) {
    let (app, stop) = serve_on(&world, world.store.clone()).await;
    for row in ours() {
        let name = row.name.clone();
        let declared = app.declare_template(declare(row), true).await;
        assert!(declared.is_ok(), "{name}: {declared:?}");
    }
    stop.cancel();
}

fn declare(row: Template) -> Declare {
    Declare {
        uuid: Some(row.uuid),
        name: Some(row.name),
        summary: row.summary,
        flow: Some(row.flow),
        inputs: row.inputs,
        options: row.options,
    }
}

async fn replicas_that_start_together_install_each_once(world: World) {
    let mut replicas = Vec::new();
    for _ in 0..4 {
        replicas.push(serve_on(&world, world.reopened().await).await);
    }
    let brought = join_all(replicas.iter().map(|(app, _)| app.bring_templates())).await;
    let installed: Vec<usize> =
        brought.into_iter().map(|brought| count(&brought.unwrap().decisions, Decision::Install)).collect();
    assert_eq!(installed.iter().sum::<usize>(), 235, "{installed:?}");
    assert_eq!(stored(&world.store).await.len(), 235);
    assert_eq!(world.number("SELECT COUNT(*) FROM predefined").await, 235);
    replicas.iter().for_each(|(_, stop)| stop.cancel());
}

async fn replicas_of_two_editions_that_start_together_end_with_the_later_one(world: World) {
    let (old, new) = (ours(), later());
    let stores = [world.reopened().await, world.reopened().await, world.reopened().await, world.reopened().await];
    let start =
        |(number, store)| if number % 2 == 0 { bring(store, EDITION, &old) } else { bring(store, EDITION + 1, &new) };
    let decisions = join_all(stores.iter().enumerate().map(start)).await.concat();
    assert_eq!(count(&decisions, Decision::Install), 235);
    assert_eq!(count(&decisions, Decision::Renew), decisions.len() - 235, "{decisions:?}");
    let rows = stored(&world.store).await;
    assert!(new.iter().all(|row| rows[&row.uuid].summary == row.summary));
}

async fn a_later_edition_replaces_what_nobody_touched(world: World) {
    bring(&world.store, EDITION, &ours()).await;
    let mut newer = later();
    newer.push(Template { uuid: "new".into(), ..newer[0].clone() });
    let stores = [world.reopened().await, world.reopened().await];
    let decisions = join_all(stores.iter().map(|store| bring(store, EDITION + 1, &newer))).await.concat();
    assert_eq!((count(&decisions, Decision::Renew), count(&decisions, Decision::Install)), (235, 1));
    assert_eq!(decisions.len(), 236, "the second replica finds nothing to do");
    let rows = stored(&world.store).await;
    for row in &newer {
        let found = &rows[&row.uuid];
        assert_eq!((&found.summary, &found.inputs, &found.flow), (&row.summary, &row.inputs, &row.flow));
        assert_eq!(found.updated.is_some(), row.uuid != "new");
    }
    // A text that is the same in both editions is only looked at.
    let decisions = bring(&world.store, EDITION + 2, &newer).await;
    assert_eq!(count(&decisions, Decision::Note), 236);
    assert_eq!(bring(&world.store, EDITION + 2, &newer).await, []);
}

async fn an_earlier_edition_takes_nothing_back(world: World) {
    bring(&world.store, EDITION + 1, &later()).await;
    let before: Vec<String> = stored(&world.store).await.values().map(shown).collect();
    assert_eq!(bring(&world.store, EDITION, &ours()).await, []);
    assert_eq!(stored(&world.store).await.values().map(shown).collect::<Vec<_>>(), before);
}
