//! A value of the flow's text, with its references read: what a step's inputs are built from.

use std::collections::HashMap;

use serde_json::Value;

use crate::{reference::Reference, scope::Scope};

#[derive(Debug)]
pub(crate) enum Template {
    Literal(Value),
    Reference { reference: Reference, pointer: String },
    Array(Vec<Template>),
    Object(Vec<(String, Template)>),
}

/// A reference without a value.
pub(crate) struct NotFound {
    /// Where it stands.
    pub(crate) pointer: String,
    pub(crate) message: String,
}

impl Template {
    /// An array; one without references is a literal.
    pub(crate) fn array(list: Vec<Self>) -> Self {
        if !list.iter().all(|item| matches!(item, Self::Literal(_))) {
            return Self::Array(list);
        }
        Self::Literal(Value::Array(list.into_iter().filter_map(Self::into_literal).collect()))
    }

    /// An object; one without references is a literal.
    pub(crate) fn object(members: Vec<(String, Self)>) -> Self {
        if !members.iter().all(|(_, item)| matches!(item, Self::Literal(_))) {
            return Self::Object(members);
        }
        let literals = members.into_iter().filter_map(|(key, item)| Some((key, item.into_literal()?)));
        Self::Literal(Value::Object(literals.collect()))
    }

    fn into_literal(self) -> Option<Value> {
        match self {
            Self::Literal(value) => Some(value),
            Self::Reference { .. } | Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// Visits every reference with its pointer, in the order of the text.
    pub(crate) fn references<'a>(&'a self, visit: &mut dyn FnMut(&'a Reference, &'a str)) {
        match self {
            Self::Literal(_) => {}
            Self::Reference { reference, pointer } => visit(reference, pointer),
            Self::Array(list) => list.iter().for_each(|item| item.references(visit)),
            Self::Object(members) => members.iter().for_each(|(_, item)| item.references(visit)),
        }
    }

    /// The value, with what programs gave in `answers`, by pointer.
    pub(crate) fn build(&self, scope: &Scope<'_>, answers: &HashMap<String, Value>) -> Result<Value, NotFound> {
        let found = |value: Option<Value>, pointer: &str, source: &str| {
            value.ok_or_else(|| NotFound { pointer: pointer.to_owned(), message: format!("not found: {source}") })
        };
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Reference { reference: Reference::Plain(plain), pointer } => {
                found(scope.plain(plain), pointer, &plain.text)?
            }
            Self::Reference { reference: Reference::Program(program), pointer } => {
                found(answers.get(pointer).cloned(), pointer, &program.source)?
            }
            Self::Array(list) => {
                Value::Array(list.iter().map(|item| item.build(scope, answers)).collect::<Result<_, _>>()?)
            }
            Self::Object(members) => {
                let members = members.iter().map(|(key, item)| Ok((key.clone(), item.build(scope, answers)?)));
                Value::Object(members.collect::<Result<_, NotFound>>()?)
            }
        })
    }
}
