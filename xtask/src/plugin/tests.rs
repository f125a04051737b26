//! A stranger's way: a plugin made in a folder of their own, tested, built, and read back.

use std::{env, fs, process::Command};

use super::{
    Choice, Toolchain,
    component::{Component, Description},
    components, guests, scaffold,
};
use crate::root;

/// A toolchain for guests, or none where there is no way to one: said loudly, and a failure under `CLAIFLOW_STRICT=1`.
fn has_toolchain() -> bool {
    let Err(error) = Toolchain::find(Choice::Auto) else { return true };
    assert_ne!(env::var("CLAIFLOW_STRICT").as_deref(), Ok("1"), "{error:#}");
    eprintln!("SKIPPED: no plugin was made and built: {error:#}");
    false
}

#[test]
fn a_plugin_made_anywhere_passes_its_tests_and_becomes_a_component() {
    if !has_toolchain() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let folder = scaffold::standalone("greeter", directory.path(), &root()).unwrap();

    let mut cargo = Command::new("cargo");
    cargo.arg("test").arg("--manifest-path").arg(folder.join("Cargo.toml")).env("CARGO_TARGET_DIR", guests());
    let tested = cargo.output().unwrap();
    let said = String::from_utf8_lossy(&tested.stdout);
    assert!(tested.status.success(), "{said}\n{}", String::from_utf8_lossy(&tested.stderr));
    assert!(said.contains("a_person_is_greeted ... ok"), "{said}");

    let out = directory.path().join("dist");
    let built = components(&[folder], &out, Choice::Auto).unwrap();
    let [built] = built.as_slice() else { panic!("{} plugins", built.len()) };
    let commands = vec![("greeter.greet".to_owned(), "read".to_owned())];
    let expected = Description { name: "greeter".into(), version: "0.1.0".into(), commands };
    assert_eq!(built.description.as_ref(), Some(&expected));

    let bytes = fs::read(&built.file).unwrap();
    let debug = fs::read(&built.debug).unwrap();
    for (bytes, names) in [(&bytes, false), (&debug, true)] {
        let component = Component::of(bytes).unwrap();
        assert!(component.check().unwrap().contains(&"claiflow:plugin/log@1.0.0".to_owned()));
        assert_eq!(component.description().unwrap().as_ref(), Some(&expected));
        assert_eq!(contains(bytes, b".debug_line"), names);
        assert!(contains(bytes, built.toolchain.as_bytes()), "it says what made it");
    }
    // Its digest would be another on the next machine.
    assert!(!contains(&bytes, root().display().to_string().as_bytes()));
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
