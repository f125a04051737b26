//! A credential of a repository goes there, and is seen nowhere else: not in a list of processes, not in what they find around them,
//! not in a log, not in a result.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::{Result, anyhow, ensure};
use serde_json::{Value, json};

use super::{
    super::charts::Repository,
    LOGIN,
    stage::{RELEASES, Stage},
};

pub(super) fn kept(stage: &Stage<'_>, repository: &Repository) -> Result<()> {
    let secret = LOGIN.split(':').nth(1).unwrap_or_default();
    let watch = Watch::start(secret);
    let inputs = |more: Value| {
        let mut inputs = json!({"name": "closed", "namespace": RELEASES, "chart_name": "web"});
        if let (Some(inputs), Some(more)) = (inputs.as_object_mut(), more.as_object()) {
            inputs.extend(more.clone());
        }
        inputs
    };
    let mut said = Vec::new();
    // Without it, and with one that is granted for no such host, nothing is fetched.
    said.push(stage.refused("helm.template", &inputs(json!({"repo_url": repository.url})), &["credential", "401"])?);
    let elsewhere = inputs(json!({"repo_url": "http://127.0.0.1:1", "credential": "charts"}));
    said.push(stage.refused(
        "helm.template",
        &elsewhere,
        &["may not send the credential `charts`", "would allow it"],
    )?);
    let unknown = inputs(json!({"repo_url": repository.url, "credential": "other"}));
    said.push(stage.refused("helm.template", &unknown, &["may not send the credential `other`"])?);

    let by_address = inputs(json!({"repo_url": repository.url, "credential": "charts"}));
    said.push(stage.done("helm.install", &by_address)?.to_string());
    let add = json!({"repo_name": "closed", "repo_url": repository.url, "credential": "charts"});
    said.push(stage.done("helm.repo_add", &add)?.to_string());
    said.push(stage.done("helm.repo_update", &json!({"repo_name": "closed"}))?.to_string());
    said.push(stage.done("helm.upgrade", &inputs(json!({"repo_name": "closed"})))?.to_string());
    said.push(stage.done("helm.repo_list", &json!({}))?.to_string());
    said.push(stage.done("helm.uninstall", &json!({"name": "closed", "namespace": RELEASES}))?.to_string());

    watch.stop()?;
    ensure!(!said.concat().contains(secret), "a result holds the secret");
    ensure!(!stage.said().contains(secret), "the agent's log holds the secret");
    let kept = fs::read_to_string(stage.directory.join("state/repositories/repositories.json"))?;
    ensure!(!kept.contains(secret) && kept.contains("\"credential\": \"charts\""), "{kept}");
    let private = fs::read_dir(stage.directory.join("state/process"))?.count();
    ensure!(private == 0, "{private} private directories are left");
    Ok(())
}

/// Looks at every process of the machine, again and again.
struct Watch {
    stopped: Arc<AtomicBool>,
    thread: thread::JoinHandle<(usize, Vec<String>)>,
}

impl Watch {
    fn start(secret: &str) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let (stop, secret) = (stopped.clone(), secret.as_bytes().to_vec());
        let thread = thread::spawn(move || {
            let (mut helms, mut found) = (0, Vec::new());
            while !stop.load(Ordering::SeqCst) {
                for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
                    let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
                    let (words, environment) = (read("cmdline"), read("environ"));
                    helms += usize::from(words.windows(9).any(|part| part == b"/helm\0rep" || part == b"/helm\0ins"));
                    let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|part| part == secret);
                    if holds(&words) || holds(&environment) {
                        found.push(String::from_utf8_lossy(&words).replace('\0', " "));
                    }
                }
            }
            (helms, found)
        });
        Self { stopped, thread }
    }

    fn stop(self) -> Result<()> {
        self.stopped.store(true, Ordering::SeqCst);
        let (helms, found) = self.thread.join().map_err(|_| anyhow!("the watch failed"))?;
        ensure!(helms > 0, "no Helm was seen at work");
        ensure!(found.is_empty(), "the secret was seen at {found:?}");
        Ok(())
    }
}
