//! Random filters over texts that are likely to be confused, and how each notation writes them.

use claiflow_server::model::query::{Column, Comparison, Filter, Kind, Order, Pattern, Resource, Test, Value};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use serde_json::{Value as Json, json};

use crate::reference::written;

/// Texts of rows and of queries.
pub(crate) const TEXTS: [&str; 30] = [
    "",
    " ",
    "a",
    "A",
    "a ",
    "b",
    "ab",
    "aB",
    "a%b",
    "A_b",
    "a\\b",
    "a\\%",
    "[a]*?",
    "^a",
    "ä",
    "Ä",
    "ae",
    "ß",
    "σ",
    "Σ",
    "ж",
    "Ж",
    "日本",
    "😀",
    "10",
    "9",
    "O'Brien",
    "'; DROP TABLE cluster; --",
    "x\" OR 1=1",
    "a\nb",
];
const PATTERNS: [&str; 16] =
    ["%", "", "a%", "%A", "_", "__", "%b%", "a\\%b", "a\\_b", "Ä%", "%σ%", "[a]*?", "%\\", "\\%", "%'%", "%日_"];
/// Numbers of rows and of queries.
pub(crate) const NUMBERS: [i64; 6] = [-100, -1, 0, 1, 5, 100];

fn value(column: &'static Column, times: &[i64], uuids: &[String]) -> BoxedStrategy<Value> {
    match column.kind {
        Kind::Number => prop::sample::select(NUMBERS.to_vec()).prop_map(Value::Integer).boxed(),
        Kind::Time => prop::sample::select(times.to_vec()).prop_map(Value::Integer).boxed(),
        Kind::Uuid | Kind::Name => {
            prop::sample::select(uuids.to_vec()).prop_map(|uuid| Value::Text(column.normal(uuid))).boxed()
        }
        _ => prop::sample::select(TEXTS.to_vec()).prop_map(|text| Value::Text(text.to_owned())).boxed(),
    }
}

fn test(column: &'static Column, times: &[i64], uuids: &[String]) -> BoxedStrategy<Filter> {
    let value = value(column, times, uuids);
    let comparisons = vec![
        Comparison::Equal,
        Comparison::Greater,
        Comparison::Less,
        Comparison::GreaterOrEqual,
        Comparison::LessOrEqual,
    ];
    let compare = (prop::sample::select(comparisons), value.clone())
        .prop_map(|(comparison, value)| Test::Compare(comparison, value))
        .boxed();
    let mut tests = vec![
        compare.clone(),
        compare,
        Just(Test::Null).boxed(),
        prop::collection::vec(value.clone(), 0..4).prop_map(Test::In).boxed(),
        (value.clone(), value).prop_map(|(from, to)| Test::Between(from, to)).boxed(),
    ];
    if !matches!(column.kind, Kind::Number | Kind::Time) {
        let patterns = prop::sample::select(PATTERNS.to_vec());
        tests.push(patterns.prop_map(|text| Test::Like(Pattern::read(text))).boxed());
    }
    prop::strategy::Union::new(tests).prop_map(move |test| Filter::Is(column, test)).boxed()
}

/// Any filter over these columns.
pub(crate) fn filter(resource: Resource, names: &[&str], times: &[i64], uuids: &[String]) -> BoxedStrategy<Filter> {
    let columns = names.iter().map(|name| test(resource.column(name).unwrap(), times, uuids));
    let leaf = prop::strategy::Union::new(columns.collect::<Vec<_>>());
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::All),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::Any),
            inner.prop_map(|part| Filter::Not(Box::new(part))),
        ]
    })
    .boxed()
}

/// Any order by these columns.
pub(crate) fn order(resource: Resource, names: &[&str]) -> BoxedStrategy<Vec<Order>> {
    let columns: Vec<_> = names.iter().map(|name| resource.column(name).unwrap()).collect();
    let one =
        (prop::sample::select(columns), any::<bool>()).prop_map(|(column, descending)| Order { column, descending });
    prop::collection::vec(one, 0..3)
        .prop_map(|orders| {
            let mut unique: Vec<Order> = Vec::new();
            for order in orders {
                if unique.iter().all(|earlier| earlier.column != order.column) {
                    unique.push(order);
                }
            }
            unique
        })
        .boxed()
}

/// The same filters over columns, each with an order, in each run.
pub(crate) fn some(
    count: usize,
    filters: &BoxedStrategy<Filter>,
    orders: &BoxedStrategy<Vec<Order>>,
) -> Vec<(Filter, Vec<Order>)> {
    let mut runner = TestRunner::deterministic();
    let both = (filters.clone(), orders.clone());
    (0..count).map(|_| both.new_tree(&mut runner).unwrap().current()).collect()
}

fn word(test: &Test) -> &'static str {
    match test {
        Test::Compare(Comparison::Equal, _) => "eQ",
        Test::Compare(Comparison::Greater, _) => "GT",
        Test::Compare(Comparison::Less, _) => "lt",
        Test::Compare(Comparison::GreaterOrEqual, _) => "GE",
        Test::Compare(Comparison::LessOrEqual, _) => "lte",
        Test::Like(_) => "like",
        Test::Null => "isNull",
        Test::In(_) => "IN",
        Test::Between(..) => "BETWEEN",
    }
}

fn time(us: i64) -> String {
    claiflow_server::model::ids::time(us).to_rfc3339()
}

fn values(column: &Column, test: &Test) -> Vec<Json> {
    let one = |value: &Value| match value {
        Value::Text(text) => json!(text),
        Value::Integer(us) if column.kind == Kind::Time => json!(time(*us)),
        Value::Integer(number) => json!(number),
    };
    match test {
        Test::Compare(_, value) => vec![one(value)],
        Test::Like(pattern) => vec![json!(written(pattern))],
        Test::Null => vec![],
        Test::In(values) => values.iter().map(one).collect(),
        Test::Between(from, to) => vec![one(from), one(to)],
    }
}

/// A filter in the JSON notation.
pub(crate) fn in_json(filter: &Filter) -> Json {
    match filter {
        Filter::All(parts) => json!({"AND": parts.iter().map(in_json).collect::<Vec<_>>()}),
        Filter::Any(parts) => json!({"or": parts.iter().map(in_json).collect::<Vec<_>>()}),
        Filter::Not(part) => json!({"Not": in_json(part)}),
        Filter::Is(column, test) => {
            let values = values(column, test);
            let value = match test {
                Test::Compare(..) | Test::Like(_) => values[0].clone(),
                Test::Null => json!({"any": [1, null]}),
                Test::In(_) | Test::Between(..) => json!(values),
            };
            json!({word(test): {column.name: value}})
        }
    }
}

/// A filter in the notation with parentheses.
pub(crate) fn in_sexpr(filter: &Filter) -> String {
    let joined = |word: &str, parts: &[Filter]| {
        let parts: Vec<_> = parts.iter().map(in_sexpr).collect();
        format!("({word} {})", parts.join(" "))
    };
    match filter {
        Filter::All(parts) => joined("and", parts),
        Filter::Any(parts) => joined("OR", parts),
        Filter::Not(part) => format!("(NOT {})", in_sexpr(part)),
        Filter::Is(column, test) => {
            let values = values(column, test).into_iter().map(|value| match value {
                Json::String(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
                other => other.to_string(),
            });
            let values: Vec<_> = values.collect();
            match test {
                Test::In(_) => format!("({} {} '({}))", word(test), column.name, values.join(" ")),
                _ => format!("({} {} {})", word(test), column.name, values.join("\n")),
            }
        }
    }
}
