//! `enigma.*` in files and variables: what turns encryption on, and what is refused with which sentence.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use claiflow_server::config::{Arguments, Config};

fn read(yaml: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("server.yaml");
    std::fs::write(&file, yaml.replace("DIR", directory.path().to_str().unwrap())).unwrap();
    std::fs::write(directory.path().join("k.key"), format!("{}\n", STANDARD.encode([7; 32]))).unwrap();
    std::fs::write(directory.path().join("bad.key"), "hunter2!").unwrap();
    let arguments = Arguments { files: vec![file], ..Arguments::default() };
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::read(&arguments, variables).map_err(|error| error.to_string())
}

const K16: &str = "AAECAwQFBgcICQoLDA0ODw==";

#[test]
fn keys_come_from_lists_files_variables_and_the_seven_keys() {
    let of_seven =
        format!("enigma: {{BLOCKMETHOD: aes, blockSize: 256, blockKey: {K16}, cipherMode: gcm, strconv: base64}}");
    let in_list = format!("enigma: {{keys: [{{id: b, key: {K16}}}, {{id: a, keyFile: DIR/k.key}}]}}");
    let numbered = format!("enigma:\n  keys:\n  - id: 1\n    key: {K16}");
    let both = format!("{of_seven}\n").replace("}", &format!(", keys: [{{id: new, key: {K16}}}]}}"));
    for (yaml, ids, is_former) in [
        ("", vec![], false),
        (
            "enigma: {x: {blockMethod: none, blockSize: 0, blockKey: null, cipherMode: none, cipherSalt: null, padding: none, strconv: plain}}",
            vec![],
            false,
        ),
        (&in_list, vec!["b", "a"], false),
        (&numbered, vec!["1"], false),
        (&of_seven, vec!["blockkey"], true),
        (&both, vec!["new", "blockkey"], true),
    ] {
        let config = read(yaml, &[]).unwrap_or_else(|error| panic!("{yaml}: {error}"));
        assert_eq!(config.encryption.keys.iter().map(|key| key.id()).collect::<Vec<_>>(), ids, "{yaml}");
        assert_eq!(config.encryption.former.is_some(), is_former, "{yaml}");
        assert!(!format!("{config:?}").contains(K16), "{yaml}");
    }
    let variable = format!(r#"[{{"id":"v","key":"{K16}"}}]"#);
    let config = read(&in_list, &[("CLAIFLOW_ENIGMA_KEYS", &variable)]).unwrap();
    assert_eq!(config.encryption.keys[0].id(), "v");
}

#[test]
fn what_is_refused_says_what_would_be_right_and_shows_no_key() {
    let seven = |changed: &str| {
        format!("enigma: {{blockMethod: AES, blockSize: 256, blockKey: {K16}, cipherMode: GCM, {changed}}}")
    };
    for (yaml, parts) in [
        ("enigma: {blockMethod: DES, blockKey: hunter2}".to_owned(), &["`enigma.blockMethod`", "DES", "AES"][..]),
        ("enigma: {blockMethod: AES, cipherMode: CBC}".into(), &["`enigma.cipherMode`", "CBC", "GCM"]),
        ("enigma: {blockMethod: AES, cipherMode: ECB}".into(), &["`enigma.cipherMode`", "ECB", "GCM"]),
        ("enigma: {blockMethod: AES}".into(), &["`enigma.cipherMode`", "GCM"]),
        ("enigma: {blockMethod: AES, cipherMode: GCM, blockSize: 64}".into(), &["`enigma.blockSize`", "128, 192, 256"]),
        ("enigma: {blockMethod: AES, cipherMode: GCM, blockSize: 128}".into(), &["`enigma.blockKey`", "base64"]),
        (
            "enigma: {blockMethod: AES, cipherMode: GCM, blockSize: 128, blockKey: 'hunter2!'}".into(),
            &["`enigma.blockKey`", "base64"],
        ),
        (
            "enigma: {blockMethod: AES, cipherMode: GCM, blockSize: 128, blockKey: aHVudGVyMg==}".into(),
            &["`enigma.blockKey`", "7 bytes", "enigma.keys"],
        ),
        (seven("padding: zero"), &["`enigma.padding`", "PKCS"]),
        (seven("strconv: base32"), &["`enigma.strconv`", "base64"]),
        ("enigma: {a: {blockMethod: none}, b: {blockMethod: AES}}".into(), &["`enigma.blockMethod`", "two values"]),
        ("enigma: {keys: hunter2}".into(), &["`enigma.keys`", "keyFile"]),
        ("enigma: {keys: []}".into(), &["`enigma.keys`"]),
        ("enigma: {keys: [hunter2]}".into(), &["`enigma.keys`"]),
        ("enigma: {keys: [{id: a}]}".into(), &["enigma.keys[0]", "`keyFile`"]),
        (format!("enigma: {{keys: [{{key: {K16}}}]}}"), &["enigma.keys[0]", "`id`"]),
        ("enigma: {keys: [{id: a, key: 'hunter2!'}]}".into(), &["enigma.keys[0].key", "base64"]),
        ("enigma: {keys: [{id: a, key: 5}]}".into(), &["enigma.keys[0].key", "text"]),
        ("enigma: {keys: [{id: a, key: aHVudGVyMg==}]}".into(), &["enigma.keys[0]", "7 bytes"]),
        ("enigma: {keys: [{id: a, keyFile: DIR/none.key}]}".into(), &["enigma.keys[0].keyFile", "none.key"]),
        ("enigma: {keys: [{id: a, keyFile: DIR/bad.key}]}".into(), &["enigma.keys[0].keyFile", "base64"]),
        (format!("enigma: {{keys: [{{id: A, key: {K16}}}]}}"), &["enigma.keys[0]", "lower-case"]),
        (format!("enigma: {{keys: [{{id: a, key: {K16}, hunter2: x}}]}}"), &["enigma.keys[0]", "nothing else"]),
        (format!("enigma: {{keys: [{{id: a, key: {K16}}}, {{id: a, key: {K16}}}]}}"), &["enigma.keys", "`a`"]),
    ] {
        let error = read(&yaml, &[]).unwrap_err();
        for part in parts {
            assert!(error.contains(part), "{yaml}: {error}");
        }
        assert!(!error.contains("hunter2") && !error.contains(K16), "{yaml}: {error}");
    }
}
