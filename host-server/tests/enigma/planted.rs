//! Values that users gave are searched for in everything that the database wrote: found while encryption is off, and nowhere
//! while it is on.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use claiflow_server::{
    enigma::Enigma,
    model::ids::{Source, hex},
    storage::Maria,
};
use serde_json::json;

use crate::{
    rows::CLUSTER,
    server::Server,
    world::{Engine, World, ring},
};

promises![planted_values_are_found_while_encryption_is_off, planted_values_are_found_nowhere_while_encryption_is_on,];

/// What a user keeps in each place; no two are alike, and none is a word of ours.
struct Planted(Vec<(&'static str, String)>);

const PLACES: [&str; 8] = ["input", "result", "error", "token", "changed-token", "header", "secret", "published"];
const HOOK: &str = "00000000000000000000000000000002";

impl Planted {
    fn new() -> Self {
        let text = |place: &str| match place {
            // Its text is base64.
            "secret" => STANDARD.encode(hex(&Source.random())),
            place => format!("{place}-{}", hex(&Source.random())),
        };
        Self(PLACES.iter().map(|place| (*place, text(place))).collect())
    }

    fn of(&self, place: &str) -> &str {
        &self.0.iter().find(|(known, _)| *known == place).unwrap().1
    }
}

/// The whole way of a task, over REST, with values planted everywhere; every one is read back.
async fn plant(world: &World, enigma: Enigma) -> Planted {
    let planted = Planted::new();
    let server = Server::over(world.try_open(enigma).await.unwrap()).await;
    server.make("POST", "/api/v1/cluster", json!({"uuid": CLUSTER, "name": "c"})).await;
    let flow = json!([{"$id": "s", "$command": "helloworld", "inputs": "$inputs"}]).to_string();
    server.make("POST", "/api/v1/template", json!({"uuid": "t", "name": "t", "flow": flow, "inputs": {}})).await;
    let token = json!({"name": "t", "cluster_uuid": CLUSTER, "token": planted.of("token")});
    let token = server.make("POST", "/api/v1/cluster_token", token).await;
    let session = server.authenticate(CLUSTER, planted.of("token")).await.unwrap();
    let change = json!({"token": planted.of("changed-token")});
    let path = format!("/api/v1/cluster_token/{}", token["uuid"].as_str().unwrap());
    server.make("PUT", &path, change).await;
    assert_eq!(server.make("GET", &path, json!(null)).await["token"], planted.of("changed-token"));
    assert!(server.authenticate(CLUSTER, planted.of("token")).await.is_none());
    assert!(server.authenticate(CLUSTER, planted.of("changed-token")).await.is_some());
    let hook = json!({
        "uuid": HOOK, "name": "h", "url": "http://127.0.0.1:9/", "method": "POST", "headers": {"X-Key": [planted.of("header")]},
        "secrets": [format!("whsec_{}", planted.of("secret"))],
    });
    let hook = server.make("POST", "/api/v1/webhook", hook).await;
    assert!(hook["headers"].to_string().contains(planted.of("header")), "{hook}");
    server.make("POST", &format!("/api/v1/webhook/{HOOK}/publish"), json!({"text": planted.of("published")})).await;
    let inputs = json!({"password": planted.of("input")});
    let create = json!({"template_uuid": "t", "cluster_uuid": CLUSTER, "inputs": inputs, "subscribed_channel": HOOK});
    let done = server.make("POST", "/api/v1/service", create.clone()).await;
    assert_eq!(server.run_one(&session, Ok(planted.of("result"))).await, inputs);
    let failed = server.make("POST", "/api/v1/service", create.clone()).await;
    assert_eq!(server.run_one(&session, Err(planted.of("error"))).await, inputs);
    // One that waits, too.
    server.make("POST", "/api/v1/service", create).await;
    let read = async |task: &serde_json::Value| {
        let uuid = task[0]["uuid"].as_str().unwrap().to_owned();
        server.make("GET", &format!("/api/v1/cluster/{CLUSTER}/service/{uuid}"), json!(null)).await
    };
    let (done, failed) = (read(&done).await, read(&failed).await);
    assert_eq!(done["inputs"], inputs);
    assert!(done["results"][0]["result"].as_str().unwrap().contains(planted.of("result")), "{done}");
    assert!(failed["error"].as_str().unwrap().contains(planted.of("error")), "{failed}");
    let all = server.make("GET", "/api/v1/service", json!(null)).await;
    assert_eq!(all.as_array().unwrap().iter().filter(|task| task["inputs"] == inputs).count(), 3);
    planted
}

/// Every byte that the engine keeps: its files, and what a dump tells.
fn raw(engine: &Engine) -> Vec<(String, String)> {
    let files: Vec<(String, Vec<u8>)> = match engine {
        Engine::Sqlite(file) => ["", "-wal"]
            .map(|end| format!("{}{end}", file.display()))
            .into_iter()
            .filter_map(|name| Some((name.clone(), fs::read(name).ok()?)))
            .collect(),
        Engine::Maria(maria) => dump(maria).into_iter().chain(files(maria)).collect(),
    };
    // What is searched for is ASCII; a search in text is fast without optimisation, too.
    files.into_iter().map(|(name, bytes)| (name, String::from_utf8_lossy(&bytes).into_owned())).collect()
}

fn client(program: &str, maria: &Maria, arguments: &[&str]) -> Vec<u8> {
    let output = std::process::Command::new(program)
        .args(["--no-defaults", "--protocol=tcp", "--default-character-set=utf8mb4"])
        .arg(format!("--host={}", maria.hosts[0].0))
        .arg(format!("--port={}", maria.hosts[0].1))
        .arg(format!("--user={}", maria.username))
        .env("MYSQL_PWD", &maria.password)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn dump(maria: &Maria) -> Vec<(String, Vec<u8>)> {
    let text = client("mariadb-dump", maria, &["--single-transaction", "--skip-lock-tables", &maria.dbname]);
    vec![("mariadb-dump".into(), text)]
}

/// The data directory's files of this database, and the logs of all, as far as they are on this machine and may be read.
fn files(maria: &Maria) -> Vec<(String, Vec<u8>)> {
    let answer = client("mariadb", maria, &["--batch", "--skip-column-names", "--execute", "SELECT @@datadir"]);
    let directory = String::from_utf8(answer).unwrap().trim().to_owned();
    let directory = Path::new(&directory);
    let of = |folder: &Path| {
        fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect::<Vec<_>>()
    };
    let logs = of(directory).into_iter().filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        ["ib_logfile", "ibdata", "undo", "mysql-bin.", "mariadb-bin."].iter().any(|begin| name.starts_with(begin))
    });
    let tables = of(&directory.join(&maria.dbname));
    tables.into_iter().chain(logs).filter_map(|path| Some((path.display().to_string(), fs::read(path).ok()?))).collect()
}

async fn planted_values_are_found_while_encryption_is_off(world: World) {
    let planted = plant(&world, ring(&[])).await;
    let raw = raw(&world.engine);
    for (place, text) in &planted.0 {
        assert!(raw.iter().any(|(_, kept)| kept.contains(text)), "the search does not find {place}");
    }
}

async fn planted_values_are_found_nowhere_while_encryption_is_on(world: World) {
    let planted = plant(&world, ring(&["k1"])).await;
    let raw = raw(&world.engine);
    assert!(!raw.is_empty());
    assert!(raw.iter().any(|(_, kept)| kept.contains("claiflow.enigma:1:k1:")), "the search finds no envelope");
    for (name, kept) in &raw {
        for (place, text) in &planted.0 {
            assert!(!kept.contains(text), "{place} is in {name}");
        }
    }
}
