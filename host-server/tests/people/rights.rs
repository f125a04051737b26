//! The matrix of rights: every operation, for everybody.

use std::{collections::BTreeSet, fmt::Write as _};

use claiflow_server::{
    app::rights::{TABLE, Who},
    model::ids::{Source, hex},
    rest,
};
use serde_json::{Value, json};

use crate::{
    stage::{Answer, Stage},
    world::World,
};

promises![every_operation_lets_pass_whom_its_row_says_and_nobody_else];

/// Who calls, in the order of the columns. Whoever has a scope calls before the admin, who may leave nothing behind.
const COLUMNS: [&str; 8] = [
    "nobody",
    "viewer",
    "operator",
    "outside cluster",
    "inside cluster",
    "outside template",
    "inside template",
    "admin",
];

/// A row of `rights.tsv`.
struct Row<'a> {
    operation: &'a str,
    call: &'a str,
    body: &'a str,
    expected: Vec<&'a str>,
}

fn rows() -> Vec<Row<'static>> {
    let lines = include_str!("rights.tsv").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            assert_eq!(fields.len(), 3 + COLUMNS.len(), "{line}");
            Row { operation: fields[0], call: fields[1], body: fields[2], expected: fields[3..].to_vec() }
        })
        .collect()
}

/// What a row's call is about: of each kind one within the scopes and one beyond.
struct Things {
    names: Vec<(&'static str, [String; 2])>,
}

impl Things {
    async fn make(stage: &Stage) -> Self {
        let mut names: Vec<(&'static str, [String; 2])> = vec![];
        let id = || hex(&Source.id());
        let clusters = [id(), id()];
        let templates = [id(), id()];
        for cluster in &clusters {
            stage.make("/api/v1/cluster", json!({"uuid": cluster, "name": "c"})).await;
        }
        for template in &templates {
            stage.template(template).await;
        }
        let mut tasks = [String::new(), String::new()];
        let mut tokens = [String::new(), String::new()];
        let mut sessions = [String::new(), String::new()];
        for side in 0..2 {
            tasks[side] = stage.task(&clusters[side], &templates[side]).await;
            let token = json!({"name": "t", "cluster_uuid": clusters[side], "token": id()});
            let made = stage.make("/api/v1/cluster_token", token.clone()).await;
            tokens[side] = made["uuid"].as_str().unwrap().to_owned();
            let secret = token["token"].as_str().unwrap();
            let session = stage.app.authenticate(&clusters[side], secret, "1").await.unwrap();
            sessions[side] = stage.app.session_of(&session.0).await.unwrap().0.uuid;
        }
        let people: [String; 2] = [id(), id()];
        for uuid in &people {
            stage.make("/api/v1/api_token", json!({"uuid": uuid, "name": uuid, "role": "viewer"})).await;
        }
        let (hooks, mut deliveries) = ([id(), id()], [String::new(), String::new()]);
        for (hook, delivery) in hooks.iter().zip(&mut deliveries) {
            let body = json!({"uuid": hook, "name": "w", "url": "https://example.com", "method": "POST"});
            stage.make("/api/v1/webhook", body).await;
            stage.call(&stage.admin, &format!("POST /api/v1/webhook/{hook}/publish"), json!({})).await;
            let log = stage.call(&stage.admin, &format!("GET /api/v1/webhook/{hook}/delivery"), Value::Null).await;
            *delivery = serde_json::from_str::<Value>(&log.text).unwrap()[0]["id"].to_string();
        }
        names.push(("{webhook}", hooks));
        names.push(("{delivery}", deliveries));
        names.push(("{cluster}", clusters));
        names.push(("{template}", templates));
        names.push(("{task}", tasks));
        names.push(("{token}", tokens));
        names.push(("{session}", sessions));
        names.push(("{api_token}", people));
        Self { names }
    }

    fn fill(&self, text: &str, side: usize) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, sides)| text.replace(name, &sides[side]))
    }

    fn of(&self, name: &str) -> &str {
        &self.names.iter().find(|(known, _)| *known == name).unwrap().1[0]
    }
}

/// What an answer means for who asked.
fn meaning(answer: &Answer) -> String {
    match answer.status {
        404 if answer.text.contains("has no result") => "yes".into(),
        401 | 403 | 404 => answer.status.to_string(),
        status if status < 500 => "yes".into(),
        status => format!("{status}: {}", answer.text),
    }
}

async fn every_operation_lets_pass_whom_its_row_says_and_nobody_else(world: World) {
    let stage = Stage::start(&world).await;
    let mut callers = vec![String::new()];
    for role in ["viewer", "operator"] {
        callers.push(stage.token(role, json!({"role": role})).await);
    }
    let mut matrix = format!("{:<18}", "operation");
    COLUMNS.iter().for_each(|column| write!(matrix, " {column:<16}").unwrap());
    let mut wrong = vec![];
    for row in rows() {
        let things = Things::make(&stage).await;
        let of_cluster =
            stage.token(&hex(&Source.id()), json!({"role": "admin", "clusters": [things.of("{cluster}")]})).await;
        let of_template =
            stage.token(&hex(&Source.id()), json!({"role": "admin", "templates": [things.of("{template}")]})).await;
        write!(matrix, "\n{:<18}", row.operation).unwrap();
        for (column, expected) in COLUMNS.iter().zip(&row.expected) {
            let (token, side) = match *column {
                "nobody" => (&callers[0], 0),
                "viewer" => (&callers[1], 0),
                "operator" => (&callers[2], 0),
                "outside cluster" => (&of_cluster, 1),
                "inside cluster" => (&of_cluster, 0),
                "outside template" => (&of_template, 1),
                "inside template" => (&of_template, 0),
                _ => (&stage.admin, 0),
            };
            let body = match row.body {
                "-" => Value::Null,
                text => serde_json::from_str(&things.fill(text, side)).unwrap(),
            };
            let answer = stage.call(token, &things.fill(row.call, side), body).await;
            let found = meaning(&answer);
            if found != *expected {
                wrong.push(format!("{} {column}: {found}, not {expected}: {}", row.operation, answer.text));
            }
            write!(matrix, " {found:<16}").unwrap();
        }
    }
    println!("{matrix}");
    assert!(wrong.is_empty(), "{}\n{matrix}", wrong.join("\n"));
}

#[test]
fn the_table_the_document_and_the_matrix_name_the_same_operations() {
    let document: Value = serde_json::from_str(&rest::openapi().unwrap()).unwrap();
    let mut documented = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(documented.insert(id.to_owned()), "{id} is the id of two operations");
            let asks = operation["security"].is_array();
            let right = TABLE.iter().find(|right| right.operation == id);
            let right = right.unwrap_or_else(|| panic!("`{id}` has no row in rights.rs, so nobody may call it"));
            assert_eq!(asks, matches!(right.who, Who::People(_)), "{id}: `security` of the document");
        }
    }
    let table: BTreeSet<String> = TABLE.iter().map(|right| right.operation.to_owned()).collect();
    assert_eq!(table.len(), TABLE.len(), "an operation stands in rights.rs twice");
    assert_eq!(table, documented, "rights.rs names what the document does not have");
    let matrix: BTreeSet<String> = rows().iter().map(|row| row.operation.to_owned()).collect();
    let people: BTreeSet<String> =
        TABLE.iter().filter(|right| matches!(right.who, Who::People(_))).map(|right| right.operation.into()).collect();
    assert_eq!(matrix, people, "rights.tsv has not the operations that people call");
}
