//! Many rows in statements that every engine takes.

/// Values of one statement are bounded: 32,766 on SQLite, 65,535 on MariaDB; a row has at most 16.
const ROWS: usize = 1_000;
/// Text of one statement, bytes; MariaDB's default packet holds twice as much. A larger row goes alone.
const BYTES: usize = 8 << 20;

/// Cuts rows into statements; `bytes` says how much text a row brings.
pub(super) fn pieces<T>(mut rows: &[T], bytes: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut sum = 0;
        let fits = |row: &&T| {
            sum += bytes(row);
            sum <= BYTES
        };
        let count = rows.iter().take(ROWS).take_while(fits).count().max(1).min(rows.len());
        let (piece, rest) = rows.split_at_checked(count)?;
        rows = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::{BYTES, ROWS, pieces};

    #[test]
    fn rows_are_cut_by_count_and_by_bytes_and_none_is_lost() {
        for (rows, sizes) in [
            (vec![], vec![]),
            (vec![1; ROWS], vec![ROWS]),
            (vec![1; ROWS + 1], vec![ROWS, 1]),
            (vec![BYTES / 2; 5], vec![2, 2, 1]),
            (vec![BYTES + 1, 1, BYTES + 1, BYTES + 1], vec![1, 1, 1, 1]),
            (vec![BYTES, BYTES], vec![1, 1]),
        ] {
            let cut: Vec<&[usize]> = pieces(&rows, |bytes| *bytes).collect();
            assert_eq!(cut.iter().map(|piece| piece.len()).collect::<Vec<_>>(), sizes);
            assert_eq!(cut.concat(), rows);
        }
    }
}
