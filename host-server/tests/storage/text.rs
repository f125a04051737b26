//! Texts, numbers and times come back as they went in.

use std::sync::Arc;

use claiflow_server::model::{
    list::TaskListing,
    nouns::Template,
    task::{Finish, Place, Task},
};

use crate::world::{World, step};

promises![odd_texts_come_back_as_they_were, numbers_and_times_are_kept_exactly, a_templates_texts_and_times_are_kept];

const ODD: &[&str] = &[
    "",
    " spaces around ",
    "😀 👩‍👩‍👧 Ünïcödé \u{10ffff} \u{202e}",
    "'; DROP TABLE task; -- \" \\' \\\\ %_ `x`",
    "line\nfeed\ttab\r\n\u{1}\u{1b}[31m",
    "{\"$id\":\"$inputs\"} {{x}} ${y}",
];

async fn odd_texts_come_back_as_they_were(world: World) {
    let snapshot = world.snapshot(2).await;
    for text in ODD {
        let inputs = format!("{{{}:{}}}", quoted(text), quoted(text));
        let task = Task {
            name: (*text).into(),
            summary: Some((*text).into()),
            inputs: inputs.clone(),
            ..world.task(&snapshot)
        };
        let lease = world.lease_of(&Arc::new(task));
        world.store.create_tasks(&[(Arc::clone(&lease.task), Place::Lease(Arc::clone(&lease)))], &[]).await.unwrap();
        world.store.keep_step(&lease, &step("0", 2, 1, &inputs)).await.unwrap();
        let kept = world.store.steps(&lease.task.id, world.cluster).await.unwrap();
        assert_eq!(kept[0].output.as_deref(), Some(&*inputs));
        let end = Finish { result: Some(inputs.clone()), error: Some((*text).into()), ..world.success(&lease) };
        world.store.finish(&[end]).await.unwrap();
        let view = world.store.task(world.cluster, &lease.task.id).await.unwrap().unwrap();
        assert_eq!((&*view.name, view.summary.as_deref(), &view.inputs), (*text, Some(*text), &inputs));
        assert_eq!((view.result.as_ref(), view.error.as_deref()), (Some(&inputs), Some(*text)));
    }
    let listed = world.store.tasks(&TaskListing { limit: 100, ..TaskListing::default() }).await.unwrap();
    assert_eq!(listed.len(), ODD.len());
}

async fn numbers_and_times_are_kept_exactly(world: World) {
    let snapshot = world.snapshot(1).await;
    let inputs = r#"{"big":123456789012345678901234567890,"tail":1.10,"e":1e400,"neg":-0.0}"#;
    let created = 1_795_513_906_434_999;
    let task = Task { inputs: inputs.into(), created, priority: -100, ..world.task(&snapshot) };
    world.store.create_tasks(&[(Arc::new(task), Place::Ready)], &[]).await.unwrap();
    let lease = world.claim(&snapshot, 1).await.pop().unwrap();
    assert_eq!((&*lease.task.inputs, lease.task.created, lease.task.priority), (inputs, created, -100));
    let end = Finish { ended: created + 1, result: Some("1.10".into()), ..world.success(&lease) };
    world.store.finish(&[end]).await.unwrap();
    let view = world.store.task(world.cluster, &lease.task.id).await.unwrap().unwrap();
    assert_eq!((view.created, view.ended, view.result.as_deref()), (created, Some(created + 1), Some("1.10")));
}

async fn a_templates_texts_and_times_are_kept(world: World) {
    let created = Some("2026-11-23T09:51:46".parse().unwrap());
    for (index, text) in ODD.iter().enumerate() {
        let template = Template {
            uuid: format!("t{index}"),
            name: (*text).into(),
            summary: Some((*text).into()),
            flow: format!("[ {} ]", quoted(text)),
            inputs: None,
            origin: "userdefined".into(),
            created,
            updated: None,
            options: None,
        };
        world.store.insert_template(&template).await.unwrap();
        let read = world.store.template(&template.uuid).await.unwrap().unwrap();
        assert_eq!((read.name, read.summary, read.flow), (template.name, template.summary, template.flow));
        assert_eq!((read.inputs, read.created, read.updated), (None, created, None));
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}
