//! An import that ends anywhere, in whatever way, is run again and goes on.

use std::{
    pin::pin,
    task::{Context, Poll},
};

use claiflow_server::{import::Import, model::ids::Source};

use crate::world::World;

promises![an_import_that_ended_anywhere_goes_on];

/// An import is woken so much oftener each time before it is dropped, as by a process that is killed: a few pages of tasks.
const STEP: usize = 100;

/// Drives a future until it has been polled so many times; whether it came to its end.
async fn driven<F: Future>(future: F, polls: usize) -> bool {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context: &mut Context<'_>| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn an_import_that_ended_anywhere_goes_on(world: World) {
    let mut parts = 0;
    for polls in (1..).step_by(STEP) {
        let store = world.store().await;
        let import = Import { stopped: true, ..Import::default() };
        let ended = driven(import.run(&world.place(), &store, &Source), polls).await;
        store.close().await;
        let store = world.store().await;
        let tasks = store
            .tasks(&claiflow_server::model::list::TaskListing { limit: 1_000, ..Default::default() })
            .await
            .unwrap();
        // What is there is whole: nothing of a page is stored without the rest of it.
        for task in &tasks {
            assert!(task.ended.is_none() || task.timeline.as_ref().is_some_and(|timeline| timeline.contains("rows")));
            assert!(store.snapshot(&task.snapshot).await.unwrap().is_some());
        }
        if !tasks.is_empty() && tasks.len() < 307 {
            assert!(store.unfinished_import().await.unwrap().is_some(), "no server starts on a part");
            parts += 1;
        }
        store.close().await;
        if ended {
            break;
        }
    }
    assert!(parts > 0, "no import ended in the middle");
    let summary = world.import(true).await.unwrap();
    assert!(summary.complete && summary.refused() == 0, "{summary}");
    let services = summary.counts.iter().find(|count| count.table == "service").unwrap();
    assert_eq!((services.read, services.written + services.there), (307, 307));
    let server = world.serve().await;
    let shown = server.everything().await;
    assert_eq!(shown.keys().filter(|key| key.starts_with("service ")).count(), 307);
    assert_eq!(shown.keys().filter(|key| key.starts_with("cluster ")).count(), 4);
    assert_eq!(shown.keys().filter(|key| key.starts_with("cluster_token ")).count(), 2);
}
