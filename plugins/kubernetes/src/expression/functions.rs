//! The functions beside those of jaq's core: what conditions are made of. Regular expressions, times, mathematics and
//! formats are left out, and whatever speaks with the world.

use std::rc::Rc;

use jaq_core::{
    Cv, DataT, Error, RunPtr, ValR,
    native::{Filter, Fun, bome, run, unary, v},
};

use super::value::Val;

/// Those that are written in jq.
pub(super) const DEFINITIONS: &str = r#"
def null: [][0];
def isboolean: . == true or . == false;
def isnumber: . > true and . < "";
def isstring: . >= "" and . < [];
def isarray: . >= [] and . < {};
def isobject: . >= {};
def type:
  if . == null then "null" elif isboolean then "boolean" elif isnumber then "number"
  elif isstring then "string" elif isarray then "array" else "object" end;
def values: select(. != null);
def nulls: select(. == null);
def booleans: select(isboolean);
def numbers: select(isnumber);
def strings: select(isstring);
def arrays: select(isarray);
def objects: select(isobject);
def iterables: select(. >= []);
def scalars: select(. < []);
def add(f): reduce f as $x (null; . + $x);
def add: add(.[]);
def abs: if . < 0 then - . else . end;
def keys: keys_unsorted | sort;
def sort_by(f): [.[] | [[f], .]] | sort | [.[][1]];
def group_by(f): reduce ([.[] | [[f], .]] | sort)[] as [$k, $x] ([]; if length > 0 and .[-1][0] == $k then .[:-1] + [[$k, .[-1][1] + [$x]]] else . + [[$k, [$x]]] end) | [.[][1]];
def unique_by(f): [group_by(f)[] | .[0]];
def unique: unique_by(.);
def min_by(f): sort_by(f) | .[0];
def max_by(f): sort_by(f) | .[-1];
def min: min_by(.);
def max: max_by(.);
def flatten: [recurse(arrays[]) | select(isarray | not)];
def split($separator): . / $separator;
def join($separator): reduce .[] as $x (null; (if . == null then "" else . + $separator end) + ($x | tostring)) // "";
def in(xs): . as $x | xs | has($x);
def inside(xs): . as $x | xs | contains($x);
"#;

/// Those that are written in Rust.
pub(super) fn functions<D: for<'a> DataT<V<'a> = Val>>() -> impl Iterator<Item = Fun<D>> {
    table().into_vec().into_iter().map(run)
}

fn table<D: for<'a> DataT<V<'a> = Val>>() -> Box<[Filter<RunPtr<D>>]> {
    Box::new([
        ("length", v(0), |cv| bome(length(&cv.1))),
        ("tonumber", v(0), |cv| bome(number(cv.1))),
        ("floor", v(0), |cv| bome(cv.1.number().map(|number| Val::Number(number.floor())))),
        ("round", v(0), |cv| bome(cv.1.number().map(|number| Val::Number(number.round())))),
        ("ceil", v(0), |cv| bome(cv.1.number().map(|number| Val::Number(number.ceil())))),
        ("ascii_downcase", v(0), |cv| bome(cv.1.text().map(|text| text.to_ascii_lowercase().into()))),
        ("ascii_upcase", v(0), |cv| bome(cv.1.text().map(|text| text.to_ascii_uppercase().into()))),
        ("trim", v(0), |cv| bome(cv.1.text().map(|text| text.trim().to_owned().into()))),
        ("sort", v(0), |cv| bome(sorted(&cv.1))),
        ("reverse", v(0), |cv| bome(cv.1.items().map(|items| items.iter().rev().cloned().collect()))),
        ("tojson", v(0), |cv| bome(Ok(cv.1.to_string().into()))),
        ("contains", v(1), |cv| unary(cv, |whole, part| Ok(contains(&whole, &part).into()))),
        ("has", v(1), |cv| unary(cv, |whole, key| has(&whole, &key))),
        ("index", v(1), |cv| unary(cv, |whole, part| index(&whole, &part))),
        ("startswith", v(1), |cv| of_texts(cv, |text, part| text.starts_with(part).into())),
        ("endswith", v(1), |cv| of_texts(cv, |text, part| text.ends_with(part).into())),
        ("ltrimstr", v(1), |cv| of_texts(cv, |text, part| text.strip_prefix(part).unwrap_or(text).to_owned().into())),
        ("rtrimstr", v(1), |cv| of_texts(cv, |text, part| text.strip_suffix(part).unwrap_or(text).to_owned().into())),
    ])
}

fn of_texts<'a, D: DataT<V<'a> = Val>>(cv: Cv<'a, D>, f: fn(&str, &str) -> Val) -> jaq_core::ValXs<'a, Val> {
    unary(cv, move |text, part| Ok(f(text.text()?, part.text()?)))
}

fn length(value: &Val) -> ValR<Val> {
    let length = match value {
        Val::Null => 0,
        Val::Text(text) => text.chars().count(),
        Val::List(items) => items.len(),
        Val::Map(map) => map.len(),
        Val::Number(number) => return Ok(Val::Number(number.abs())),
        Val::Bool(_) => return Err(Error::str("a boolean has no length")),
    };
    Ok(Val::Number(length as f64))
}

fn number(value: Val) -> ValR<Val> {
    match &value {
        Val::Number(_) => Ok(value),
        Val::Text(text) => text.parse().map(Val::Number).map_err(|_| Error::str(format!("{value} is no number"))),
        _ => Err(Error::typ(value, "number")),
    }
}

fn sorted(value: &Val) -> ValR<Val> {
    let mut items = Vec::clone(value.items()?);
    items.sort_by(Val::order);
    Ok(Val::list(items))
}

fn contains(whole: &Val, part: &Val) -> bool {
    match (whole, part) {
        (Val::Text(whole), Val::Text(part)) => whole.contains(&**part),
        (Val::List(whole), Val::List(part)) => part.iter().all(|part| whole.iter().any(|it| contains(it, part))),
        (Val::Map(whole), Val::Map(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|it| contains(it, part)))
        }
        _ => whole == part,
    }
}

fn has(whole: &Val, key: &Val) -> ValR<Val> {
    match (whole, key) {
        (Val::Map(map), Val::Text(key)) => Ok(map.contains_key(key).into()),
        (Val::List(items), Val::Number(place)) => Ok((*place >= 0.0 && *place < items.len() as f64).into()),
        _ => Err(Error::index(whole.clone(), key.clone())),
    }
}

/// Where a part begins first, or null.
fn index(whole: &Val, part: &Val) -> ValR<Val> {
    let place = match (whole, part) {
        (Val::Null, _) => None,
        (Val::Text(text), Val::Text(part)) => text.split_once(&**part).map(|(before, _)| before.chars().count()),
        (Val::List(items), Val::List(part)) => {
            let part: &Rc<Vec<Val>> = part;
            items.windows(part.len().max(1)).position(|window| window == part.as_slice())
        }
        (Val::List(items), part) => items.iter().position(|item| item == part),
        _ => return Err(Error::index(whole.clone(), part.clone())),
    };
    Ok(place.map_or(Val::Null, |place| Val::Number(place as f64)))
}
