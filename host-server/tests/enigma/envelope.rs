//! Values in, values out: what an envelope promises, with no database.

use std::sync::Arc;

use claiflow_server::{
    enigma::{Enigma, Error, Key, Place, row, task_row},
    model::ids::Source,
};
use proptest::prelude::*;
use zeroize::Zeroizing;

const HERE: Place<'static> = Place { table: "task", column: "inputs", row: b"a" };

fn key(id: &str, byte: u8) -> Key {
    Key::new(id, Zeroizing::new(vec![byte; 32])).unwrap()
}

fn ring(keys: Vec<Key>) -> Enigma {
    Enigma::new(keys, Arc::new(Source)).unwrap()
}

proptest! {
    #[test]
    fn any_text_comes_back_from_its_place_sealed_or_plain(text in ".*", at in any::<[u8; 16]>(), cluster in any::<i64>()) {
        let bound = task_row(&at, cluster);
        let place = Place { row: &bound, ..HERE };
        for enigma in [Enigma::off(), ring(vec![key("k1", 1)])] {
            let stored = enigma.seal(place, &text).unwrap();
            prop_assert_eq!(stored.starts_with("claiflow.enigma:1:k1:"), enigma.is_on());
            prop_assert_eq!(enigma.open(place, stored).unwrap(), text.clone());
        }
    }

    #[test]
    fn a_text_that_looks_like_an_envelope_is_given_back_as_it_is(tail in ".*") {
        let text = format!("claiflow.enigma:{tail}");
        for enigma in [Enigma::off(), ring(vec![key("k1", 1)])] {
            let stored = enigma.seal(HERE, &text).unwrap();
            prop_assert_eq!(enigma.open(HERE, stored).unwrap(), text.clone());
        }
    }

    #[test]
    fn no_stored_text_whatever_it_is_ends_a_server(stored in "(claiflow\\.enigma:)?([01]:)?(k1:)?[A-Za-z0-9+/]{0,80}.{0,3}") {
        let _ = ring(vec![key("k1", 1)]).open(HERE, stored);
    }

    #[test]
    fn one_changed_character_is_noticed(at in 0_usize..100, with in "[A-Za-z0-9+/]") {
        let enigma = ring(vec![key("k1", 1)]);
        let sealed = enigma.seal(HERE, "a secret of some length").unwrap();
        let at = "claiflow.enigma:1:k1:".len() + at % (sealed.len() - "claiflow.enigma:1:k1:".len());
        let mut changed = sealed.clone();
        changed.replace_range(at..=at, &with);
        prop_assume!(changed != sealed);
        prop_assert!(enigma.open(HERE, changed).is_err());
    }
}

#[test]
fn a_value_opens_in_its_own_place_only() {
    let enigma = ring(vec![key("k1", 1)]);
    let sealed = enigma.seal(HERE, "secret").unwrap();
    for elsewhere in [
        Place { table: "step", ..HERE },
        Place { column: "result", ..HERE },
        Place { row: b"b", ..HERE },
        Place { row: b"", ..HERE },
    ] {
        let error = enigma.open(elsewhere, sealed.clone()).unwrap_err();
        assert!(matches!(error, Error::Broken { .. }), "{elsewhere:?}: {error}");
    }
    assert_ne!(row("ab").number(1), row("a").number(1));
}

#[test]
fn the_first_key_seals_and_all_open_and_a_missing_one_is_named() {
    let (old, new) = (ring(vec![key("old", 1)]), ring(vec![key("new", 2), key("old", 1)]));
    let sealed = old.seal(HERE, "secret").unwrap();
    assert_eq!(new.open(HERE, sealed.clone()).unwrap(), "secret");
    assert!(new.seal(HERE, "secret").unwrap().starts_with(&Enigma::prefix_of("new")));
    let error = ring(vec![key("new", 2)]).open(HERE, sealed.clone()).unwrap_err();
    assert_eq!(error, Error::MissingKey { key: "old".into(), column: "task.inputs".into() });
    assert!(error.to_string().contains("`old`") && error.to_string().contains("enigma.keys"), "{error}");
    let other = ring(vec![key("old", 9)]).open(HERE, sealed).unwrap_err();
    assert!(matches!(other, Error::Broken { .. }), "{other}");
    assert_ne!(key("old", 1).proof(), key("old", 9).proof());
}

#[test]
fn the_same_text_is_sealed_differently_each_time_and_found_by_the_same_digits() {
    let enigma = ring(vec![key("new", 2), key("old", 1)]);
    assert_ne!(enigma.seal(HERE, "x").unwrap(), enigma.seal(HERE, "x").unwrap());
    let macs = enigma.macs("cluster_token", "x");
    assert_eq!(macs.first(), enigma.mac("cluster_token", "x").as_ref());
    assert!(macs.len() == 2 && macs.iter().all(|mac| mac.len() == 64), "{macs:?}");
    assert_ne!(macs, enigma.macs("cluster_token", "y"));
    assert_ne!(macs, enigma.macs("webhook", "x"));
}

#[test]
fn keys_are_refused_with_what_would_be_right_and_never_shown() {
    let secret = b"a-very-secret-key-of-33-bytes-abc";
    let refused = Key::new("k1", Zeroizing::new(secret.to_vec())).unwrap_err();
    assert!(refused.contains("33 bytes") && refused.contains("openssl rand"), "{refused}");
    for id in ["", "K1", "a:b", "a b", "ä", &"a".repeat(33), "a_b", "a%"] {
        assert!(Key::new(id, Zeroizing::new(vec![0; 32])).unwrap_err().contains("`id`"), "{id}");
    }
    let shown = format!("{:?} {:?}", key("k1", b'Z'), ring(vec![key("k1", b'Z')]));
    assert!(shown.contains("k1") && !shown.contains("ZZ") && !shown.contains("90, 90"), "{shown}");
    assert_eq!(
        Enigma::new(vec![key("k1", 1), key("k1", 2)], Arc::new(Source)).unwrap_err(),
        Error::TwoKeys("k1".into())
    );
}
