//! What the first version encrypted, by an implementation that is not ours (`former.py`).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use claiflow_server::enigma::{Former, Text};
use serde_json::Value;

fn text(vector: &Value, key: &str) -> String {
    vector[key].as_str().unwrap().to_owned()
}

fn former(vector: &Value, key: &[u8], strconv: Text) -> Former {
    let bytes = usize::try_from(vector["blockSize"].as_u64().unwrap()).unwrap() / 8;
    Former::new(key, bytes, vector["cipherSalt"].as_str(), text(vector, "padding") == "PKCS", strconv)
}

#[test]
fn what_the_first_version_encrypted_is_read_and_nothing_else_is_taken_for_it() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("former.json")).unwrap();
    assert!(vectors.len() > 100);
    for vector in &vectors {
        let (stored, expected) = (text(vector, "stored"), Some(text(vector, "text")));
        let mut key = STANDARD.decode(text(vector, "blockKey")).unwrap();
        let (strconv, raw) = match text(vector, "strconv").as_str() {
            "hex" => (Text::Hex, None),
            _ => (Text::Base64, Some(STANDARD.decode(&stored).unwrap())),
        };
        let right = former(vector, &key, strconv);
        assert_eq!(right.open(stored.as_bytes()), expected, "{vector}");
        if let Some(raw) = raw {
            assert_eq!(former(vector, &key, Text::Plain).open(&raw), expected, "{vector}");
        }
        for other in
            ["", "{}", r#"{"name":"world"}"#, "CLIENT_AUTHENTICATION_TOKEN", &stored[1..], &text(vector, "text")]
        {
            assert_eq!(right.open(other.as_bytes()), None, "{other} {vector}");
        }
        key[0] ^= 1;
        assert_eq!(former(vector, &key, strconv).open(stored.as_bytes()), None, "{vector}");
    }
}

#[test]
fn a_salt_is_taken_as_it_is_where_it_is_no_base64() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("former.json")).unwrap();
    let salted = vectors.iter().find(|vector| vector["cipherSalt"].is_string()).unwrap();
    let plain = String::from_utf8(STANDARD.decode(text(salted, "cipherSalt")).unwrap()).unwrap();
    assert_eq!(plain, "a fixed salt");
    let key = STANDARD.decode(text(salted, "blockKey")).unwrap();
    let former = Former::new(&key, 16, Some(&plain), false, Text::Base64);
    assert_eq!(former.open(text(salted, "stored").as_bytes()), Some(text(salted, "text")));
}
