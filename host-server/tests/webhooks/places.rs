//! Where webhooks may lead, and what a receiver may do to the sender.

use std::sync::Arc;

use claiflow_server::model::webhook::{Delivery, DeliveryState};

use crate::{
    receiver::{Receiver, Reply},
    world::{HOOK, Names, World},
};

promises![
    an_inner_address_is_refused_in_any_form,
    a_name_is_resolved_once_and_all_of_its_addresses_are_judged,
    a_certificate_is_checked,
    a_redirect_is_a_success_and_is_not_followed,
    an_answer_that_does_not_end_is_a_failure,
];

/// What became of one document.
async fn tried(world: &World) -> Delivery {
    world.app.publish(HOOK, r#"{"secret":"document"}"#).await.unwrap();
    let mut all = world.until(|all| all.last().is_some_and(|one| one.attempts > 0)).await;
    let last = all.pop().unwrap();
    assert!(!last.error.as_deref().unwrap_or_default().contains("secret"), "{last:?}");
    last
}

async fn an_inner_address_is_refused_in_any_form(world: World) {
    let receiver = Receiver::content().await;
    let port = receiver.address.port();
    world.hook(receiver.url(), |_| {}).await;
    let names = Names { known: [("inner.test", vec!["127.0.0.1"])].into(), ..Names::default() };
    let _replica = world.deliver_with(&["10.0.0.0/8"], None, Arc::new(names)).await;
    for (url, words) in [
        (format!("http://127.0.0.1:{port}/secret"), "is this machine"),
        (format!("http://[::ffff:127.0.0.1]:{port}/secret"), "is this machine"),
        (format!("http://[::1]:{port}/secret"), "is this machine"),
        (format!("http://inner.test:{port}/?token=secret"), "inner.test leads to 127.0.0.1"),
        ("http://169.254.169.254/secret".into(), "metadata"),
        ("http://[64:ff9b::a9fe:a9fe]/secret".into(), "metadata"),
        ("http://192.168.1.1/secret".into(), "is private"),
        ("http:localhost".into(), "`url`"),
        ("file:///secret".into(), "`url`"),
        (format!("http://user:secret@127.0.0.1:{port}/"), "send them in `headers`"),
    ] {
        let change = claiflow_server::app::webhook::Declare { url: Some(url.clone()), ..Default::default() };
        world.app.change_webhook(HOOK, change).await.unwrap();
        let delivery = tried(&world).await;
        let said = delivery.error.unwrap_or_default();
        assert!(delivery.state == DeliveryState::Waiting as i16 && said.contains(words), "{url}: {said}");
    }
    assert!(receiver.so_far().is_empty());
}

async fn a_name_is_resolved_once_and_all_of_its_addresses_are_judged(world: World) {
    let receiver = Receiver::content().await;
    let port = receiver.address.port();
    world.hook(format!("http://good.test:{port}/"), |_| {}).await;
    let names = Names {
        known: [("good.test", vec!["127.0.0.1"]), ("both.test", vec!["127.0.0.1", "10.0.0.1"])].into(),
        ..Names::default()
    };
    let names = Arc::new(names);
    let _replica = world.deliver_with(&["127.0.0.0/8"], None, Arc::clone(&names) as _).await;
    assert_eq!(tried(&world).await.code, Some(200));
    assert_eq!(*names.asked.lock(), 1, "what was judged is what is connected to");
    for (host, words) in [("both.test", "both.test leads to 10.0.0.1"), ("gone.test", "cannot be resolved")] {
        let url = Some(format!("http://{host}:{port}/"));
        let change = claiflow_server::app::webhook::Declare { url, ..Default::default() };
        world.app.change_webhook(HOOK, change).await.unwrap();
        let said = tried(&world).await.error.unwrap_or_default();
        assert!(said.contains(words), "{host}: {said}");
    }
    assert_eq!(receiver.so_far().len(), 1);
}

async fn a_certificate_is_checked(world: World) {
    let receiver = Receiver::secure().await;
    let port = receiver.address.port();
    world.hook(format!("https://shop.test:{port}/"), |_| {}).await;
    let names = || {
        let known = [("shop.test", vec!["127.0.0.1"]), ("other.test", vec!["127.0.0.1"])].into();
        Arc::new(Names { known, ..Names::default() })
    };
    let replica = world.deliver_with(&["127.0.0.0/8"], None, names()).await;
    let said = tried(&world).await.error.unwrap_or_default();
    assert!(said.contains("TLS") && said.contains("webhook.caFile"), "{said}");
    replica.stop.cancel();
    replica.ended.await.unwrap();
    world.engine.type_sql("DELETE FROM webhook_delivery").await;
    let authority = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/webhooks/authority.pem").into();
    let _replica = world.deliver_with(&["127.0.0.0/8"], Some(authority), names()).await;
    assert_eq!(tried(&world).await.code, Some(200));
    let url = Some(format!("https://other.test:{port}/"));
    let change = claiflow_server::app::webhook::Declare { url, ..Default::default() };
    world.app.change_webhook(HOOK, change).await.unwrap();
    let said = tried(&world).await.error.unwrap_or_default();
    assert!(said.contains("TLS"), "{said}");
    assert_eq!(receiver.so_far().len(), 1);
}

async fn a_redirect_is_a_success_and_is_not_followed(world: World) {
    let receiver = Receiver::start(|_| Reply::Redirect).await;
    world.hook(receiver.url(), |_| {}).await;
    let _replica = world.deliver().await;
    let delivery = tried(&world).await;
    assert_eq!((delivery.code, delivery.state), (Some(302), DeliveryState::Delivered as i16));
}

async fn an_answer_that_does_not_end_is_a_failure(world: World) {
    let receiver = Receiver::start(|_| Reply::Drip).await;
    world.hook(receiver.url(), |hook| hook.timeout = Some("300ms".into())).await;
    let _replica = world.deliver().await;
    assert_eq!(tried(&world).await.error.as_deref(), Some("there was no whole answer within 300ms"));
}
