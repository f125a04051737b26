//! `cases.json`: what queries mean and how wrong ones are answered.

use claiflow_server::model::query::{self, Filter, Resource};
use proptest::prelude::*;
use serde::Deserialize;

use crate::any;

/// Names, and whether the largest comes first.
type Columns = Vec<(String, bool)>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    /// Texts with one meaning.
    same: Vec<(Resource_, Vec<String>)>,
    /// A text, the character of the mistake, and words of the answer.
    refused: Vec<(Resource_, String, usize, Vec<String>)>,
    orders: Vec<(Resource_, String, Columns)>,
    refused_orders: Vec<(Resource_, String, usize, Vec<String>)>,
    pages: Vec<(String, Option<i64>, i64)>,
    refused_pages: Vec<(String, usize, Vec<String>)>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Resource_(String);

impl Resource_ {
    fn get(&self) -> Resource {
        Resource::ALL.into_iter().find(|resource| resource.word() == self.0).expect("a resource's word")
    }
}

fn cases() -> Cases {
    serde_json::from_str(include_str!("cases.json")).unwrap()
}

fn says(mistake: &query::Mistake, at: usize, words: &[String], text: &str) {
    assert_eq!(mistake.at, at, "{text}: {mistake}");
    for word in words {
        assert!(mistake.message.contains(word.as_str()), "{text}: {mistake} does not say {word}");
    }
}

#[test]
fn both_notations_and_every_spelling_mean_the_same() {
    for (resource, texts) in cases().same {
        let read = |text: &String| query::parse(resource.get(), text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let first = read(&texts[0]);
        for text in &texts {
            assert_eq!(read(text), first, "{text}");
        }
    }
}

#[test]
fn a_wrong_query_is_told_where_it_is_wrong_and_what_would_be_right() {
    for (resource, text, at, words) in cases().refused {
        says(&query::parse(resource.get(), &text).expect_err(&text), at, &words, &text);
    }
    for (resource, text, at, words) in cases().refused_orders {
        says(&query::order(resource.get(), &text).expect_err(&text), at, &words, &text);
    }
    for (text, at, words) in cases().refused_pages {
        says(&query::paging(&text).expect_err(&text), at, &words, &text);
    }
}

#[test]
fn orders_and_pages_are_read() {
    for (resource, text, right) in cases().orders {
        let read = query::order(resource.get(), &text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let read: Vec<_> = read.into_iter().map(|order| (order.column.name.to_owned(), order.descending)).collect();
        assert_eq!(read, right, "{text}");
    }
    for (text, limit, page) in cases().pages {
        let read = query::paging(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((read.limit, read.page), (limit, page), "{text}");
    }
}

const NAMES: [&str; 12] = [
    "pdate",
    "cluster_uuid",
    "uuid",
    "name",
    "summary",
    "template_uuid",
    "flow",
    "inputs",
    "step_max",
    "subscribed_channel",
    "priority",
    "created",
];

fn any_filter() -> BoxedStrategy<Filter> {
    let uuids = ["0".repeat(32), "Odd-1".into(), "example_simple".into()];
    any::filter(Resource::Service, &NAMES, &[0, 1_700_000_000_123_456], &uuids)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_in_either_notation_is_read_again(filter in any_filter()) {
        let (json, sexpr) = (any::in_json(&filter).to_string(), any::in_sexpr(&filter));
        prop_assert_eq!(query::parse(Resource::Service, &json), Ok(filter.clone()), "{}", json);
        prop_assert_eq!(query::parse(Resource::Service, &sexpr), Ok(filter), "{}", sexpr);
    }

    #[test]
    fn no_text_makes_the_reader_fail(text in "\\PC{0,60}", resource in prop::sample::select(Resource::ALL.to_vec())) {
        for text in [text.clone(), format!("({text}"), format!("{{{text}"), format!("(EQ name {text}"), format!("{{\"EQ\":{text}")] {
            let _ = query::parse(resource, &text);
            let _ = query::order(resource, &text);
            let _ = query::paging(&text);
        }
    }

    #[test]
    fn a_text_of_the_languages_own_signs_is_read_or_refused_at_a_place_in_it(
        signs in prop::collection::vec(prop::sample::select(vec![
            "(", ")", "'(", "\"", "\\", "{", "}", "[", "]", ":", ",", " ", "AND", "\"AND\"", "NOT", "\"NOT\"", "EQ", "\"EQ\"", "IN",
            "name", "\"name\"", "1", "null", "\u{0}", "é", "\\ud800",
        ]), 0..40),
    ) {
        let text = signs.concat();
        if let Err(mistake) = query::parse(Resource::Cluster, &text) {
            prop_assert!((1..=text.chars().count() + 1).contains(&mistake.at), "{}: {}", text, mistake);
        }
    }
}
