//! A process that runs out of descriptors misses no revocation. In a program of its own, as the
//! limit is the whole process's.

use std::time::Duration;

use blaze_transport_tls::{KeyPair, TrustError, TrustStore, TrustedPeer};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn what_could_not_be_read_for_a_while_is_read_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peers");
    let (here, there) = (TrustStore::open(&path).unwrap(), TrustStore::open(&path).unwrap());
    let phone = KeyPair::generate().unwrap().public();
    here.trust(phone, TrustedPeer::new("phone")).unwrap();
    there.revoke(&phone).unwrap();

    let usual = getrlimit(Resource::Nofile);
    let none = rustix::process::Rlimit { current: Some(0), ..usual };
    setrlimit(Resource::Nofile, none).unwrap();
    let failed = timeout(DEADLINE, here.changed()).await.unwrap();
    let told_again = timeout(Duration::from_millis(1500), here.changed()).await;
    setrlimit(Resource::Nofile, usual).unwrap();
    assert!(matches!(failed, Err(TrustError::Io { action: "read", .. })), "{failed:?}");
    assert!(told_again.is_err(), "it was told already: {told_again:?}");
    assert!(here.peer(&phone).is_some(), "what was known before holds");

    // The file is as it was.
    timeout(DEADLINE, here.changed()).await.expect("it's tried again").unwrap();
    assert_eq!(here.peer(&phone), None);
}
