//! Where a value stands: it opens nowhere else.

/// The key of a row, as bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row(Vec<u8>);

impl Row {
    /// With a part of fixed length, or with the last but for such parts.
    #[must_use]
    pub fn and(mut self, part: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(part.as_ref());
        self
    }

    /// With a number.
    #[must_use]
    pub fn number(self, number: i64) -> Self {
        self.and(number.to_be_bytes())
    }

    /// As it is bound.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A row whose key is a text.
#[must_use]
pub fn row(key: &str) -> Row {
    Row::default().and(key)
}

/// The row of a task, live or final: a task keeps it when it moves to the history.
#[must_use]
pub fn task_row(id: &[u8], cluster: i64) -> [u8; 24] {
    let mut bytes = [0; 24];
    let (head, tail) = bytes.split_at_mut(16);
    head.iter_mut().zip(id).for_each(|(to, from)| *to = *from);
    tail.copy_from_slice(&cluster.to_be_bytes());
    bytes
}

/// Table, column and row of a value.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Subkeys are made for each.
    pub table: &'static str,
    /// Of the table.
    pub column: &'static str,
    /// See [`Row`] and [`task_row`].
    pub row: &'a [u8],
}

impl Place<'_> {
    /// For messages.
    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.table, self.column)
    }

    /// What is authenticated beside the value. No name holds a zero byte.
    pub(super) fn bound_to(&self, key: &str, day: u32) -> Vec<u8> {
        let names = [key, self.table, self.column];
        let mut aad = Vec::with_capacity(names.iter().map(|name| name.len() + 1).sum::<usize>() + 4 + self.row.len());
        for name in names {
            aad.extend_from_slice(name.as_bytes());
            aad.push(0);
        }
        aad.extend_from_slice(&day.to_be_bytes());
        aad.extend_from_slice(self.row);
        aad
    }
}
