//! Where a webhook may lead: the last decision, over the address that is connected to.

use std::net::{IpAddr, Ipv4Addr};

use super::network::Network;

/// What no name on the internet has a reason to lead to.
const INNER: [(&str, &str); 29] = [
    ("0.0.0.0/8", "is no address of a host"),
    ("10.0.0.0/8", "is private"),
    ("100.64.0.0/10", "is private to a provider"),
    ("127.0.0.0/8", "is this machine"),
    ("168.63.129.16/32", "is a cloud's metadata address"),
    ("169.254.0.0/16", "is link-local, where clouds keep their metadata"),
    ("172.16.0.0/12", "is private"),
    ("192.0.0.0/24", "is reserved"),
    ("192.0.2.0/24", "is for documentation"),
    ("192.88.99.0/24", "is reserved"),
    ("192.168.0.0/16", "is private"),
    ("198.18.0.0/15", "is for measurements"),
    ("198.51.100.0/24", "is for documentation"),
    ("203.0.113.0/24", "is for documentation"),
    ("224.0.0.0/4", "is multicast"),
    ("240.0.0.0/4", "is reserved"),
    ("::/128", "is no address of a host"),
    ("::1/128", "is this machine"),
    // Both name an IPv4 address behind a translator of which nobody here knows how it reads them.
    ("64:ff9b:1::/48", "is translated to another address"),
    ("2001::/32", "is a tunnel to another address"),
    ("2001::/23", "is reserved"),
    ("2001:db8::/32", "is for documentation"),
    ("3fff::/20", "is for documentation"),
    ("fc00::/7", "is private"),
    ("fd00:ec2::254/128", "is a cloud's metadata address"),
    ("fd20:ce::254/128", "is a cloud's metadata address"),
    ("fe80::/10", "is link-local"),
    ("fec0::/10", "is site-local"),
    ("ff00::/8", "is multicast"),
];
const ROUTED_V6: &str = "2000::/3";

/// Whether something may be sent to the address: it is one of the internet, or the operator allows it.
///
/// # Errors
/// Why not.
pub(super) fn admit(address: IpAddr, allowed: &[Network]) -> Result<(), &'static str> {
    let inner = unfolded(address);
    if allowed.iter().any(|network| network.contains(inner)) {
        return Ok(());
    }
    if let Some((_, why)) = INNER.iter().find(|(network, _)| within(network, inner)) {
        return Err(why);
    }
    // Of ISATAP the packets go to the outer address.
    if let Some((_, why)) = INNER.iter().find(|(network, _)| is_isatap(address) && within(network, address)) {
        return Err(why);
    }
    if inner.is_ipv4() || within(ROUTED_V6, inner) { Ok(()) } else { Err("is not routed on the internet") }
}

fn is_isatap(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(outer) if matches!(outer.segments(), [_, _, _, _, 0 | 0x200, 0x5efe, _, _]))
}

fn within(network: &str, address: IpAddr) -> bool {
    // The texts are constants; the test below reads them all.
    Network::parse(network).is_ok_and(|network| network.contains(address))
}

/// The IPv4 address inside an IPv6 one: mapped, compatible, behind NAT64, 6to4 or ISATAP.
fn unfolded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(outer) = address else { return address };
    let inner = match outer.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..]
        | [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(inner(high, low)),
        _ => None,
    };
    inner.map_or(IpAddr::V6(outer), IpAddr::V4)
}

fn inner(high: u16, low: u16) -> Ipv4Addr {
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::{INNER, Network, ROUTED_V6, admit};

    #[test]
    fn every_network_here_is_one() {
        for network in INNER.iter().map(|(network, _)| network).chain([&ROUTED_V6]) {
            assert!(Network::parse(network).is_ok(), "{network}");
        }
    }

    #[test]
    fn only_addresses_of_the_internet_are_sent_to() {
        for (address, is_sent_to) in [
            ("93.184.216.34", true),
            ("2606:2800:220:1:248:1893:25c8:1946", true),
            ("fe80::5efe:808:808", false),
            ("fd00::200:5efe:808:808", false),
            ("127.0.0.1", false),
            ("127.8.9.1", false),
            ("0.0.0.0", false),
            ("10.1.2.3", false),
            ("172.31.255.255", false),
            ("172.32.0.1", true),
            ("192.168.0.1", false),
            ("100.64.0.1", false),
            ("169.254.169.254", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:93.184.216.34", true),
            ("::10.0.0.1", false),
            ("64:ff9b::10.0.0.1", false),
            ("64:ff9b::5db8:d822", true),
            ("64:ff9b:1::1", false),
            ("2002:a00:1::", false),
            ("fe80::1", false),
            ("fd12::1", false),
            ("ff02::1", false),
            ("4000::1", false),
        ] {
            assert_eq!(admit(address.parse().unwrap(), &[]).is_ok(), is_sent_to, "{address}");
        }
    }

    #[test]
    fn an_operator_allows_what_else_is_sent_to_also_behind_another_form() {
        let allowed = [Network::parse("10.1.0.0/16").unwrap()];
        for (address, is_sent_to) in
            [("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("10.2.0.1", false), ("127.0.0.1", false)]
        {
            assert_eq!(admit(address.parse().unwrap(), &allowed).is_ok(), is_sent_to, "{address}");
        }
    }
}
