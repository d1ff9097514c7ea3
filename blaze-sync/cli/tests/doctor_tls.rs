//! doctor: whether two nodes trust each other, and which of them refuses.

mod common;

use std::net::TcpListener;
use std::sync::Arc;

use blaze_sync::{
    Database, KeyPair, Mode, NodeKey, NodeOptions, Role, TlsTransport, Topology, TrustStore,
    TrustedPeer,
};
use common::{Bench, fake};
use tokio::runtime::Runtime;

/// A node that listens at a port of its own.
struct Office {
    runtime: Runtime,
    topology: Topology,
    db: Database,
    _node: NodeKey,
    key: KeyPair,
    trust: TrustStore,
    endpoint: String,
}

impl Office {
    fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        let (key, trust) = (KeyPair::generate().unwrap(), TrustStore::in_memory());
        let tls = TlsTransport::new(&key, trust.clone());
        let db = Database::in_memory();
        let topology = Topology::with_transports(vec![Arc::new(tls)], NodeOptions::default());
        let (node, endpoint) = runtime.block_on(async {
            let node = topology.register(db.clone(), "office", Role::Client).await.unwrap();
            let endpoint = topology.listen(node, "tls://127.0.0.1:0").await.unwrap();
            (node, endpoint.to_string())
        });
        Self { runtime, topology, db, _node: node, key, trust, endpoint }
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.runtime.block_on(self.topology.close());
    }
}

/// A bench with a database that has a key.
fn bench() -> (Bench, KeyPair) {
    let bench = Bench::new();
    bench.ok(&["put", "db", "c", "k", "text=hello"]);
    let key = KeyPair::create(bench.path("db.key")).unwrap();
    (bench, key)
}

/// Has the node of the bench's database trust a peer.
fn trust(bench: &Bench, peer: &KeyPair) {
    let peers = TrustStore::open(bench.path("db.peers")).unwrap();
    peers.trust(peer.public(), TrustedPeer::new("office")).unwrap();
}

#[test]
fn each_side_that_does_not_trust_the_other_is_named() {
    let (office, (bench, key)) = (Office::open(), bench());
    let look = || bench.doctor(&["db", &office.endpoint]);

    let (text, remedy) = look().fault("tls");
    let peer = office.key.fingerprint();
    let expected = format!("this side refused: the peer's key ({peer}) is not trusted here");
    assert_eq!(text, expected);
    assert_eq!(remedy, "pair the two nodes if you expected it");

    trust(&bench, &office.key);
    let (text, remedy) = look().fault("tls");
    let own = key.fingerprint();
    let expected = format!("the peer refused: it does not trust this node's key ({own})");
    assert_eq!(text, expected);
    assert!(remedy.starts_with("pair the two nodes, or ask at the peer whether"), "{remedy}");

    office.trust.trust(key.public(), TrustedPeer::new("phone")).unwrap();
    let seen = look();
    seen.assert_well();
    let text = seen.ok("tls");
    assert!(text.starts_with("this node and office at 127.0.0.1:"), "{text}");
    assert!(seen.ok("session").starts_with("\"office\" answers, a client"));
    assert!(seen.ok("clock").contains("± "));
    let peers = office.runtime.block_on(office.db.peers()).unwrap();
    assert!(peers.is_empty(), "it was registered");

    // It sends nothing here, and may be asked for nothing, too.
    office.trust.revoke(&key.public()).unwrap();
    let agreed = TrustedPeer::new("phone").with_mode(Mode::WriteOnly);
    office.trust.trust(key.public(), agreed).unwrap();
    let seen = look();
    seen.assert_well();
    assert!(seen.ok("session").contains("lets nobody receive who doesn't send"));
}

#[test]
fn of_several_files_the_first_that_opens_asks() {
    let (office, (bench, key)) = (Office::open(), bench());
    trust(&bench, &office.key);
    office.trust.trust(key.public(), TrustedPeer::new("phone")).unwrap();
    // Neither has a key, and one is a server of another name.
    office.runtime.block_on(async {
        let shop = Database::open(bench.path("shop")).name("shop").await.unwrap();
        shop.adapter().set_role(Role::Server).await.unwrap();
        shop.close().await.unwrap();
    });
    let seen = bench.doctor(&["missing", "db", "shop", &office.endpoint]);
    seen.fault("database");
    assert!(seen.ok("tls").starts_with("this node and office"));
    assert!(seen.ok("session").starts_with("\"office\" answers, a client"));

    let seen = bench.doctor(&["shop", "db", &office.endpoint]);
    let (text, _) = seen.fault("tls");
    assert!(text.ends_with("shop.key"), "{text}");
}

#[test]
fn who_has_no_database_hears_whose_key_is_there() {
    let (office, bench) = (Office::open(), Bench::new());
    let (text, remedy) = bench.doctor(&[&office.endpoint]).hint("tls");
    assert_eq!(text, format!("a node whose key is {} listens", office.key.fingerprint()));
    assert!(remedy.starts_with("give the file that is to sync with it"), "{remedy}");
}

#[test]
fn a_node_without_a_key_is_told_to_pair() {
    let bench = Bench::new();
    bench.ok(&["put", "db", "c", "k", "text=hello"]);
    let (text, remedy) = bench.doctor(&["db", "tls://127.0.0.1:1"]).fault("tls");
    assert!(text.starts_with("there is no private key at /") && text.ends_with("db.key"), "{text}");
    assert!(remedy.contains("blaze pair /"), "{remedy}");

    bench.write("db.key", "no key");
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(bench.path("db.key"), permissions).unwrap();
    let (text, _) = bench.doctor(&["db", "tls://127.0.0.1:1"]).fault("tls");
    assert!(text.contains("is no private key: "), "{text}");
}

#[test]
fn a_port_without_tls_or_anybody_and_a_host_that_is_none_are_told() {
    let (bench, _) = bench();
    let (_taken, free) = fake::silent_port();
    let (text, remedy) = bench.doctor(&["db", &format!("tls://{free}")]).fault("port");
    assert_eq!(text, format!("nothing listens at port {} of 127.0.0.1", free.port()));
    assert!(remedy.contains("look at the firewall between"), "{remedy}");

    // No resolver is asked for a name that can be none.
    let endpoint = format!("tls://{}.invalid:1", "x".repeat(64));
    let (text, remedy) = bench.doctor(&["db", &endpoint]).fault("port");
    assert!(text.starts_with(&format!("cannot connect to {endpoint}: ")), "{text}");
    assert!(remedy.contains("getent hosts x"), "{remedy}");

    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tls://{}", plain.local_addr().unwrap());
    let server = std::thread::spawn(move || fake::answer_anything(&plain, b"HTTP/1.1 400\r\n\r\n"));
    let (text, remedy) = bench.doctor(&["db", &endpoint]).fault("tls");
    assert_eq!(text, "the peer speaks no TLS");
    assert_eq!(remedy, "use a tls:// endpoint on both sides");
    server.join().unwrap();
}
