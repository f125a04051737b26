//! A stranger's way: a plugin made in a folder of their own, tested, built, and read back; in each language.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Choice,
    component::{Component, Description},
    components, golang, guests, javascript, python,
    scaffold::{self, Language},
    toolchain::Toolchain,
};
use crate::root;

/// Whether a compiler is there: said loudly where it is not, and a failure under `CLAIFLOW_STRICT=1`.
fn is_there<T>(compiler: anyhow::Result<T>) -> bool {
    let Err(error) = compiler else { return true };
    assert_ne!(env::var("CLAIFLOW_STRICT").as_deref(), Ok("1"), "{error:#}");
    eprintln!("SKIPPED: no plugin was made and built: {error:#}");
    false
}

/// Runs its tests; what they said.
fn tested(mut command: Command) -> String {
    let tested = command.output().unwrap();
    let said = String::from_utf8_lossy(&tested.stdout).into_owned() + &String::from_utf8_lossy(&tested.stderr);
    assert!(tested.status.success(), "{said}");
    said
}

/// Builds what `new-plugin` made: the component says what it is, and nothing of this machine.
fn becomes_a_component(folder: PathBuf, directory: &Path) {
    let built = components(&[folder], &directory.join("dist"), Choice::Auto).unwrap();
    let [built] = built.as_slice() else { panic!("{} plugins", built.len()) };
    let commands = vec![("greeter.greet".to_owned(), "read".to_owned())];
    let expected = Description { name: "greeter".into(), version: "0.1.0".into(), commands };
    assert_eq!(built.description.as_ref(), Some(&expected));
    for (file, names) in [(&built.file, false), (&built.debug, true)] {
        let bytes = fs::read(file).unwrap();
        let component = Component::of(&bytes).unwrap();
        assert!(component.check().unwrap().contains(&"claiflow:plugin/log@1.0.0".to_owned()));
        assert_eq!(component.description().unwrap().as_ref(), Some(&expected));
        if built.toolchain.contains("rustc") {
            assert_eq!(contains(&bytes, b".debug_line"), names);
        }
        assert!(contains(&bytes, built.toolchain.as_bytes()), "it says what made it");
        // Its digest would be another on the next machine.
        for place in [&root(), directory] {
            assert!(names || !contains(&bytes, place.display().to_string().as_bytes()), "{} is in it", place.display());
        }
    }
}

#[test]
fn a_plugin_in_rust_passes_its_tests_and_becomes_a_component() {
    if !is_there(Toolchain::find(Choice::Auto)) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let folder = scaffold::standalone("greeter", directory.path(), &root()).unwrap();
    let mut cargo = Command::new("cargo");
    cargo.arg("test").arg("--manifest-path").arg(folder.join("Cargo.toml")).env("CARGO_TARGET_DIR", guests());
    assert!(tested(cargo).contains("a_person_is_greeted ... ok"));
    becomes_a_component(folder, directory.path());
}

#[test]
fn a_plugin_in_javascript_passes_its_tests_and_becomes_a_component() {
    if !is_there(javascript::Compiler::ready()) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let folder = scaffold::of(Language::JavaScript, "greeter", Some(directory.path()), &root()).unwrap();
    let mut npm = Command::new("npm");
    npm.current_dir(&folder).args(["install", "--offline", "--no-audit", "--no-fund"]);
    tested(npm);
    let mut npm = Command::new("npm");
    npm.current_dir(&folder).arg("test");
    assert!(tested(npm).contains("a person is greeted"));
    becomes_a_component(folder, directory.path());
}

#[test]
fn a_plugin_in_python_passes_its_tests_and_becomes_a_component() {
    if !is_there(python::Compiler::ready()) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let folder = scaffold::of(Language::Python, "greeter", Some(directory.path()), &root()).unwrap();
    assert!(tested(python::unittest(&folder)).contains("Ran 2 tests"));
    becomes_a_component(folder, directory.path());
}

#[test]
fn a_plugin_in_go_passes_its_tests_and_becomes_a_component() {
    if !is_there(golang::Compiler::ready(&root().join("plugins/sdk-go"))) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let folder = scaffold::of(Language::Go, "greeter", Some(directory.path()), &root()).unwrap();
    assert!(tested(golang::test(&folder)).contains("ok  \tgreeter"));
    becomes_a_component(folder, directory.path());
}

#[test]
fn a_folder_is_made_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    for language in [Language::JavaScript, Language::Python, Language::Go] {
        let error = scaffold::of(language, "Tool", Some(directory.path()), &root()).unwrap_err();
        assert!(error.to_string().contains("cannot name a plugin"), "{error}");
    }
    assert!(fs::read_dir(directory.path()).unwrap().next().is_none());
    let inside = root().join("plugins/nobody");
    let error = scaffold::of(Language::Python, "tool", Some(&inside), &root()).unwrap_err();
    fs::remove_dir(inside).unwrap();
    assert!(error.to_string().contains("leave out `--dir`"), "{error}");
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_contract_is_one_that_is_published_and_holds_what_is_imported() {
    for text in ["1", "1.0", "1.0.0"] {
        assert_eq!(super::component::contract(text).unwrap(), "1.0.0");
    }
    for text in ["", "1.1", "10", "2.0.0"] {
        assert!(super::component::contract(text).unwrap_err().contains("1.0.0"), "{text}");
    }
    let imports =
        ["wasi:io/poll@0.2.12", "claiflow:plugin/log@1.0.0", "claiflow:plugin/weather@1.1.0"].map(str::to_owned);
    assert!(super::component::fits(&imports[..2], "1.0.0").is_ok());
    assert!(super::component::fits(&imports, "1.1.0").is_ok());
    let error = super::component::fits(&imports, "1.0.0").unwrap_err().to_string();
    assert!(error.contains("`claiflow:plugin/weather@1.1.0`"), "{error}");
}
