//! A server, an honest peer of it, and connections on which anything can be said.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blaze_codec::frame::{HEADER_BYTES, header};
use blaze_codec::message::{CompressionSet, Goodbye, Hello, Message, Reason};
use blaze_codec::{Incarnation, NodeId};
use blaze_sync::{Database, Mode, NodeKey, RecordKey, Role, Seq, Topology, record};
use rustix::process::Signal;
use tokio::runtime::Runtime;

use super::{Bench, DEADLINE, Running, contents, wait_until};

/// The collection that the honest peer writes to.
const HONEST: &str = "honest";
/// What follows the last frame.
const END: [u8; HEADER_BYTES] = [0; HEADER_BYTES];
/// What the server may take beyond what it took before it was attacked.
const RESIDENT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// `blaze serve` at a Unix socket and at a TCP port, with an honest peer.
pub struct Server {
    bench: Bench,
    process: Running,
    endpoints: Vec<String>,
    honest: Peer,
    written: u32,
    resident_bytes_before: u64,
}

impl Server {
    pub fn start() -> Self {
        let bench = Bench::new();
        let socket = bench.socket("s");
        let mut process = bench.start(&[
            "serve",
            "db",
            "--listen",
            &socket,
            "--listen",
            "tcp://127.0.0.1:0",
            "--json",
        ]);
        let mut listening = || {
            let line = process.object(|line| line["event"] == "listening");
            line["endpoint"].as_str().unwrap().to_owned()
        };
        let endpoints = vec![listening(), listening()];
        let honest = Peer::connect(&endpoints[0]);
        let mut server =
            Self { bench, process, endpoints, honest, written: 0, resident_bytes_before: 0 };
        server.assert_well();
        server.resident_bytes_before = server.resident_bytes();
        server
    }

    /// Where it listens: at a Unix socket, and at a TCP port.
    pub fn targets(&self) -> Vec<Target> {
        self.endpoints.iter().map(|endpoint| Target(endpoint.clone())).collect()
    }

    /// Attacks it at both endpoints, and sees that it doesn't suffer.
    pub fn attack(&mut self, attack: impl Fn(&Target)) {
        for target in self.targets() {
            attack(&target);
            self.assert_well();
        }
    }

    /// It lives, takes no more memory than it should, and syncs with the honest
    /// peer that was there and with one that comes now.
    pub fn assert_well(&mut self) {
        assert!(self.process.is_alive());
        // What a session had is freed when it ends, which may be just now.
        wait_until("it is small again", || self.is_small());
        self.honest.write(self.written);
        self.written += 1;
        for endpoint in &self.endpoints {
            let newcomer = Peer::connect(endpoint);
            newcomer.write(self.written);
            self.written += 1;
        }
    }

    /// Whether it takes no more memory than it should.
    pub fn is_small(&self) -> bool {
        let before = self.resident_bytes_before;
        before == 0 || self.resident_bytes() <= before + RESIDENT_BYTES_MAX
    }

    /// Stops it, and sees that each record of the honest peers is there, and no
    /// other but those of the collections named.
    pub fn finish(mut self, others: impl Fn(&str) -> bool) {
        self.assert_well();
        let Self { bench, mut process, honest, written, .. } = self;
        drop(honest);
        process.signal(Signal::INT);
        assert_eq!(process.wait(), Some(0));
        let all = contents(&bench.path("db"), None);
        let numbers: BTreeMap<_, _> = all[HONEST].iter().map(|(key, note)| (key, note)).collect();
        assert_eq!(numbers.len(), written as usize);
        for number in 0..written {
            let key = RecordKey::from(i64::from(number));
            assert_eq!(*numbers[&key], record! { "number" => i64::from(number) });
        }
        for collection in all.keys() {
            assert!(collection == HONEST || others(collection), "{collection} was written");
        }
    }

    fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        // Elsewhere than on Linux nothing is known.
        let Ok(status) = std::fs::read_to_string(path) else { return 0 };
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        1024 * line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    }
}

/// An honest peer in this process, with a database in memory.
struct Peer {
    runtime: Runtime,
    db: Database,
    topology: Topology,
    node: NodeKey,
}

impl Peer {
    fn connect(endpoint: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let db = Database::in_memory();
        let topology = Topology::new();
        let node = runtime.block_on(async {
            let node = topology.register(db.clone(), "honest", Role::Client).await.unwrap();
            topology.connect(node, endpoint, Mode::Bidirectional).await.unwrap();
            node
        });
        Self { runtime, db, topology, node }
    }

    /// Writes a record, and waits until the server has it.
    fn write(&self, number: u32) {
        let number = i64::from(number);
        let settled = async {
            let honest = self.db.collection(HONEST);
            honest.insert_at(number, record! { "number" => number }).await.unwrap();
            let mut links = self.topology.links(self.node).unwrap();
            loop {
                let connected = |status: &blaze_sync::LinkStatus| status.is_connected();
                links.wait_for(|links| links.values().any(connected)).await.unwrap();
                if !self.topology.synced(self.node).await.unwrap().is_empty() {
                    return;
                }
            }
        };
        let settled = async { tokio::time::timeout(DEADLINE, settled).await };
        self.runtime.block_on(settled).expect("the server has an honest peer's record");
    }
}

/// Where to connect to.
pub struct Target(String);

impl Target {
    pub fn connect(&self) -> Wire {
        let stream: Box<dyn Stream> = match self.0.split_once(':').unwrap() {
            ("unix", path) => {
                let stream = UnixStream::connect(PathBuf::from(path)).unwrap();
                stream.set_read_timeout(Some(DEADLINE)).unwrap();
                Box::new(stream)
            }
            (_, address) => {
                let stream = TcpStream::connect(address.trim_start_matches('/')).unwrap();
                stream.set_read_timeout(Some(DEADLINE)).unwrap();
                stream.set_nodelay(true).unwrap();
                Box::new(stream)
            }
        };
        Wire { stream }
    }

    /// Connects, and says hello as a node that nobody knows.
    pub fn greeted(&self, change: impl FnOnce(&mut Hello)) -> Wire {
        let mut wire = self.connect();
        let mut hello = hello();
        change(&mut hello);
        wire.say(&Message::Hello(hello));
        wire
    }

    /// Who serves there.
    pub fn server(&self) -> Hello {
        match self.greeted(|_| ()).hear() {
            Some(Message::Hello(hello)) => hello,
            other => panic!("{other:?} is no hello"),
        }
    }
}

/// The hello of a node that nobody knows.
pub fn hello() -> Hello {
    static NODES: AtomicU64 = AtomicU64::new(1);
    let number = NODES.fetch_add(1, Ordering::Relaxed);
    Hello {
        protocol_min: 1,
        protocol_max: 1,
        node: NodeId::from_bytes(u128::from(number).to_be_bytes()),
        former: Vec::new(),
        history: Incarnation(number).into(),
        database: "main".into(),
        name: "hostile".into(),
        role: Role::Server,
        mode: Mode::Bidirectional,
        head: Seq(1),
        wall_ms: 0,
        reads: CompressionSet::EMPTY,
        scope: 0,
    }
}

trait Stream: Read + Write {
    fn finish(&self) -> io::Result<()>;
}

impl Stream for UnixStream {
    fn finish(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Stream for TcpStream {
    fn finish(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// A connection on which anything can be said.
pub struct Wire {
    stream: Box<dyn Stream>,
}

impl Wire {
    /// Writes bytes; false if the server has hung up.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Writes a frame with this body; false if the server has hung up.
    pub fn frame(&mut self, body: &[u8]) -> bool {
        self.write(&[&header(body), body].concat())
    }

    pub fn say(&mut self, message: &Message) -> bool {
        self.frame(&message.encode())
    }

    /// The next message; `None` at the end.
    pub fn hear(&mut self) -> Option<Message> {
        let mut header = [0; HEADER_BYTES];
        self.read(&mut header)?;
        if header == END {
            return None;
        }
        let length = u32::from_le_bytes(header[..4].try_into().unwrap());
        let mut body = vec![0; usize::try_from(length).unwrap()];
        self.read(&mut body)?;
        Some(Message::decode(body.into()).expect("the server speaks well"))
    }

    /// Waits for a message that fulfils a condition.
    pub fn hear_until(&mut self, condition: impl Fn(&Message) -> bool) -> Message {
        loop {
            match self.hear() {
                Some(message) if condition(&message) => return message,
                Some(_) => {}
                None => panic!("the server hung up"),
            }
        }
    }

    /// Waits until the server asks for changes.
    pub fn asked(mut self) -> Self {
        self.hear_until(|message| matches!(message, Message::Resume(_)));
        self
    }

    /// Waits until the server lets its peer send.
    pub fn started(mut self) -> Self {
        self.hear_until(|message| matches!(message, Message::Start(_)));
        self
    }

    /// Waits for a goodbye for this reason, and for the end; returns its message.
    pub fn refused(mut self, expected: Reason) -> String {
        let goodbye = self.hear_until(|message| matches!(message, Message::Goodbye(_)));
        let Message::Goodbye(Goodbye { reason, message }) = goodbye else { unreachable!() };
        assert_eq!(reason, expected, "{message}");
        self.ends();
        message
    }

    /// Waits until the server hangs up.
    pub fn ends(mut self) {
        while self.hear().is_some() {}
    }

    /// Hangs up halfway, and waits until the server does.
    pub fn end(self) {
        // It may have hung up first.
        let _ = self.stream.finish();
        self.ends();
    }

    /// Fills a buffer; false at the end. Hanging up on what is unread is an end, too.
    fn read(&mut self, buffer: &mut [u8]) -> Option<()> {
        match self.stream.read_exact(buffer) {
            Ok(()) => Some(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock) => {
                panic!("the server neither speaks nor hangs up")
            }
            Err(_) => None,
        }
    }
}

/// Not longer than a server may wait for a hello, with much room for a slow machine.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(30);
