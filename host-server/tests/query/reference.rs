//! The meaning of a filter and of an order, once more and without SQL.

use std::{cmp::Ordering, collections::HashMap};

use claiflow_server::model::query::{Column, Comparison, Filter, Kind, Order, Pattern, Piece, Test, Value, fold};

/// A row's columns; an absent value has none.
pub(crate) type Row = HashMap<&'static str, Value>;

/// True, false, or neither.
pub(crate) fn holds(filter: &Filter, row: &Row) -> Option<bool> {
    match filter {
        Filter::All(parts) => {
            let each: Vec<_> = parts.iter().map(|part| holds(part, row)).collect();
            if each.contains(&Some(false)) {
                Some(false)
            } else {
                each.into_iter().all(|it| it == Some(true)).then_some(true)
            }
        }
        Filter::Any(parts) => {
            let each: Vec<_> = parts.iter().map(|part| holds(part, row)).collect();
            if each.contains(&Some(true)) {
                Some(true)
            } else {
                each.into_iter().all(|it| it == Some(false)).then_some(false)
            }
        }
        Filter::Not(part) => holds(part, row).map(|it| !it),
        Filter::Is(column, test) => asked(column, test, row.get(column.name)),
    }
}

fn asked(column: &Column, test: &Test, value: Option<&Value>) -> Option<bool> {
    match test {
        Test::Null => Some(value.is_none()),
        Test::In(values) if values.is_empty() => Some(false),
        Test::In(values) => {
            let value = value?;
            Some(values.iter().any(|other| order(column, value, other).is_eq()))
        }
        Test::Between(from, to) => {
            let value = value?;
            Some(order(column, value, from).is_ge() && order(column, value, to).is_le())
        }
        Test::Like(pattern) => match value? {
            Value::Text(text) => Some(matches(&text.chars().collect::<Vec<_>>(), &pattern.0)),
            Value::Integer(_) => panic!("LIKE of a number"),
        },
        Test::Compare(comparison, other) => {
            let order = order(column, value?, other);
            Some(match comparison {
                Comparison::Equal => order.is_eq(),
                Comparison::Greater => order.is_gt(),
                Comparison::Less => order.is_lt(),
                Comparison::GreaterOrEqual => order.is_ge(),
                Comparison::LessOrEqual => order.is_le(),
            })
        }
    }
}

fn order(column: &Column, one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Integer(one), Value::Integer(other)) => one.cmp(other),
        (Value::Text(one), Value::Text(other)) if column.kind == Kind::Secret => one.cmp(other),
        (Value::Text(one), Value::Text(other)) => one.chars().map(fold).cmp(other.chars().map(fold)),
        _ => panic!("{column:?} of two types"),
    }
}

fn matches(text: &[char], pattern: &[Piece]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((Piece::Any, rest)) => (0..=text.len()).any(|skip| matches(&text[skip..], rest)),
        Some((Piece::One, rest)) => !text.is_empty() && matches(&text[1..], rest),
        Some((Piece::Char(c), rest)) => {
            text.first().is_some_and(|first| fold(*first) == fold(*c)) && matches(&text[1..], rest)
        }
    }
}

/// Absent values come first.
pub(crate) fn ordered(orders: &[Order], one: &Row, other: &Row) -> Ordering {
    let mut all = orders.iter().map(|by| {
        let ordering = match (one.get(by.column.name), other.get(by.column.name)) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(one), Some(other)) => order(by.column, one, other),
        };
        if by.descending { ordering.reverse() } else { ordering }
    });
    all.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
}

/// A pattern as a caller writes it.
pub(crate) fn written(pattern: &Pattern) -> String {
    let mut text = String::new();
    for piece in &pattern.0 {
        match piece {
            Piece::Any => text.push('%'),
            Piece::One => text.push('_'),
            Piece::Char(c @ ('%' | '_' | '\\')) => text.extend(['\\', *c]),
            Piece::Char(c) => text.push(*c),
        }
    }
    text
}
