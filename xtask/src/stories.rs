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
    /// What it is told on, by `needs`. None: a server and an agent are enough.
    pub(crate) ground: Option<Ground>,
}

/// What a story needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// A cluster, and the plugin of that name.
    Kubernetes,
    /// A cluster, charts, and a Prometheus; its results are another one each time, and checked where it is told.
    Helm,
}

/// A cluster, as the story finds it.
pub(crate) struct Ground {
    pub(crate) needs: Needs,
    /// Objects that are there.
    pub(crate) manifests: Vec<Value>,
    /// The agent's grants; a digest of zeros stands for that of the plugin as it was built.
    pub(crate) grants: String,
}

/// In place of a digest.
const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

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
        let ground = Ground::read(&mut story, folder)?;
        ensure!(story.is_empty(), "story.json has keys that mean nothing: {:?}", story.keys());
        Ok(Self { name, templates, sql, tasks, ground })
    }
}

impl Ground {
    fn read(story: &mut Map<String, Value>, folder: &Path) -> Result<Option<Self>> {
        let needs = match story.remove("needs") {
            None => return Ok(None),
            Some(needs) if needs == "kubernetes" => Needs::Kubernetes,
            Some(needs) if needs == "helm" => Needs::Helm,
            Some(needs) => bail!("`needs` is {needs}, and there are \"kubernetes\" and \"helm\""),
        };
        let manifests =
            names(story, "manifests")?.iter().map(|file| json(&folder.join(file))).collect::<Result<_>>()?;
        let grants = story.remove("grants");
        let grants = grants.as_ref().and_then(Value::as_str).context("a story on a cluster names its `grants`")?;
        let grants = folder.join(grants);
        let grants = fs::read_to_string(&grants).with_context(|| grants.display().to_string())?;
        Ok(Some(Self { needs, manifests, grants }))
    }

    /// The grants with the digests of the plugins' files, of which `digest` answers one by the plugin's name.
    ///
    /// # Errors
    /// What `digest` does not know.
    pub(crate) fn pinned(&self, digest: impl Fn(&str) -> Result<String>) -> Result<String> {
        let (mut plugin, mut pinned) = ("", String::with_capacity(self.grants.len()));
        for line in self.grants.split_inclusive('\n') {
            // An entry stands two places in.
            let entry = line.strip_prefix("  ").and_then(|line| line.trim_end().strip_suffix(':'));
            plugin = entry.filter(|name| !name.starts_with(' ')).unwrap_or(plugin);
            if line.contains(ZEROS) {
                pinned.push_str(&line.replace(ZEROS, &digest(plugin)?));
            } else {
                pinned.push_str(line);
            }
        }
        Ok(pinned)
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

    use super::{Needs, stories};
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
            if let Some(ground) = &story.ground {
                let pinned = ground.pinned(|plugin| Ok(format!("digest of {plugin}"))).unwrap();
                assert!(pinned.contains("sha256: \"digest of kubernetes\""), "{name}: {pinned}");
                assert!(ground.needs == Needs::Helm || !ground.manifests.is_empty(), "{name} is told on nothing");
            }
        }
    }
}
