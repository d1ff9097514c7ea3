//! What compression saves between two apps over TCP, counted where the bytes pass.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use blaze_sync::{
    Compression, Database, LinkStatus, Mode, NodeOptions, Record, RecordKey, Role, TcpTransport,
    Topology, record,
};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it takes too long")
}

/// Passes one connection on to an address; tells how many bytes came back from there.
async fn relay(to: String) -> (String, JoinHandle<u64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let relayed = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(to).await.unwrap();
        let (_, back) = copy_bidirectional(&mut near, &mut far).await.unwrap();
        back
    });
    (address, relayed)
}

fn topology(compression: Compression) -> Topology {
    let tcp = TcpTransport::plaintext_loopback().with_compression(compression);
    Topology::with_transports(vec![Arc::new(tcp)], NodeOptions::default())
}

async fn notes(database: &Database) -> Vec<(RecordKey, Record)> {
    database.collection("notes").list(None, usize::MAX).await.unwrap()
}

/// Writes notes with these numbers in one transaction.
async fn add(database: &Database, numbers: Range<i64>) {
    let mut transaction = database.transaction();
    for number in numbers {
        let text = format!("note {number}: what was said at noon, and at {number} again");
        let note = record! { "number" => number, "text" => text };
        transaction = transaction.insert("notes", number, note).unwrap();
    }
    transaction.commit().await.unwrap();
}

/// How many bytes a database takes to another one, all at once and then as it changes.
async fn carried(sends: Compression, receives: Compression, expected: Compression) -> u64 {
    let (source, copy) = (Database::in_memory(), Database::in_memory());
    add(&source, 0..1_000).await;
    let (here, there) = (topology(sends), topology(receives));
    let serves = here.register(source.clone(), "source", Role::Server).await.unwrap();
    let follows = there.register(copy.clone(), "copy", Role::Client).await.unwrap();
    let endpoint = here.listen(serves, "tcp://127.0.0.1:0").await.unwrap();
    let (address, relayed) = relay(endpoint.address().to_owned()).await;
    let mut link =
        there.connect(follows, &format!("tcp://{address}"), Mode::ReadOnly).await.unwrap();
    within(link.wait_for(LinkStatus::is_connected)).await.unwrap();

    let links = here.links(serves).unwrap().borrow().clone();
    let told: Vec<_> = links.values().filter_map(|status| status.peer.clone()).collect();
    assert_eq!(told.iter().map(|peer| peer.compression).collect::<Vec<_>>(), [expected]);
    for hundred in 10..20 {
        add(&source, 100 * hundred..100 * (hundred + 1)).await;
    }
    assert_eq!(within(here.synced(serves)).await.unwrap().len(), 1);
    let (ours, theirs) = (notes(&source).await, notes(&copy).await);
    assert_eq!(ours.len(), 2_000);
    assert_eq!(ours, theirs);
    there.close().await;
    here.close().await;
    within(relayed).await.unwrap()
}

#[tokio::test]
async fn compressed_changes_take_fewer_bytes_and_are_the_same() {
    use Compression::{Lz4, None, Zstd};
    let plain = carried(None, Lz4, None).await;
    let lz4 = carried(Lz4, None, Lz4).await;
    println!("{plain} bytes, {lz4} by LZ4");
    assert!(lz4 < plain * 2 / 3, "{lz4} of {plain} bytes");
    let best = if cfg!(feature = "zstd") { Zstd } else { Lz4 };
    let zstd = carried(Zstd, Lz4, best).await;
    println!("{zstd} bytes by {best}");
    assert!(if best == Zstd { zstd < lz4 } else { zstd < plain * 2 / 3 }, "{zstd} bytes");
}
