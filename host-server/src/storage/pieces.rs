//! Many rows in statements that every engine takes, of few sizes, so that they stay prepared.

/// Rows of one statement: a power of two. Its values are bounded: 32,766 on SQLite, 65,535 on MariaDB; a row has at most 20.
const ROWS: usize = 1_024;
/// Text of one statement, bytes; MariaDB's default packet holds twice as much. A larger row goes alone.
const BYTES: usize = 8 << 20;

/// Cuts rows into statements whose lengths are powers of two; `bytes` says how much text a row brings.
pub(super) fn pieces<T>(mut rows: &[T], bytes: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut sum = 0;
        let fits = |row: &&T| {
            sum += bytes(row);
            sum <= BYTES
        };
        let count = rows.iter().take(ROWS).take_while(fits).count().max(1).min(rows.len());
        let (piece, rest) = rows.split_at_checked(1 << count.checked_ilog2()?)?;
        rows = rest;
        Some(piece)
    })
}

/// The same values, the last one repeated until their number is a power of two; for lists in which a value may stand twice.
pub(super) fn padded<T: Clone>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    if let Some(last) = values.last().cloned() {
        values.resize(values.len().next_power_of_two(), last);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::{BYTES, ROWS, padded, pieces};

    #[test]
    fn rows_are_cut_into_a_few_sizes_and_by_bytes_and_none_is_lost() {
        for (rows, sizes) in [
            (vec![], vec![]),
            (vec![1; 100], vec![64, 32, 4]),
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

    #[test]
    fn a_padded_list_holds_the_same_values() {
        assert_eq!(padded([1, 2, 3]), [1, 2, 3, 3]);
        assert!(padded(Vec::<u8>::new()).is_empty());
    }
}
