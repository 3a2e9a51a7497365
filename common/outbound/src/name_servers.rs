//! DNS (RFC 1035): the stub resolver behind [`Names`](crate::Names).
//!
//! The system's own (`getaddrinfo`) holds a thread for as long as a name server is silent, and
//! cannot be interrupted. **Invariants:** an answer counts only from the address that was asked,
//! to the port, id and question that were sent; every wait has a deadline.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::name_servers_config::Config;
use crate::names::{Found, Lookup};

/// Deadline of one request to a name server.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Rounds over the name servers.
const ROUNDS: usize = 2;
/// Deadline for the addresses of one kind: those of the other are used without them.
const KIND_TIMEOUT: Duration = Duration::from_secs(4);
/// How often the files of the system are read.
const CONFIG_LIFETIME: Duration = Duration::from_secs(30);
/// Bytes of an answer by UDP.
const UDP_BYTES_MAX: usize = 1_232;
/// Addresses of one kind that are used.
const ADDRESSES_MAX: usize = 32;

/// The name servers to ask.
pub(crate) struct NameServers {
    /// `None`: as the files of the system say.
    fixed: Option<Arc<Config>>,
    read: Mutex<Option<(Instant, Arc<Config>)>>,
}

/// What the name servers say about one kind of addresses of a name.
enum Reply {
    /// The addresses, if any, and their TTL.
    Known(Vec<IpAddr>, Duration),
    /// There is no such name.
    NoSuchName,
    /// None of them gave an answer.
    Silence,
}

impl NameServers {
    /// The system's.
    pub(crate) fn of_the_system() -> Self {
        Self { fixed: None, read: Mutex::default() }
    }

    /// These, and no file.
    pub(crate) fn fixed(servers: &[SocketAddr]) -> Self {
        Self { fixed: Some(Arc::new(Config::fixed(servers))), read: Mutex::default() }
    }

    /// Two small local files are read in place, at most once in [`CONFIG_LIFETIME`].
    fn config(&self) -> Arc<Config> {
        if let Some(config) = &self.fixed {
            return Arc::clone(config);
        }
        let mut read = self.read.lock();
        match &*read {
            Some((at, config)) if at.elapsed() < CONFIG_LIFETIME => Arc::clone(config),
            _ => {
                let config = Arc::new(Config::of_the_system());
                *read = Some((Instant::now(), Arc::clone(&config)));
                config
            }
        }
    }
}

impl Lookup for NameServers {
    fn lookup(&self, name: String) -> Pin<Box<dyn Future<Output = Found> + Send>> {
        let config = self.config();
        Box::pin(async move {
            let name = name.to_ascii_lowercase();
            if let Some(addresses) = config.hosts(name.trim_end_matches('.')) {
                return Found { addresses: addresses.to_vec(), lifetime: CONFIG_LIFETIME };
            }
            for candidate in config.candidates(&name) {
                let (v4, v6) = tokio::join!(
                    addresses(&config.servers, &candidate, TYPE::A),
                    addresses(&config.servers, &candidate, TYPE::AAAA),
                );
                let is_silent = matches!((&v4, &v6), (Reply::Silence, _) | (_, Reply::Silence));
                let found = merged(v4, v6);
                if is_silent || !found.addresses.is_empty() {
                    return found;
                }
            }
            Found::default()
        })
    }
}

fn merged(v4: Reply, v6: Reply) -> Found {
    let mut found = Found { addresses: Vec::new(), lifetime: Duration::MAX };
    for reply in [v4, v6] {
        if let Reply::Known(addresses, lifetime) = reply
            && !addresses.is_empty()
        {
            found.addresses.extend(addresses);
            found.lifetime = found.lifetime.min(lifetime);
        }
    }
    found
}

async fn addresses(servers: &[SocketAddr], name: &str, kind: TYPE) -> Reply {
    let asking = async {
        for _ in 0..ROUNDS {
            for &server in servers {
                let asking = tokio::time::timeout(REQUEST_TIMEOUT, ask(server, name, kind));
                // A name server that refuses, or cannot, is passed over.
                if let Ok(Ok(reply)) = asking.await {
                    return reply;
                }
            }
        }
        Reply::Silence
    };
    tokio::time::timeout(KIND_TIMEOUT, asking).await.unwrap_or(Reply::Silence)
}

/// Asks one name server: by UDP, and by TCP for what does not fit into that.
async fn ask(server: SocketAddr, name: &str, kind: TYPE) -> io::Result<Reply> {
    let question = Asked { id: rand::random(), name, kind };
    let bytes = question.bytes()?;
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A port of its own, and the system passes on what comes from the server alone.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&bytes).await?;
    let mut answer = [0; UDP_BYTES_MAX];
    loop {
        let length = socket.recv(&mut answer).await?;
        match question.read(&answer[..length]) {
            Some(Answer::Complete(reply)) => return reply,
            Some(Answer::Truncated) => break,
            // Not an answer to this question.
            None => {}
        }
    }
    let answer = by_tcp(server, &bytes).await?;
    match question.read(&answer) {
        Some(Answer::Complete(reply)) => reply,
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

async fn by_tcp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// A question that was sent.
struct Asked<'a> {
    id: u16,
    name: &'a str,
    kind: TYPE,
}

enum Answer {
    Complete(io::Result<Reply>),
    Truncated,
}

impl Asked<'_> {
    fn bytes(&self) -> io::Result<Vec<u8>> {
        let name = Name::new(self.name).map_err(io::Error::other)?;
        let mut packet = Packet::new_query(self.id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        let class = QCLASS::CLASS(CLASS::IN);
        packet.questions.push(Question::new(name, QTYPE::TYPE(self.kind), class, false));
        packet.build_bytes_vec().map_err(io::Error::other)
    }

    /// Reads an answer; `None` when it answers something else.
    fn read(&self, bytes: &[u8]) -> Option<Answer> {
        let packet = Packet::parse(bytes).ok()?;
        let [question] = packet.questions.as_slice() else { return None };
        let is_ours = packet.id() == self.id
            && packet.has_flags(PacketFlag::RESPONSE)
            && question.qtype == QTYPE::TYPE(self.kind)
            && question.qname.to_string().eq_ignore_ascii_case(self.name);
        if !is_ours {
            return None;
        }
        if packet.has_flags(PacketFlag::TRUNCATION) {
            return Some(Answer::Truncated);
        }
        Some(Answer::Complete(match packet.rcode() {
            RCODE::NoError => Ok(self.addresses(&packet)),
            RCODE::NameError => Ok(Reply::NoSuchName),
            code => Err(io::Error::other(format!("{code:?}"))),
        }))
    }

    fn addresses(&self, packet: &Packet<'_>) -> Reply {
        let ttl = packet.answers.iter().map(|record| record.ttl).min().unwrap_or(0);
        let addresses = packet.answers.iter().filter_map(|record| match &record.rdata {
            RData::A(a) if self.kind == TYPE::A => Some(Ipv4Addr::from(a.address).into()),
            RData::AAAA(a) if self.kind == TYPE::AAAA => Some(Ipv6Addr::from(a.address).into()),
            _ => None,
        });
        let ttl = Duration::from_secs(ttl.into());
        Reply::Known(addresses.take(ADDRESSES_MAX).collect(), ttl)
    }
}

#[cfg(test)]
mod tests {
    use simple_dns::rdata::{A, CNAME, RData};
    use simple_dns::{CLASS, Name, Packet, PacketFlag, ResourceRecord, TYPE};

    use super::{Answer, Asked, Reply};

    /// An answer to `hook.example`, under an id.
    fn answer(id: u16, flags: PacketFlag) -> Vec<u8> {
        let question = Asked { id, name: "hook.example", kind: TYPE::A }.bytes().unwrap();
        let mut packet = Packet::parse(&question).unwrap().into_reply();
        packet.set_flags(flags);
        let name = Name::new("hook.example").unwrap();
        let alias = Name::new("alias.example").unwrap();
        let cname = RData::CNAME(CNAME(alias.clone()));
        let address = RData::A(A { address: 0xc000_0207 });
        packet.answers.push(ResourceRecord::new(name, CLASS::IN, 30, cname));
        packet.answers.push(ResourceRecord::new(alias, CLASS::IN, 300, address));
        packet.build_bytes_vec_compressed().unwrap()
    }

    #[test]
    fn an_answer_counts_for_its_question_alone() {
        let asked = Asked { id: 7, name: "hook.example", kind: TYPE::A };
        let good = answer(7, PacketFlag::RESPONSE);
        let Some(Answer::Complete(Ok(Reply::Known(addresses, ttl)))) = asked.read(&good) else {
            panic!("it is an answer");
        };
        assert_eq!((addresses[0].to_string().as_str(), ttl.as_secs()), ("192.0.2.7", 30));
        let truncated = answer(7, PacketFlag::RESPONSE | PacketFlag::TRUNCATION);
        assert!(matches!(asked.read(&truncated), Some(Answer::Truncated)));
        let other_id = answer(8, PacketFlag::RESPONSE);
        assert!(asked.read(&other_id).is_none());
        for other in [
            Asked { name: "other.example", ..asked },
            Asked { kind: TYPE::AAAA, id: 7, name: "hook.example" },
        ] {
            assert!(other.read(&good).is_none());
        }
        // Pieces of an answer, and what is none, are no answer and no panic.
        for length in 0..good.len() {
            assert!(asked.read(&good[..length]).is_none());
        }
    }
}
