//! What a person reads of a plugin that was built.

use std::{fmt::Write as _, fs, path::PathBuf};

use anyhow::Result;

use super::{Built, oci::Archives, sha256};

/// Interfaces that need no grant.
const ALWAYS: [&str; 4] = ["kubernetes-types", "log", "task", "types"];

/// One block of lines. `manifest` is the file of the ConfigMaps and their number, if there is one.
///
/// `keys`: the public halves of those that signed.
pub(super) fn text(
    built: &Built,
    keys: &[String],
    manifest: Option<&(PathBuf, usize)>,
    archives: Option<&Archives>,
) -> Result<String> {
    let bytes = fs::read(&built.file)?;
    let digest = sha256(&bytes);
    let version = built.description.as_ref().map_or("", |description| description.version.as_str());
    let mut text = format!("{} {version}\n", built.name);
    let mut line = |what: &str, value: &str| writeln!(text, "  {what:<9} {value}");
    line("file", &built.file.display().to_string())?;
    line("size", &format!("{} bytes", bytes.len()))?;
    line("sha256", &digest)?;
    match &built.description {
        Some(description) => {
            for (index, (command, effect)) in description.commands.iter().enumerate() {
                line(if index == 0 { "commands" } else { "" }, &format!("{command}  (effect: {effect})"))?;
            }
        }
        None => line("commands", "not known: the crate does not use claiflow-sdk")?,
    }
    let granted = capabilities(&built.imports);
    line("imports", &summary(&built.imports))?;
    line("grants", &if granted.is_empty() { "none needed".to_owned() } else { format!("for {}", granted.join(", ")) })?;
    line("built by", &built.toolchain)?;
    for key in keys {
        let rule =
            format!("in the grants file: signatures: [{{plugins: [{}], keys: {{KEY-NAME: \"{key}\"}}}}]", built.name);
        line("signed", &rule)?;
    }
    line("names", &format!("{}, for a trap's function numbers", built.debug.display()))?;
    if let Some((manifest, maps)) = manifest {
        let apply = format!("kubectl apply --server-side -f {}", manifest.display());
        if *maps == 1 {
            line("mount", &apply)?;
        } else {
            line("labelled", &format!("{apply}  ({maps} ConfigMaps, for an agent with --plugin-configmaps)"))?;
        }
    }
    if let Some(archives) = archives {
        let (name, tag) = (&built.name, if version.is_empty() { "latest" } else { version });
        let push = |file: &PathBuf, repository: &str| {
            format!(
                "skopeo copy --all --preserve-digests oci-archive:{} docker://REGISTRY/{repository}:{tag}",
                file.display()
            )
        };
        line("artifact", &push(&archives.artifact, name))?;
        line("", &format!("then, in the grants file: artifact: REGISTRY/{name}@{}", archives.digest))?;
        line("image", &push(&archives.image, &format!("{name}-volume")))?;
    }
    Ok(text)
}

/// What the operator is asked for, each once.
pub(super) fn capabilities(imports: &[String]) -> Vec<&str> {
    let mut names: Vec<&str> = imports.iter().filter_map(|import| needs_grant(import)).collect();
    names.dedup();
    names
}

/// Interfaces of the contract one by one, packages of WASI as a whole.
fn summary(imports: &[String]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for import in imports {
        let path = import.split('@').next().unwrap_or(import);
        let name = match path.split_once('/') {
            Some(("claiflow:plugin", interface)) => interface,
            Some((package, _)) => package,
            None => path,
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

fn needs_grant(import: &str) -> Option<&str> {
    let path = import.split('@').next()?;
    match path.split_once('/')? {
        ("claiflow:plugin", interface) if !ALWAYS.contains(&interface) => Some(interface),
        ("wasi:http", _) => Some("http"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{capabilities, summary};

    #[test]
    fn imports_are_short_and_what_needs_a_grant_stands_out() {
        let imports = [
            "claiflow:plugin/kubernetes-write@1.0.0",
            "claiflow:plugin/log@1.0.0",
            "wasi:cli/exit@0.2.6",
            "wasi:cli/stdout@0.2.6",
            "wasi:http/outgoing-handler@0.2.6",
        ];
        let imports = imports.map(str::to_owned);
        assert_eq!(summary(&imports), "kubernetes-write, log, wasi:cli, wasi:http");
        assert_eq!(capabilities(&imports), ["kubernetes-write", "http"]);
    }
}
