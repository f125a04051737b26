//! Clients that abuse HTTP/2, in bytes of their own.

use claiflow_server::ports::Limits;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::server::Server;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// GET http://localhost/healthz, without its path.
const REQUEST: &[u8] = b"\x82\x86\x41\x09localhost";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Says `flood` until the server goes; the kinds of frames that it said.
async fn answered(address: std::net::SocketAddr, flood: impl Fn(u32) -> Vec<u8> + Send + 'static) -> Vec<u8> {
    let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    writer.write_all(PREFACE).await.unwrap();
    let saying = tokio::spawn(async move {
        for number in 0.. {
            if writer.write_all(&flood(number)).await.is_err() {
                return;
            }
        }
    });
    let mut kinds = Vec::new();
    loop {
        let mut head = [0; 9];
        if reader.read_exact(&mut head).await.is_err() {
            break;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        kinds.push(head[3]);
        if reader.read_exact(&mut vec![0; length as usize]).await.is_err() {
            break;
        }
    }
    saying.await.unwrap();
    kinds
}

#[tokio::test]
async fn a_client_that_resets_what_it_asks_is_sent_away() {
    let server = Server::start().await;
    let address = server.http(None, Limits::default()).await;
    let kinds = answered(address, |number| {
        let request = [REQUEST, b"\x04\x08/healthz"].concat();
        // One write carries many, so that they arrive together.
        (number * 500..(number + 1) * 500)
            .flat_map(|number| {
                let stream = number * 2 + 1;
                [
                    frame(HEADERS, END_STREAM | END_HEADERS, stream, &request),
                    frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]),
                ]
            })
            .flatten()
            .collect()
    })
    .await;
    assert!(kinds.contains(&GOAWAY), "{kinds:?}");
}

#[tokio::test]
async fn a_head_without_end_is_not_read_to_its_end() {
    let server = Server::start().await;
    let address = server.http(None, Limits::default()).await;
    let kinds = answered(address, |number| {
        let field = [&b"\0\x01x\x7f\x81\x1f"[..], &[b'y'; 4_096]].concat();
        match number {
            0 => frame(HEADERS, END_STREAM, 1, REQUEST),
            _ => frame(CONTINUATION, 0, 1, &field),
        }
    })
    .await;
    assert!(kinds.contains(&GOAWAY), "{kinds:?}");
}
