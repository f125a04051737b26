//! What plugins send over HTTP: with which credentials, and where no request goes because the agent or its cluster is there.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{UdpSocket, lookup_host},
    time::{sleep, timeout},
};

use super::{Client, Credentials, System, tape::Tape};

const LOOK_AGAIN: Duration = Duration::from_secs(60);
const LOOK_MAX: Duration = Duration::from_secs(5);

/// The sender. What it keeps off, which is what `api_server` (host and port) resolves to, is known when it answers, and looked up
/// again from time to time. `tape`: what records it all.
pub async fn outgoing(
    credentials: Arc<dyn Credentials>,
    api_server: Option<(&str, u16)>,
    tape: Option<Tape>,
) -> Arc<Client> {
    let client = Client::new(Arc::new(System::default()), credentials);
    let client = Arc::new(match tape {
        Some(tape) => client.taped(tape),
        None => client,
    });
    let Some((host, port)) = api_server else { return client };
    let host = host.to_owned();
    protect(&client, &host, port).await;
    let sender = Arc::downgrade(&client);
    tokio::spawn(async move {
        loop {
            sleep(LOOK_AGAIN).await;
            let Some(client) = sender.upgrade() else { return };
            protect(&client, &host, port).await;
        }
    });
    client
}

/// A failed look leaves what an earlier one found.
async fn protect(client: &Client, host: &str, port: u16) {
    match timeout(LOOK_MAX, found(host, port)).await {
        Ok(Ok(addresses)) => client.protect(addresses),
        Ok(Err(error)) => tracing::warn!(
            "which addresses are the API server's is not known, so plugins are not kept from them: {error}"
        ),
        Err(_) => tracing::warn!("the API server's name was not resolved in time"),
    }
}

/// The API server's addresses, and the agent's own on the way there.
async fn found(host: &str, port: u16) -> io::Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for server in lookup_host((host, port)).await? {
        addresses.push(server.ip());
        addresses.extend(own(server).await.ok());
    }
    addresses.sort();
    addresses.dedup();
    Ok(addresses)
}

/// Where the system would send from. Nothing is sent: a datagram socket only chooses its way.
async fn own(to: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(to).await?;
    Ok(socket.local_addr()?.ip())
}
