//! Randomness that works in every build, from the node's own generator.

use crate::outside;

/// `N` bytes that nobody can guess.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    for (byte, random) in bytes.iter_mut().zip(outside::random(N)) {
        *byte = random;
    }
    bytes
}

/// A number that nobody can guess.
pub fn number() -> u64 {
    u64::from_le_bytes(bytes())
}
