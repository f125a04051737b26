//! What a list may ask of sealed columns: nothing, but which token equals one.

use super::{Error, Store};
use crate::model::query::{Column, Comparison, Filter, Kind, Resource, Test, Value};

/// By which a sealed token is found.
static TOKEN_MAC: Column = Column { resource: Resource::ClusterToken, name: "token_mac", kind: Kind::Secret };

impl Store {
    /// A filter as stored rows answer it.
    ///
    /// # Errors
    /// [`Error::Hidden`] where it asks for a column whose values are sealed.
    pub(super) fn on_sealed(&self, filter: &Filter) -> Result<Filter, Error> {
        if !self.enigma.is_on() {
            return Ok(filter.clone());
        }
        let all = |parts: &[Filter]| parts.iter().map(|part| self.on_sealed(part)).collect::<Result<Vec<_>, _>>();
        match filter {
            Filter::All(parts) => Ok(Filter::All(all(parts)?)),
            Filter::Any(parts) => Ok(Filter::Any(all(parts)?)),
            Filter::Not(part) => Ok(Filter::Not(Box::new(self.on_sealed(part)?))),
            Filter::Is(column, test) => match (column.resource, column.name, test) {
                (Resource::Service, "inputs", _) | (Resource::Webhook, "headers", _) => Err(Error::Hidden(column.name)),
                (Resource::ClusterToken, "token", Test::Compare(Comparison::Equal, value)) => {
                    Ok(self.of_token(column, std::slice::from_ref(value)))
                }
                (Resource::ClusterToken, "token", Test::In(values)) => Ok(self.of_token(column, values)),
                _ => Ok(filter.clone()),
            },
        }
    }

    /// Sealed rows are found by their digests; those that are not sealed yet by their text.
    fn of_token(&self, token: &'static Column, values: &[Value]) -> Filter {
        let texts = values.iter().filter_map(|value| if let Value::Text(text) = value { Some(text) } else { None });
        let digests = texts.flat_map(|text| self.token_macs(text)).map(Value::Text).collect();
        let plain = [Filter::Is(&TOKEN_MAC, Test::Null), Filter::Is(token, Test::In(values.to_vec()))];
        Filter::Any(vec![Filter::Is(&TOKEN_MAC, Test::In(digests)), Filter::All(plain.into())])
    }
}
