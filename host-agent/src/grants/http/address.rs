//! Where a granted name may lead: the last decision, over the address that is connected to.

use std::net::{IpAddr, Ipv4Addr};

use super::{super::Denial, authorise::Allowed, network::Network, rule::Addresses};

/// Ports of the kubelet, which answers with what runs on a node, and runs programs there.
const KUBELET_PORTS: [u16; 2] = [10_250, 10_255];

/// Reached by no grant. Loopback is beside them: a network that is named as part of it reaches it.
const NEVER: [(&str, &str); 16] = [
    ("0.0.0.0/8", "is no address of a host"),
    ("169.254.0.0/16", "is link-local, where clouds keep their metadata"),
    ("224.0.0.0/4", "is multicast"),
    ("240.0.0.0/4", "is reserved"),
    ("168.63.129.16/32", "is a cloud's metadata address"),
    ("100.100.100.200/32", "is a cloud's metadata address"),
    ("192.0.0.192/32", "is a cloud's metadata address"),
    ("fd00:ec2::254/128", "is a cloud's metadata address"),
    ("fd00:ec2::23/128", "is a cloud's metadata address"),
    ("fd20:ce::254/128", "is a cloud's metadata address"),
    ("::/128", "is no address of a host"),
    ("fe80::/10", "is link-local"),
    ("fec0::/10", "is site-local"),
    ("ff00::/8", "is multicast"),
    // Both name an IPv4 address behind a translator of which nobody here knows how it reads them.
    ("64:ff9b:1::/48", "is translated to another address"),
    ("2001::/32", "is a tunnel to another address"),
];
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];
const PRIVATE: [&str; 5] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];
/// Neither private nor routed on the internet.
const SPECIAL: [&str; 9] = [
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
];
const ROUTED_V6: &str = "2000::/3";

/// Whether the request may be sent to the address. `own` holds those of the agent's pod and of the API server.
///
/// # Errors
/// A [`Denial`] with what would allow it, where something can.
pub fn admit(allowed: &Allowed, address: IpAddr, own: &[IpAddr]) -> Result<(), Denial> {
    let (url, inner) = (&allowed.entry.url, unfolded(address));
    let leads = if inner == address {
        format!("{url} leads to {address}")
    } else {
        format!("{url} leads to {address}, which is {inner}")
    };
    let never = |why: &str| Err(Denial::denied(format!("{leads}: it {why}, and no grant reaches that"), None));
    if KUBELET_PORTS.contains(&url.port()) {
        return never("has a port of the kubelet");
    }
    if own.iter().any(|own| unfolded(*own) == inner) {
        return never("is the agent's own pod or the cluster's API server");
    }
    if let Some((_, why)) = NEVER.iter().find(|(network, _)| within(network, inner)) {
        return never(why);
    }
    let is_loopback = LOOPBACK.iter().any(|network| within(network, inner));
    let reached = match allowed.addresses() {
        Addresses::Public => is_public(inner),
        Addresses::Cluster => is_private(inner),
        Addresses::Networks(networks) => {
            networks.iter().any(|network| network.contains(inner) && (!is_loopback || is_loopback_alone(network)))
        }
    };
    if reached {
        return Ok(());
    }
    let message = format!("{leads}, and its entry allows {}", allowed.addresses());
    let would = classes(inner).unwrap_or_else(|| "public".to_owned());
    Err(Denial::denied(message, allowed.suggest(&would)))
}

/// What `addresses` has to say for the address; none where the default reaches it.
#[must_use]
pub fn classes(address: IpAddr) -> Option<String> {
    let inner = unfolded(address);
    if is_public(inner) {
        None
    } else if is_private(inner) {
        Some("cluster".to_owned())
    } else {
        Some(format!("[\"{inner}/{}\"]", if inner.is_ipv4() { 32 } else { 128 }))
    }
}

/// Why a network in the grants file could never reach anything.
pub(super) fn is_futile(network: &Network) -> Option<&'static str> {
    let covered = |(text, _): &&(&str, &str)| Network::parse(text).is_ok_and(|never| never.covers(network));
    NEVER.iter().find(covered).map(|(_, why)| *why)
}

fn within(network: &str, address: IpAddr) -> bool {
    // The texts are constants; the test below reads them all.
    Network::parse(network).is_ok_and(|network| network.contains(address))
}

fn is_loopback_alone(network: &Network) -> bool {
    LOOPBACK.iter().any(|loopback| Network::parse(loopback).is_ok_and(|loopback| loopback.covers(network)))
}

fn is_private(address: IpAddr) -> bool {
    PRIVATE.iter().any(|network| within(network, address))
}

fn is_public(address: IpAddr) -> bool {
    let special = PRIVATE.iter().chain(&SPECIAL).chain(&LOOPBACK).any(|network| within(network, address))
        || NEVER.iter().any(|(network, _)| within(network, address));
    !special && (address.is_ipv4() || within(ROUTED_V6, address))
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
    use super::{LOOPBACK, NEVER, Network, PRIVATE, ROUTED_V6, SPECIAL};

    #[test]
    fn every_network_here_is_one() {
        let never = NEVER.iter().map(|(network, _)| network);
        for network in never.chain(&LOOPBACK).chain(&PRIVATE).chain(&SPECIAL).chain([&ROUTED_V6]) {
            assert!(Network::parse(network).is_ok(), "{network}");
        }
    }
}
