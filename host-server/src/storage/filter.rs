//! A filter as SQL: which text a column is, how an engine compares, and nothing of a caller's text but values.
//!
//! Both engines give the same rows. Texts are compared by their folded characters, in the order of the characters' numbers, and
//! nothing is padded: on MariaDB by a collation of that kind over `LOWER`, on SQLite by a collation of our own.

use std::cmp::Ordering;

use super::sql::{Dialect, Sql};
use crate::model::{
    query::{Column, Comparison, Filter, Kind, Order, Pattern, Piece, Resource, Test, Value, fold, forms},
    variables::SECRET,
};

/// SQLite's collation, see [`collate`].
pub(super) const COLLATION: &str = "claiflow_fold";
/// MariaDB's.
const BINARY: &str = "COLLATE utf8mb4_nopad_bin";

/// Two texts without case.
pub(super) fn collate(one: &str, other: &str) -> Ordering {
    one.chars().map(fold).cmp(other.chars().map(fold))
}

/// What a column is in SQL. Tasks are `t`, their clusters `c`, what they run `s`. COALESCE keeps MariaDB from beginning a list of
/// tasks at the joined table, which would sort them all.
fn expression(column: &Column, dialect: Dialect) -> String {
    let name = match (column.resource, column.name) {
        (Resource::Service, "pdate") => "(t.created - t.created % 86400000000)",
        (Resource::Service, "cluster_uuid") => "COALESCE(c.uuid, '')",
        (Resource::Service, "template_uuid") => "COALESCE(s.template_uuid, '')",
        (Resource::Service, "flow") => "COALESCE(s.flow, '')",
        (Resource::Service, "step_max") => "COALESCE(s.step_max, 0)",
        (Resource::Service, "subscribed_channel") => "t.channel",
        (Resource::Service, name) => return format!("t.{name}"),
        // Nobody keeps a session's token, so nothing equals it.
        (Resource::Session, "token") => "NULL",
        (Resource::Session, "cluster_client_token_uuid") => "token_uuid",
        (_, "issued_at_time") => "issued_at",
        (_, "expiration_time") => "expires_at",
        (Resource::GlobalVariables, "value") => {
            // Nothing is told of the secret with which sessions are signed, not even by a comparison.
            return format!("CASE WHEN LOWER(name) = LOWER('{}') THEN NULL ELSE value END", SECRET.name);
        }
        (Resource::Template, "created" | "updated") => {
            let name = column.name;
            return match dialect {
                Dialect::Maria => format!("TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', {name})"),
                Dialect::Sqlite => format!("(unixepoch({name}) * 1000000)"),
            };
        }
        (_, name) => name,
    };
    name.to_owned()
}

const fn is_text(kind: Kind) -> bool {
    !matches!(kind, Kind::Number | Kind::Time)
}

/// A column's value as it is compared: folded where it is text.
fn folded(column: &Column, dialect: Dialect) -> String {
    let expression = expression(column, dialect);
    match (is_text(column.kind), dialect) {
        (false, _) => expression,
        // CONVERT: uuids stand in columns of ASCII.
        (true, Dialect::Maria) => format!("LOWER(CONVERT({expression} USING utf8mb4) {BINARY})"),
        (true, Dialect::Sqlite) => format!("({expression} COLLATE {COLLATION})"),
    }
}

impl Sql {
    /// ` AND` and what must hold, where anything must.
    pub(super) fn and(&mut self, filter: &Filter) -> &mut Self {
        if *filter != Filter::default() {
            self.push(" AND ");
            self.filter(filter);
        }
        self
    }

    fn filter(&mut self, filter: &Filter) {
        match filter {
            Filter::All(parts) => self.joined(parts, " AND ", "1 = 1"),
            Filter::Any(parts) => self.joined(parts, " OR ", "1 = 0"),
            Filter::Not(part) => {
                self.push("NOT (");
                self.filter(part);
                self.push(")");
            }
            Filter::Is(column, test) => self.test(column, test),
        }
    }

    fn joined(&mut self, parts: &[Filter], word: &str, none: &str) {
        self.push("(");
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.push(word);
            }
            self.filter(part);
        }
        self.push(if parts.is_empty() { none } else { "" }).push(")");
    }

    fn test(&mut self, column: &Column, test: &Test) {
        match test {
            Test::Compare(comparison, value) => self.compare(column, *comparison, value),
            Test::Null => drop(self.push(&format!("{} IS NULL", expression(column, self.dialect)))),
            Test::Between(from, to) => {
                self.push("(");
                self.compare(column, Comparison::GreaterOrEqual, from);
                self.push(" AND ");
                self.compare(column, Comparison::LessOrEqual, to);
                self.push(")");
            }
            Test::In(values) if values.is_empty() => drop(self.push("(1 = 0)")),
            Test::In(values) => {
                self.push(&self.equated(column)).push(" IN (");
                for (index, value) in values.iter().enumerate() {
                    self.push(if index > 0 { ", " } else { "" });
                    self.value(column, value, true);
                }
                self.push(")");
            }
            Test::Like(pattern) => self.like(column, pattern),
        }
    }

    fn compare(&mut self, column: &Column, comparison: Comparison, value: &Value) {
        let (sign, is_equality) = match comparison {
            Comparison::Equal => (" = ", true),
            Comparison::Greater => (" > ", false),
            Comparison::Less => (" < ", false),
            Comparison::GreaterOrEqual => (" >= ", false),
            Comparison::LessOrEqual => (" <= ", false),
        };
        let side = if is_equality { self.equated(column) } else { folded(column, self.dialect) };
        self.push(&side).push(sign);
        self.value(column, value, is_equality);
    }

    /// A column as it is compared for equality. MariaDB compares uuids without case by itself, and finds them by their index.
    fn equated(&self, column: &Column) -> String {
        match (column.kind, self.dialect) {
            (Kind::Uuid | Kind::Name, Dialect::Maria) => expression(column, self.dialect),
            (Kind::Secret, Dialect::Maria) => format!("{} {BINARY}", expression(column, self.dialect)),
            (Kind::Secret, Dialect::Sqlite) => expression(column, self.dialect),
            _ => folded(column, self.dialect),
        }
    }

    fn value(&mut self, column: &Column, value: &Value, is_equality: bool) {
        match value {
            Value::Integer(integer) => drop(self.bind(*integer)),
            Value::Text(text) => {
                let plain = is_equality && matches!(column.kind, Kind::Uuid | Kind::Name | Kind::Secret);
                if self.dialect == Dialect::Maria && !plain {
                    self.lowered(text.clone());
                } else {
                    self.bind(text.clone());
                }
            }
        }
    }

    /// A text as [`folded`] has a column's, on MariaDB. Which letters have case is the collation's matter.
    fn lowered(&mut self, text: String) {
        self.push("LOWER(CONVERT(").bind(text).push(" USING utf8mb4) ").push(BINARY).push(")");
    }

    fn like(&mut self, column: &Column, pattern: &Pattern) {
        match self.dialect {
            Dialect::Maria => {
                let side = folded(column, self.dialect);
                self.push(&side).push(" LIKE ");
                self.lowered(like(pattern));
                self.push(" ESCAPE '\\\\'");
            }
            // SQLite's LIKE knows the case of ASCII letters alone. GLOB knows none, so each letter is given in all its forms.
            Dialect::Sqlite => {
                let side = expression(column, self.dialect);
                self.push(&side).push(" GLOB ").bind(glob(pattern));
            }
        }
    }

    /// The columns of an order, selected under names of their own: `o0`, `o1`, ….
    pub(super) fn ordering(&mut self, orders: &[Order]) -> &mut Self {
        for (index, order) in orders.iter().enumerate() {
            let side = folded(order.column, self.dialect);
            self.push(&format!(", {side} AS o{index}"));
        }
        self
    }

    /// What [`Self::ordering`] selected, as it is ordered by.
    pub(super) fn ordered(&self, column: &Column, index: usize) -> String {
        match (is_text(column.kind), self.dialect) {
            // A name that a SELECT gives does not take the collation with it.
            (true, Dialect::Sqlite) => format!("o{index} COLLATE {COLLATION}"),
            _ => format!("o{index}"),
        }
    }

    /// ` ORDER BY`: the orders, then the key.
    pub(super) fn order(&mut self, orders: &[Order], key: &str, is_descending: bool) -> &mut Self {
        self.push(" ORDER BY ");
        for order in orders {
            let side = folded(order.column, self.dialect);
            self.push(&side).push(if order.descending { " DESC, " } else { ", " });
        }
        self.push(key).push(if is_descending { " DESC" } else { "" })
    }
}

fn like(pattern: &Pattern) -> String {
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

fn glob(pattern: &Pattern) -> String {
    let mut text = String::new();
    for piece in &pattern.0 {
        match piece {
            Piece::Any => text.push('*'),
            Piece::One => text.push('?'),
            Piece::Char(c @ ('*' | '?' | '[')) => text.extend(['[', *c, ']']),
            Piece::Char(c) => match forms(*c).as_slice() {
                [_] => text.push(*c),
                forms => {
                    text.push('[');
                    text.extend(forms);
                    text.push(']');
                }
            },
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Dialect, collate, expression, glob, like};
    use crate::model::query::{Pattern, Resource};

    #[test]
    fn each_column_has_an_expression_of_fixed_words() {
        for column in Resource::ALL.into_iter().flat_map(Resource::columns) {
            for dialect in [Dialect::Maria, Dialect::Sqlite] {
                assert!(!expression(column, dialect).contains(['"', ';', '?']), "{column:?}");
            }
        }
    }

    #[test]
    fn a_pattern_is_given_to_each_engine_in_its_words() {
        for (text, maria, sqlite) in [
            ("x%", "x%", "[xX]*"),
            ("%%_", "%_", "*?"),
            (r"50\%\_\\", r"50\%\_\\", r"50%_\"),
            (r"a\b\", r"a\\b\\", r"[aA]\[bB]\"),
            ("[*?]", "[*?]", "[[][*][?]]"),
        ] {
            let pattern = Pattern::read(text);
            assert_eq!((like(&pattern).as_str(), glob(&pattern).as_str()), (maria, sqlite), "{text}");
        }
    }

    #[test]
    fn texts_compare_without_case() {
        assert!(collate("ÄÖ a", "äö A").is_eq() && collate("a", "B").is_lt() && collate("a", "a ").is_lt());
    }
}
