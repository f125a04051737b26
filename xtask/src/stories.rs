//! The stories of `examples/`: what each stores, which tasks it creates, and what they give.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value};

use crate::root;

/// One folder of `examples/`.
pub(crate) struct Story {
    /// The folder's name.
    pub(crate) name: String,
    /// Bodies of POST `/api/v1/template`.
    pub(crate) templates: Vec<Value>,
    /// Files for MariaDB's shell; such a story runs on no other engine.
    pub(crate) sql: Vec<PathBuf>,
    /// Bodies of POST `/api/v1/service`, each with the result of its task.
    pub(crate) tasks: Vec<(Value, Value)>,
}

/// Every story, by name.
pub(crate) fn stories() -> Result<Vec<Story>> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(root().join("examples"))? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    folders.iter().map(|folder| Story::read(folder).with_context(|| folder.display().to_string())).collect()
}

impl Story {
    fn read(folder: &Path) -> Result<Self> {
        let Value::Object(mut story) = json(&folder.join("story.json"))? else { bail!("story.json is not an object") };
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let templates =
            names(&mut story, "templates")?.iter().map(|file| json(&folder.join(file))).collect::<Result<_>>()?;
        let sql = names(&mut story, "sql")?.iter().map(|file| folder.join(file)).collect();
        let mut tasks = Vec::new();
        for task in array(&mut story, "tasks")? {
            let request = task.get("request").and_then(Value::as_str).context("a task has no `request`")?;
            let result = task.get("result").cloned().context("a task has no `result`")?;
            tasks.push((json(&folder.join(request))?, result));
        }
        ensure!(!tasks.is_empty(), "story.json has no tasks");
        ensure!(story.is_empty(), "story.json has keys that mean nothing: {:?}", story.keys());
        Ok(Self { name, templates, sql, tasks })
    }
}

fn json(file: &Path) -> Result<Value> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    serde_json::from_str(&text).with_context(|| file.display().to_string())
}

/// Takes an array out of the story; an absent one is empty.
fn array(story: &mut Map<String, Value>, key: &str) -> Result<Vec<Value>> {
    match story.remove(key) {
        None => Ok(vec![]),
        Some(Value::Array(list)) => Ok(list),
        Some(other) => bail!("`{key}` is not an array but {other}"),
    }
}

fn names(story: &mut Map<String, Value>, key: &str) -> Result<Vec<String>> {
    let list = array(story, key)?;
    list.into_iter()
        .map(|name| name.as_str().map(str::to_owned).with_context(|| format!("`{key}` holds {name}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::Value;

    use super::stories;
    use crate::cluster_of_two::CLUSTER;

    #[test]
    fn every_story_is_whole() {
        let stories = stories().unwrap();
        assert!(stories.len() >= 6, "only {} stories were found", stories.len());
        let list = fs::read_to_string(crate::root().join("examples/README.md")).unwrap();
        for story in stories {
            let name = &story.name;
            assert!(list.contains(&format!("[{name}]({name})")), "{name} is not in examples/README.md");
            assert!(crate::root().join("examples").join(name).join("README.md").exists(), "{name} has no README.md");
            let sql: String = story.sql.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
            for template in &story.templates {
                assert!(template["flow"].is_array() && template["inputs"]["type"] == "object", "{name}: {template}");
            }
            for (request, _) in &story.tasks {
                let template = request["template_uuid"].as_str().unwrap();
                let stored =
                    story.templates.iter().any(|it| it["uuid"] == template) || sql.contains(&format!("('{template}',"));
                assert!(stored, "{name} stores no {template}");
                assert_eq!(request["cluster_uuids"], Value::from(vec![CLUSTER]), "{name}");
            }
        }
    }
}
