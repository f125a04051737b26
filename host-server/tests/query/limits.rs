//! What is too large is refused before anything is made of it.

use claiflow_server::model::query::{self, DEPTH, PARTS, QUERY_BYTES, Resource};

fn refused(text: &str) -> String {
    query::parse(Resource::Cluster, text).expect_err("it is too large").to_string()
}

#[test]
fn a_query_has_an_end() {
    assert!(refused(&format!("(EQ name \"{}\")", "a".repeat(QUERY_BYTES))).contains("16384"));
    assert!(refused(&"(".repeat(QUERY_BYTES + 1)).contains("16384"));
}

#[test]
fn operators_inside_each_other_have_a_limit_in_both_notations() {
    let deep = |open: &str, close: &str, inner: &str, depth: usize| {
        format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
    };
    for (open, close, inner) in [
        ("(NOT ", ")", "(EQ id 1)"),
        ("{\"NOT\":", "}", "{\"EQ\":{\"id\":1}}"),
        ("{\"AND\":[", "]}", "{\"EQ\":{\"id\":1}}"),
    ] {
        query::parse(Resource::Cluster, &deep(open, close, inner, DEPTH - 1)).unwrap();
        assert!(refused(&deep(open, close, inner, DEPTH)).contains("inside each other"));
        assert!(refused(&deep(open, close, inner, 1_500)).contains("inside each other"));
    }
    // What never was an operator: brackets of any kind.
    for bracket in [
        "(",
        "[",
        "{",
        "'(",
        "{\"AND\":",
        "{\"AND\":[",
        "(AND",
        "(AND '(",
        "{\"IN\":{\"name\":[",
        "{\"ISNULL\":{\"name\":[",
        ")",
    ] {
        for text in [
            bracket.repeat(1_500),
            format!("(EQ name a){}", bracket.repeat(1_500)),
            format!("{{\"IN\":{{\"name\":{}", bracket.repeat(1_000)),
        ] {
            refused(&text);
        }
    }
    assert!(refused(&format!("{{\"ISNULL\":{{\"name\":{}", "[".repeat(1_500))).contains("too deep"));
}

#[test]
fn operators_and_values_together_have_a_limit_in_both_notations() {
    let values = |count: usize, with: &str| vec!["1"; count].join(with);
    query::parse(Resource::Cluster, &format!("(IN id {})", values(PARTS - 1, " "))).unwrap();
    assert!(refused(&format!("(IN id {})", values(PARTS, " "))).contains("1024"));
    query::parse(Resource::Cluster, &format!("{{\"IN\":{{\"id\":[{}]}}}}", values(PARTS - 1, ","))).unwrap();
    assert!(refused(&format!("{{\"IN\":{{\"id\":[{}]}}}}", values(PARTS, ","))).contains("1024"));
    assert!(refused(&format!("(OR {})", "()".repeat(PARTS))).contains("1024"));
    assert!(refused(&format!("{{\"OR\":[{}]}}", vec!["{}"; PARTS].join(","))).contains("1024"));
}

#[test]
fn a_pattern_an_order_and_a_page_have_limits() {
    assert!(refused(&format!("(LIKE name \"{}\")", "_".repeat(1_025))).contains("1024 characters"));
    let many = format!("{{\"ASC\":[{}]}}", vec!["\"name\""; 200].join(","));
    assert!(query::order(Resource::Cluster, &many).unwrap_err().message.contains("1024"));
    let page = |limit: i64, page: i64| query::Paging { limit: Some(limit), page }.offset(20);
    assert_eq!(page(100, 100), Ok(9_900));
    for (limit, number) in [(100, 101), (10_000, 2), (1, 10_001)] {
        assert!(page(limit, number).unwrap_err().contains("10000"));
    }
}
