//! What a filter says about an index: equalities and bounds that hold for every row that it shows.

use super::{Comparison, Filter, Test, Value};

/// A day, microseconds.
const DAY_US: i64 = 24 * 3_600_000_000;

/// Between which times the rows of a filter were created, both included, microseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// None is the beginning.
    pub from: Option<i64>,
    /// None is the end.
    pub to: Option<i64>,
}

impl Bounds {
    fn at_least(&mut self, us: i64) {
        self.from = Some(self.from.map_or(us, |from| from.max(us)));
    }

    fn at_most(&mut self, us: i64) {
        self.to = Some(self.to.map_or(us, |to| to.min(us)));
    }

    /// `width_us`: how much later than the compared value the row may have been created.
    fn narrow(&mut self, test: &Test, width_us: i64) -> bool {
        match test {
            Test::Compare(comparison, Value::Integer(us)) => {
                use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
                if matches!(comparison, Equal | Greater | GreaterOrEqual) {
                    self.at_least(*us);
                }
                if matches!(comparison, Equal | Less | LessOrEqual) {
                    self.at_most(us.saturating_add(width_us));
                }
                true
            }
            Test::Between(Value::Integer(from), Value::Integer(to)) => {
                self.at_least(*from);
                self.at_most(to.saturating_add(width_us));
                true
            }
            _ => false,
        }
    }
}

impl Filter {
    /// The parts that all hold for every row.
    #[must_use]
    pub fn parts(&self) -> Vec<&Self> {
        match self {
            Self::All(parts) => parts.iter().flat_map(Self::parts).collect(),
            other => vec![other],
        }
    }

    /// The text that a column equals in every row.
    #[must_use]
    pub fn equal(&self, name: &str) -> Option<&str> {
        self.parts().into_iter().find_map(|part| match part {
            Self::Is(column, Test::Compare(Comparison::Equal, Value::Text(text))) if column.name == name => {
                Some(text.as_str())
            }
            Self::Is(column, Test::In(values)) if column.name == name => match values.as_slice() {
                [Value::Text(text)] => Some(text.as_str()),
                _ => None,
            },
            _ => None,
        })
    }

    /// When the rows of a list of tasks were created.
    #[must_use]
    pub fn created(&self) -> Bounds {
        let mut bounds = Bounds::default();
        for part in self.parts() {
            part.narrows(&mut bounds);
        }
        bounds
    }

    fn narrows(&self, bounds: &mut Bounds) -> bool {
        match self {
            Self::Is(column, test) if column.name == "created" => bounds.narrow(test, 0),
            Self::Is(column, test) if column.name == "pdate" => bounds.narrow(test, DAY_US),
            _ => false,
        }
    }

    /// Whether each part is an equality of one of these columns or a bound of the time of creation.
    #[must_use]
    pub fn is_served(&self, columns: &[&str]) -> bool {
        self.parts().into_iter().all(|part| {
            part.narrows(&mut Bounds::default())
                || matches!(part, Self::Is(column, _) if columns.contains(&column.name) && part.equal(column.name).is_some())
        })
    }

    /// The names of the columns that are asked for.
    #[must_use]
    pub fn columns(&self) -> Vec<&'static str> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::columns).collect(),
            Self::Not(part) => part.columns(),
            Self::Is(column, _) => vec![column.name],
        }
    }
}
