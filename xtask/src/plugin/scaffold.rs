//! `new-plugin`: a folder with one command and a test that needs no host, ready to be changed.

mod rust;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::root;

use super::is_name;

pub(super) use rust::standalone;

/// Path and text of each file.
type Files = &'static [(&'static str, &'static str)];

const JAVASCRIPT: Files = &[
    ("package.json", include_str!("scaffold/javascript/package.json.txt")),
    ("index.js", include_str!("scaffold/javascript/index.js.txt")),
    ("test/{{name}}.test.js", include_str!("scaffold/javascript/test.js.txt")),
];
const PYTHON: Files = &[
    ("pyproject.toml", include_str!("scaffold/python/pyproject.toml.txt")),
    ("src/{{module}}.py", include_str!("scaffold/python/plugin.py.txt")),
    ("tests/test_{{module}}.py", include_str!("scaffold/python/test.py.txt")),
];
const GO: Files = &[
    ("go.mod", include_str!("scaffold/golang/go.mod.txt")),
    ("claiflow.json", include_str!("scaffold/golang/claiflow.json.txt")),
    ("main.go", include_str!("scaffold/golang/main.go.txt")),
    ("main_test.go", include_str!("scaffold/golang/main_test.go.txt")),
];

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Language {
    Rust,
    #[value(name = "javascript", alias = "js")]
    JavaScript,
    #[value(alias = "py")]
    Python,
    #[value(alias = "golang")]
    Go,
}

/// See [`crate::Task::NewPlugin`].
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask new-plugin restart-tool                    a member of plugins/
  cargo xtask new-plugin restart-tool --dir ~/src        a crate of its own in ~/src/restart-tool
  cargo xtask new-plugin restart-tool --lang javascript  a package in plugins/restart-tool
  cargo xtask new-plugin restart-tool --lang python --dir ~/src
  cargo xtask new-plugin restart-tool --lang go --dir ~/src")]
pub(crate) struct NewPlugin {
    /// Lower-case letters, digits, and `-` between them: it names the file, the grant and the ConfigMap.
    name: String,
    /// What it is written in.
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    lang: Language,
    /// The folder to make it in, outside of this repository.
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl NewPlugin {
    pub(crate) fn run(self) -> Result<()> {
        let folder = match (self.lang, &self.dir) {
            (Language::Rust, Some(directory)) => standalone(&self.name, directory, &root())?,
            (Language::Rust, None) => rust::member(&self.name, &root().join("plugins"))?,
            (language, directory) => of(language, &self.name, directory.as_deref(), &root())?,
        };
        // A path below the current folder is shorter, and right for who typed this command.
        let here = std::env::current_dir()?;
        let folder = folder.strip_prefix(&here).unwrap_or(&folder).display().to_string();
        let name = &self.name;
        let test = match self.lang {
            Language::Rust => format!("cargo test --manifest-path {folder}/Cargo.toml"),
            Language::JavaScript => format!("npm install --prefix {folder} && npm test --prefix {folder}"),
            Language::Python => {
                let sdk = root().join("plugins/sdk-py/src");
                format!("PYTHONPATH={}:{folder}/src python3 -m unittest discover -s {folder}/tests", sdk.display())
            }
            Language::Go => format!("go test -C {folder} ./..."),
        };
        println!(
            "{name} is in {folder}; its command is `{name}.greet`. Next:
  {test}
  cargo xtask build-plugin {folder}
  cargo run -p claiflow-agent -- run plugins/dist/{name}.wasm {name}.greet --inputs '{{\"name\":\"world\"}}'"
        );
        Ok(())
    }
}

/// A package or a project that uses the SDK of the checkout `root`: in `directory`, or among the checkout's plugins.
pub(super) fn of(language: Language, name: &str, directory: Option<&Path>, root: &Path) -> Result<PathBuf> {
    check(name)?;
    let plugins = root.join("plugins").canonicalize()?;
    let (directory, sdks) = match directory {
        Some(directory) => (outside(directory, root)?, plugins.display().to_string()),
        None => (plugins, "..".to_owned()),
    };
    let (files, sdk) = match language {
        Language::Go => (GO, "sdk-go"),
        Language::Python => (PYTHON, "sdk-py"),
        Language::Rust | Language::JavaScript => (JAVASCRIPT, "sdk-js"),
    };
    let module = name.replace('-', "_");
    let words = [("name", name), ("module", module.as_str()), ("sdk", &format!("{sdks}/{sdk}"))];
    let files: Vec<_> = files.iter().map(|(path, text)| (filled(path, &words), *text)).collect();
    folder_of(&directory, name, &files, &words)
}

fn check(name: &str) -> Result<()> {
    if !is_name(name) {
        bail!("`{name}` cannot name a plugin; at most 63 lower-case letters, digits, and `-` between them");
    }
    Ok(())
}

/// The directory, made and absolute: a folder in the checkout's plugins belongs to the checkout.
fn outside(directory: &Path, root: &Path) -> Result<PathBuf> {
    fs::create_dir_all(directory).with_context(|| format!("{} cannot be made", directory.display()))?;
    let directory = directory.canonicalize()?;
    if directory.starts_with(root.join("plugins").canonicalize()?) {
        bail!("{} is inside of this repository's plugins; leave out `--dir`", directory.display());
    }
    Ok(directory)
}

/// Writes the files of a plugin, with `{{word}}` replaced.
fn folder_of(directory: &Path, name: &str, files: &[(String, &str)], words: &[(&str, &str)]) -> Result<PathBuf> {
    let folder = directory.join(name);
    if folder.exists() {
        bail!("{} is there already; take another name, or remove it", folder.display());
    }
    for (path, text) in files {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).with_context(|| format!("{} cannot be made", parent.display()))?;
        fs::write(&path, filled(text, words)).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(folder)
}

fn filled(text: &str, words: &[(&str, &str)]) -> String {
    words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(&format!("{{{{{word}}}}}"), value))
}
