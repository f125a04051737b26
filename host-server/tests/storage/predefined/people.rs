//! The server's templates in people's hands, and people's own beside them.

use claiflow_server::{
    app::{predefined::EDITION, template::Declare},
    model::predefined::Decision,
};

use super::{bring, count, declare, later, ours, shown, stored};
use crate::{shell::serve_on, world::World};

promises![
    what_somebody_changed_is_never_overwritten,
    what_somebody_deleted_stays_deleted_until_the_server_forgets_it,
    a_change_by_the_api_makes_it_the_users,
    templates_of_people_with_the_same_uuid_or_name_stay,
];

const PODS: &str = "00000000000000000000000000000001";
const NODES: &str = "00000000000000000000000000000009";

async fn what_somebody_changed_is_never_overwritten(world: World) {
    bring(&world.store, EDITION, &ours()).await;
    let changes = [
        "name = 'mine'",
        "summary = NULL",
        "flow = '[{\"$id\":\"step1\",\"$command\":\"mine\"}]'",
        "inputs = '{}'",
        "origin = 'userdefined'",
        "options = '{\"run_timeout\":\"30m\"}'",
    ];
    let uuid = |number: usize| format!("{:032}", number + 1);
    for (number, change) in changes.iter().enumerate() {
        world.type_sql(&format!("UPDATE template SET {change} WHERE uuid = '{}'", uuid(number))).await;
    }
    let before = stored(&world.store).await;
    for edition in [EDITION + 1, EDITION + 1, EDITION + 2] {
        let decisions = bring(&world.store, edition, &later()).await;
        assert_eq!(count(&decisions, Decision::Changed), changes.len(), "edition {edition}");
    }
    let after = stored(&world.store).await;
    for (number, change) in changes.iter().enumerate() {
        assert_eq!(shown(&after[&uuid(number)]), shown(&before[&uuid(number)]), "{change}");
    }
    assert_eq!(after[&uuid(changes.len())].summary, later()[changes.len()].summary);

    // Whoever takes the change back has the server's template again.
    world.type_sql(&format!("UPDATE template SET options = NULL WHERE uuid = '{}'", uuid(5))).await;
    let decisions = bring(&world.store, EDITION + 2, &later()).await;
    assert!(decisions.contains(&(uuid(5), Decision::Renew)), "{decisions:?}");
}

async fn what_somebody_deleted_stays_deleted_until_the_server_forgets_it(world: World) {
    let (app, stop) = serve_on(&world, world.store.clone()).await;
    app.bring_templates().await.unwrap();
    app.delete_template(PODS).await.unwrap();
    world.type_sql(&format!("DELETE FROM template WHERE uuid = '{NODES}'")).await;
    app.bring_templates().await.unwrap();
    let decisions = bring(&world.store, EDITION + 1, &later()).await;
    assert_eq!(count(&decisions, Decision::Deleted), 2);
    assert_eq!(stored(&world.store).await.len(), 233);

    world.type_sql(&format!("DELETE FROM predefined WHERE uuid = '{PODS}'")).await;
    let decisions = bring(&world.store, EDITION + 1, &later()).await;
    assert_eq!(decisions, [(PODS.into(), Decision::Install), (NODES.into(), Decision::Deleted)]);
    stop.cancel();
}

async fn a_change_by_the_api_makes_it_the_users(world: World) {
    let (app, stop) = serve_on(&world, world.store.clone()).await;
    app.bring_templates().await.unwrap();
    let origin = async |change: Declare| app.change_template(PODS, change).await.unwrap().origin;
    assert_eq!(origin(Declare::default()).await, "predefined", "nothing is changed");
    let same = app.template(PODS).await.unwrap();
    assert_eq!(origin(declare(same)).await, "predefined", "nor is it by the same words");
    let options = Declare { options: Some(r#"{"run_timeout":"30m"}"#.into()), ..Declare::default() };
    assert_eq!(origin(options).await, "userdefined");
    assert_eq!(stored(&world.store).await[PODS].origin, "userdefined");
    let decisions = bring(&world.store, EDITION + 1, &later()).await;
    assert_eq!(count(&decisions, Decision::Changed), 1);
    stop.cancel();
}

async fn templates_of_people_with_the_same_uuid_or_name_stay(world: World) {
    let (app, stop) = serve_on(&world, world.store.clone()).await;
    let own = |uuid: &str, name: &str| {
        let flow = r#"[{"$id":"a","$command":"mine"}]"#;
        Declare { uuid: Some(uuid.into()), name: Some(name.into()), flow: Some(flow.into()), ..Declare::default() }
    };
    app.declare_template(own(PODS, "mine"), false).await.unwrap();
    app.declare_template(own("nodes", "kubernetes_nodes_get"), false).await.unwrap();
    let before = stored(&world.store).await;
    for edition in [1, 2] {
        let brought = app.bring_templates().await.unwrap();
        let namesakes = if edition == 1 { vec![("kubernetes_nodes_get".into(), "nodes".into())] } else { vec![] };
        assert_eq!(brought.namesakes, namesakes);
        assert!(brought.decisions.contains(&(PODS.into(), Decision::Taken)), "{brought:?}");
    }
    let after = stored(&world.store).await;
    for (uuid, row) in &before {
        assert_eq!(shown(&after[uuid]), shown(row));
    }
    assert_eq!((after.len(), &*after[NODES].name), (236, "kubernetes_nodes_get"));

    app.delete_template(PODS).await.unwrap();
    let brought = app.bring_templates().await.unwrap();
    assert_eq!(brought.decisions, [(PODS.into(), Decision::Install)]);
    stop.cancel();
}
