//! Networks as CIDR text.

use std::{fmt, net::IpAddr};

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`; one address alone is a network of its own.
    ///
    /// # Errors
    /// What is wrong with the text and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (base, prefix) = text.split_once('/').map_or((text, None), |(base, prefix)| (base, Some(prefix)));
        let base: IpAddr = base.parse().map_err(|_| format!("`{text}` is no network; write it as 10.1.0.0/16"))?;
        let bits = width(base);
        let prefix = match prefix {
            None => bits,
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|&length| length <= bits && prefix.bytes().all(|byte| byte.is_ascii_digit()))
                .ok_or_else(|| format!("`{text}` is no network; after the slash stands a number from 0 to {bits}"))?,
        };
        let whole = Self { base, prefix };
        if whole.first(base) == number(base) {
            Ok(whole)
        } else {
            Err(format!("`{text}` has bits behind its prefix of {prefix}; clear them"))
        }
    }

    /// Whether the address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.base.is_ipv4() && self.first(address) == number(self.base)
    }

    /// The address with the bits behind the prefix cleared.
    fn first(&self, address: IpAddr) -> u128 {
        let behind = u32::from(width(address).saturating_sub(self.prefix));
        number(address).checked_shr(behind).and_then(|head| head.checked_shl(behind)).unwrap_or(0)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn a_network_holds_what_begins_as_it_does() {
        for (network, address, held) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("0.0.0.0/0", "203.0.113.7", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
        ] {
            let parsed = Network::parse(network).unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), held, "{network} {address}");
        }
    }

    #[test]
    fn what_is_no_network_says_what_would_be() {
        for (text, part) in [
            ("shop", "10.1.0.0/16"),
            ("10.0.0.0/33", "from 0 to 32"),
            ("10.0.0.0/+8", "from 0 to 32"),
            ("::/129", "from 0 to 128"),
            ("10.1.2.3/8", "behind its prefix"),
            ("127.1/32", "10.1.0.0/16"),
        ] {
            assert!(Network::parse(text).is_err_and(|message| message.contains(part)), "{text}");
        }
    }
}
