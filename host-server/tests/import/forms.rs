//! No type of a column is assumed, and no column that can be missing.

use crate::world::World;

promises![other_types_and_names_say_the_same, a_fuller_day_than_a_page_is_read_whole];

async fn other_types_and_names_say_the_same(world: World) {
    world.import(true).await.unwrap();
    let server = world.serve().await;
    let mut shown = server.everything().await;
    server.close().await;
    world.sql(
        "RENAME TABLE cluster_client_token TO cluster_token, global_variables TO global_variable;
         ALTER TABLE cluster MODIFY uuid VARBINARY(64) NOT NULL, MODIFY name BLOB NOT NULL, MODIFY created VARCHAR(40) NOT NULL;
         ALTER TABLE cluster_token MODIFY token BLOB NOT NULL, MODIFY issued_at_time TIMESTAMP NOT NULL DEFAULT '2026-01-01';
         ALTER TABLE global_variable DROP COLUMN deleted;
         ALTER TABLE service_status MODIFY status VARCHAR(4) NOT NULL, MODIFY step_seq DECIMAL(10, 2) NOT NULL, MODIFY message BLOB NULL;
         ALTER TABLE service_result MODIFY result LONGBLOB NOT NULL, DROP COLUMN save_type;
         ALTER TABLE service MODIFY inputs LONGTEXT CHARACTER SET utf8mb3 NULL, MODIFY priority VARCHAR(8) NULL, MODIFY flow JSON NULL CHECK (TRUE);",
    );
    let target = match &world.target {
        crate::world::Target::Sqlite(_) => crate::world::Target::Sqlite(world.directory().join("second.db")),
        crate::world::Target::Maria(maria) => {
            let dbname = format!("{}_2", maria.dbname);
            crate::world::shell(maria, "", &format!("CREATE DATABASE {dbname}"));
            crate::world::Target::Maria(claiflow_server::storage::Maria { dbname, ..maria.clone() })
        }
    };
    let mut second = world;
    second.target = target;
    let summary = second.import(true).await.unwrap();
    let server = second.serve().await;
    let mut again = server.everything().await;
    server.close().await;
    if let crate::world::Target::Maria(maria) = &second.target {
        crate::world::shell(maria, "", &format!("DROP DATABASE {}", maria.dbname));
    }
    assert!(summary.complete && summary.refused() == 0, "{summary}");
    // What was given an end now was given it at another time; and the server's own templates have the time of their installation.
    for all in [&mut shown, &mut again] {
        all.retain(|key, _| !key.contains("\"a000000000000000000000000000000") && !key.starts_with("template "));
    }
    assert_eq!(shown.len(), again.len());
    for (key, row) in &shown {
        assert_eq!(again.get(key), Some(row), "{key}");
    }
}

async fn a_fuller_day_than_a_page_is_read_whole(world: World) {
    world.sql(
        "INSERT INTO service (pdate, cluster_uuid, uuid, template_uuid, flow, step_max, created)
           SELECT '2026-10-10', ELT(1 + seq % 2, '00000000000000000000000000000000', 'EDGE-01'), CONCAT('b', LPAD(seq, 31, '0')), 'x', '[]', 1, '2026-10-10 10:00:00' FROM seq_1_to_1234;
         INSERT INTO service_status (pdate, cluster_uuid, uuid, step_seq, status, created)
           SELECT pdate, cluster_uuid, uuid, 0, 4, created + INTERVAL 1 SECOND FROM service WHERE uuid LIKE 'b%';",
    );
    let summary = world.import(true).await.unwrap();
    assert!(summary.complete && summary.refused() == 0, "{summary}");
    let services = summary.counts.iter().find(|count| count.table == "service").unwrap();
    assert_eq!((services.read, services.written), (307 + 1_234, 307 + 1_234));
}
