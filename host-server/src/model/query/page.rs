//! `o`, in which order rows come, and `p`, which page of them is shown.

use super::{Column, Mistake, Resource, build::wrong, json::Reader, quoted};

/// The text of either at most, bytes.
const BYTES: usize = 1_024;
/// Columns of an order at most.
const COLUMNS: usize = 16;
/// Rows up to the end of a page at most.
const ROWS: i64 = 10_000;

/// A column of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub column: &'static Column,
    /// The largest comes first.
    pub descending: bool,
}

/// A page of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    /// Rows at most, from 1; none is the list's own default.
    pub limit: Option<i64>,
    /// From 1.
    pub page: i64,
}

impl Paging {
    /// Rows before the page, where a page has `default` rows unless it says otherwise.
    ///
    /// # Errors
    /// A sentence when the page ends too far from the first row.
    pub fn offset(self, default: i64) -> Result<i64, String> {
        let limit = self.limit.unwrap_or(default);
        match self.page.checked_mul(limit) {
            Some(end) if end <= ROWS => Ok(end - limit),
            _ => Err(format!(
                "`page` times `limit` is at most {ROWS}; filters, or `cursor` from the header `Link`, lead further"
            )),
        }
    }
}

/// Reads `o`: `{"DESC":["a","b"]}`, or an array of such. The direction holds for each of its columns.
///
/// # Errors
/// [`Mistake`].
pub fn order(resource: Resource, text: &str) -> Result<Vec<Order>, Mistake> {
    let mut reader = short(text)?;
    let mut orders = Vec::new();
    if reader.take('[') {
        if !reader.take(']') {
            loop {
                direction(resource, &mut reader, &mut orders)?;
                if !reader.take(',') {
                    break;
                }
            }
            reader.expect(']', "`,` or `]`")?;
        }
    } else {
        direction(resource, &mut reader, &mut orders)?;
    }
    reader.end()?;
    Ok(orders)
}

fn direction(resource: Resource, reader: &mut Reader<'_>, orders: &mut Vec<Order>) -> Result<(), Mistake> {
    reader.expect('{', "an order such as `{\"DESC\":[\"created\"]}`")?;
    if reader.take('}') {
        return Ok(());
    }
    let (at, word) = (reader.next_at(), reader.text("ASC or DESC")?);
    let descending = match word.to_ascii_uppercase().as_str() {
        "ASC" => false,
        "DESC" => true,
        _ => return wrong(at, format!("a direction is ASC or DESC, not {}", quoted(&word))),
    };
    reader.expect(':', "`:` behind the direction")?;
    if reader.take('[') {
        if !reader.take(']') {
            loop {
                column(resource, reader, descending, orders)?;
                if !reader.take(',') {
                    break;
                }
            }
            reader.expect(']', "`,` or `]`")?;
        }
    } else {
        column(resource, reader, descending, orders)?;
    }
    if reader.take(',') {
        return wrong(reader.at(), "one object has one direction; put several into an array");
    }
    reader.expect('}', "`}` behind the columns")
}

fn column(
    resource: Resource,
    reader: &mut Reader<'_>,
    descending: bool,
    orders: &mut Vec<Order>,
) -> Result<(), Mistake> {
    let (at, name) = (reader.next_at(), reader.text("a column's name")?);
    let column = resource.known(&name).map_err(|message| Mistake { at, message })?;
    if !column.is_ordered() {
        return wrong(at, format!("a list cannot be ordered by `{}`", column.name));
    }
    if orders.len() >= COLUMNS {
        return wrong(at, format!("an order has at most {COLUMNS} columns"));
    }
    // What comes first decides; the same column again decides nothing.
    if orders.iter().all(|earlier| earlier.column != column) {
        orders.push(Order { column, descending });
    }
    Ok(())
}

/// Reads `p`: `{"limit":10,"page":2}`, numbers or texts of digits.
///
/// # Errors
/// [`Mistake`].
pub fn paging(text: &str) -> Result<Paging, Mistake> {
    let mut reader = short(text)?;
    let mut paging = Paging { limit: None, page: 1 };
    reader.expect('{', "a page such as `{\"limit\":10,\"page\":2}`")?;
    if !reader.take('}') {
        loop {
            let (at, key) = (reader.next_at(), reader.text("`limit` or `page`")?);
            reader.expect(':', "`:` behind the name")?;
            let (place, digits) = (reader.next_at(), reader.digits()?);
            let number = match digits.trim().parse() {
                Ok(number @ 1..=ROWS) => number,
                _ => {
                    let (key, digits) = (quoted(&key), quoted(&digits));
                    return wrong(place, format!("{key} is a whole number from 1 to {ROWS}, not {digits}"));
                }
            };
            match key.as_str() {
                "limit" => paging.limit = Some(number),
                "page" => paging.page = number,
                _ => return wrong(at, format!("a page has `limit` and `page`, not {}", quoted(&key))),
            }
            if !reader.take(',') {
                break;
            }
        }
        reader.expect('}', "`,` or `}`")?;
    }
    reader.end()?;
    Ok(paging)
}

fn short(text: &str) -> Result<Reader<'_>, Mistake> {
    if text.len() > BYTES {
        return wrong(1, format!("it has {} bytes; at most {BYTES} are read", text.len()));
    }
    Ok(Reader::new(text))
}
