//! A name server (DNS, RFC 1035) on this machine.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::UdpSocket;

/// Bytes of a message's header.
const HEADER_BYTES: usize = 12;
/// Bytes of a question after its name: type and class.
const QUESTION_END_BYTES: usize = 4;
const TYPE_A: u16 = 1;
/// Response, recursion desired and available; with the code `NXDOMAIN` for a name without address.
const FLAGS: [u8; 2] = [0x81, 0x80];
const NAME_ERROR: u8 = 3;

/// A name server that says nothing about `*.silent.example`, knows `*.local.example` as 127.0.0.1,
/// `*.public.example` as a public address, and no other name.
#[derive(Clone, Debug)]
pub struct NameServer {
    address: SocketAddr,
    asked: Arc<Mutex<HashSet<String>>>,
}

impl NameServer {
    /// Starts it; it runs until the test ends.
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port is free");
        let address = socket.local_addr().expect("a socket has an address");
        let asked = Arc::<Mutex<HashSet<String>>>::default();
        let names = Arc::clone(&asked);
        crate::wait::spawn(async move {
            let mut question = [0; 512];
            loop {
                let Ok((length, from)) = socket.recv_from(&mut question).await else { continue };
                let Some((name, end)) = name(&question[..length]) else { continue };
                if let Some(answer) = answer(&question[..length], &name, end) {
                    let _ = socket.send_to(&answer, from).await;
                }
                names.lock().insert(name);
            }
        });
        Self { address, asked }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many different names it was asked for.
    pub fn names(&self) -> usize {
        self.asked.lock().len()
    }
}

/// The name that is asked for, and where its labels end.
fn name(message: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = HEADER_BYTES;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join(".").to_ascii_lowercase(), at));
        }
        labels.push(String::from_utf8_lossy(message.get(at..at + length)?).into_owned());
        at += length;
    }
}

fn answer(question: &[u8], name: &str, end: usize) -> Option<Vec<u8>> {
    let kind = u16::from_be_bytes([*question.get(end)?, *question.get(end + 1)?]);
    let (_, domain) = name.split_once('.')?;
    let address = match domain {
        "silent.example" => return None,
        "local.example" => Some(Ipv4Addr::LOCALHOST),
        "public.example" => Some(Ipv4Addr::new(93, 184, 215, 14)),
        _ => None,
    };
    let records: u8 = u8::from(address.is_some() && kind == TYPE_A);
    let code = if address.is_some() { 0 } else { NAME_ERROR };
    let mut answer = question.get(..2)?.to_vec();
    answer.extend([FLAGS[0], FLAGS[1] | code, 0, 1, 0, records, 0, 0, 0, 0]);
    answer.extend(question.get(HEADER_BYTES..end + QUESTION_END_BYTES)?);
    if let Some(address) = address.filter(|_| kind == TYPE_A) {
        // The name by a pointer to the question's; type A, class IN, 60 s, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}
