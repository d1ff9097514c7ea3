//! Whom a node trusts is kept, and nobody else says who that is.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    pin::pin,
    sync::mpsc::{self, TryRecvError},
    task::{Context, Waker},
    thread,
    time::{Duration, Instant},
};

use blaze_codec::{Mode, Role};
use blaze_transport::Endpoint;
use blaze_transport_tls::{KeyFileError, KeyPair, PublicKey, TrustError, TrustStore, TrustedPeer};
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::time::timeout;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peers");
    (folder, path)
}

fn key() -> PublicKey {
    KeyPair::generate().unwrap().public()
}

#[test]
fn what_is_trusted_is_kept_until_it_is_revoked() {
    let (_folder, path) = folder();
    let store = TrustStore::open(&path).unwrap();
    let (phone, tablet) = (key(), key());
    store.trust(phone, TrustedPeer::new("my phone")).unwrap();
    let peer = TrustedPeer::new("tablet").with_role(Role::Server).with_mode(Mode::WriteOnly);
    let peer = peer.with_endpoint(Endpoint::tls("tablet.lan", 7117).unwrap());
    store.trust(tablet, peer.clone()).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);

    let again = TrustStore::open(&path).unwrap();
    assert_eq!(again.peers(), store.peers());
    assert_eq!(again.peer(&tablet), Some(peer.clone()));
    assert_eq!(again.key_of("my phone"), Some(phone));
    assert_eq!(again.revoke(&tablet).unwrap(), Some(peer));
    assert_eq!(again.revoke(&tablet).unwrap(), None);
    assert!(store.peer(&tablet).is_some(), "it doesn't know yet");
    store.reload().unwrap();
    assert_eq!(store.peer(&tablet), None);
    assert_eq!(TrustStore::open(&path).unwrap().peers().len(), 1);
}

#[test]
fn a_policy_is_kept_with_its_peer_and_its_name_is_a_plain_one() {
    let (_folder, path) = folder();
    let store = TrustStore::open(&path).unwrap();
    let (phone, tablet) = (key(), key());
    let peer = TrustedPeer::new("my phone").with_mode(Mode::ReadOnly).with_policy("anna-2.b_c");
    store.trust(phone, peer.clone()).unwrap();
    store.trust(tablet, TrustedPeer::new("tablet")).unwrap();
    let again = TrustStore::open(&path).unwrap();
    assert_eq!((again.peer(&phone), again.peers()), (Some(peer), store.peers()));
    // A line as it was before there were policies, and one with a policy.
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(&format!("{tablet} client bidirectional - tablet\n")), "{text}");
    assert!(text.contains(&format!("{phone} client read-only:anna-2.b_c - my phone\n")), "{text}");

    assert!(again.set_policy(&tablet, Some("ben")).unwrap());
    assert!(again.set_policy(&phone, None).unwrap());
    assert!(!again.set_policy(&key(), Some("ben")).unwrap(), "who isn't trusted has none");
    store.reload().unwrap();
    assert_eq!(store.peer(&tablet), Some(TrustedPeer::new("tablet").with_policy("ben")));
    assert_eq!(store.peer(&phone).unwrap().policy, None);

    for store in [store, TrustStore::in_memory()] {
        let error = store.set_policy(&key(), Some("a b")).unwrap_err();
        assert!(matches!(error, TrustError::PolicyNameInvalid { .. }), "{error}");
        for name in ["", "two words", "a:b", &"x".repeat(65)] {
            let error = store.trust(key(), TrustedPeer::new("new").with_policy(name)).unwrap_err();
            assert!(matches!(error, TrustError::PolicyNameInvalid { .. }), "{error}");
            assert!(error.to_string().contains("1 to 64"), "{error}");
        }
    }
}

#[test]
fn an_address_is_kept_with_its_peer() {
    let (_folder, path) = folder();
    let store = TrustStore::open(&path).unwrap();
    let phone = key();
    let endpoint = Endpoint::tls("::1", 7117).unwrap();
    store.trust(phone, TrustedPeer::new("phone").with_endpoint(endpoint.clone())).unwrap();
    store.trust(phone, TrustedPeer::new("phone").with_role(Role::Server)).unwrap();
    let found = TrustStore::open(&path).unwrap().peer(&phone).unwrap();
    assert_eq!((found.role, found.endpoint), (Role::Server, Some(endpoint)));

    let other = TrustedPeer::new("tablet").with_endpoint(Endpoint::tcp("::1", 7117).unwrap());
    let error = store.trust(key(), other).unwrap_err();
    assert!(matches!(error, TrustError::EndpointInvalid { .. }), "{error}");
}

#[test]
fn a_peer_is_renamed_to_a_name_that_is_free() {
    let (_folder, path) = folder();
    for store in [TrustStore::in_memory(), TrustStore::open(path).unwrap()] {
        let (phone, tablet) = (key(), key());
        store.trust(phone, TrustedPeer::new("phone").with_mode(Mode::ReadOnly)).unwrap();
        store.trust(tablet, TrustedPeer::new("tablet")).unwrap();
        assert!(store.rename(&phone, "old phone").unwrap());
        let expected = TrustedPeer::new("old phone").with_mode(Mode::ReadOnly);
        assert_eq!(store.peer(&phone), Some(expected));
        let taken = store.rename(&tablet, "old phone").unwrap_err();
        assert!(matches!(taken, TrustError::NameTaken { .. }), "{taken}");
        let invalid = store.rename(&tablet, "").unwrap_err();
        assert!(matches!(invalid, TrustError::NameInvalid { .. }), "{invalid}");
        assert!(!store.rename(&key(), "nobody").unwrap(), "who isn't trusted has no name");
    }
}

#[tokio::test]
async fn what_another_process_changed_is_seen_and_told_once() {
    let within = Duration::from_secs(30);
    let (_folder, path) = folder();
    let (here, there) = (TrustStore::open(&path).unwrap(), TrustStore::open(&path).unwrap());
    let phone = key();
    there.trust(phone, TrustedPeer::new("phone")).unwrap();
    timeout(within, here.changed()).await.unwrap().unwrap();
    assert!(here.peer(&phone).is_some());
    there.revoke(&phone).unwrap();
    timeout(within, here.changed()).await.unwrap().unwrap();
    assert_eq!(here.peer(&phone), None);

    // What can't be read changes nothing, and is told once for each change of the file.
    there.trust(phone, TrustedPeer::new("phone")).unwrap();
    timeout(within, here.changed()).await.unwrap().unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let error = timeout(within, here.changed()).await.unwrap().unwrap_err();
    assert!(matches!(error, TrustError::TooOpen { .. }), "{error}");
    assert!(here.peer(&phone).is_some());
    let again = pin!(here.changed());
    assert!(again.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn a_name_is_one_peers() {
    let (_folder, path) = folder();
    for store in [TrustStore::in_memory(), TrustStore::open(path).unwrap()] {
        let first = key();
        store.trust(first, TrustedPeer::new("phone")).unwrap();
        let error = store.trust(key(), TrustedPeer::new("phone")).unwrap_err();
        assert!(matches!(error, TrustError::NameTaken { .. }), "{error}");
        store.trust(first, TrustedPeer::new("old phone")).expect("the same one is renamed");
        store.trust(key(), TrustedPeer::new("phone")).expect("the name is free");
    }
}

#[test]
fn a_store_that_others_can_write_is_refused_with_a_remedy() {
    let (_folder, path) = folder();
    TrustStore::open(&path).unwrap().trust(key(), TrustedPeer::new("phone")).unwrap();
    for mode in [0o620, 0o602, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = TrustStore::open(&path).unwrap_err();
        assert!(matches!(error, TrustError::TooOpen { mode: found, .. } if found == mode));
        assert!(error.to_string().contains("chmod 0600"), "{error}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    TrustStore::open(&path).expect("it's no secret");
}

#[test]
fn a_folder_in_which_others_can_swap_files_is_refused_with_a_remedy() {
    let (folder, path) = folder();
    let set = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    let store = TrustStore::open(&path).unwrap();
    set(0o777);
    TrustStore::open(&path).expect("there's nothing to read yet");
    let error = store.trust(key(), TrustedPeer::new("phone")).unwrap_err();
    assert!(matches!(error, TrustError::FolderUnsafe { .. }), "{error}");
    set(0o1777);
    store.trust(key(), TrustedPeer::new("phone")).expect("others can't touch what isn't theirs");
    let private_key = folder.path().join("key");
    KeyPair::create(&private_key).unwrap();
    for mode in [0o777, 0o770, 0o702] {
        set(mode);
        for error in [TrustStore::open(&path).unwrap_err(), store.reload().unwrap_err()] {
            assert!(matches!(error, TrustError::FolderUnsafe { .. }), "{error}");
            let (found, text) = (format!("(mode {mode:04o})"), error.to_string());
            assert!(text.contains("run chmod go-w") && text.contains(&found), "{text}");
        }
        let error = KeyPair::open(&private_key).unwrap_err();
        assert!(matches!(error, KeyFileError::FolderUnsafe { .. }), "{error}");
        let error = KeyPair::create(folder.path().join("other")).unwrap_err();
        assert!(matches!(error, KeyFileError::FolderUnsafe { .. }), "{error}");
    }
    assert_eq!(store.peers().len(), 1, "what was read before holds");
    set(0o755);
    store.reload().unwrap();
    KeyPair::open(&private_key).unwrap();
}

#[test]
fn what_a_power_cut_may_undo_holds_and_is_told() {
    let (folder, path) = folder();
    let store = TrustStore::open(&path).unwrap();
    let phone = key();
    // Its files can be changed, but it can't be opened, and so not be synced, but by root.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o300)).unwrap();
    let trusted = store.trust(phone, TrustedPeer::new("phone"));
    let is_root = fs::read_dir(&folder).is_ok();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    if !is_root {
        let error = trusted.unwrap_err();
        assert!(matches!(error, TrustError::Unsynced { .. }), "{error}");
    }
    assert!(store.peer(&phone).is_some());
    assert_eq!(TrustStore::open(&path).unwrap().peers(), store.peers());
}

#[test]
fn what_is_no_store_names_the_line_and_is_left() {
    let (_folder, path) = folder();
    let store = TrustStore::open(&path).unwrap();
    let phone = key();
    store.trust(phone, TrustedPeer::new("phone")).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let (header, line) = text.trim_end().split_once('\n').unwrap();
    let twice = format!("{text}{}", line.replace("phone", "other"));
    let other = line.replace(&phone.to_string(), &key().to_string());
    let wrong = [
        (String::new(), "line 1"),
        (format!("{header}\n\n"), "line 2"),
        (text.replace("client", "owner"), "line 2: its role"),
        (text.replace("bidirectional", "all"), "line 2: its mode"),
        (text.replace(" - ", " tcp://localhost:1 "), "line 2: its address"),
        (text.replace(" phone", ""), "line 2: it must be KEY ROLE MODE[:POLICY] ADDRESS NAME"),
        (text.replace("bidirectional", "bidirectional:"), "line 2: its policy's name"),
        (text.replace("bidirectional", "bidirectional:a:b"), "line 2: its policy's name"),
        (text.replace("phone", ""), "line 2: its name"),
        (text.replace(&phone.to_string()[..2], "zz"), "line 2: its key"),
        (twice, "line 3: its key is another peer's"),
        (format!("{text}{other}"), "line 3: its name is another peer's"),
    ];
    for (text, problem) in wrong {
        fs::write(&path, &text).unwrap();
        for error in [
            TrustStore::open(&path).unwrap_err(),
            store.reload().unwrap_err(),
            store.trust(key(), TrustedPeer::new("new")).unwrap_err(),
        ] {
            assert!(matches!(error, TrustError::NotAStore { .. }), "{error}");
            assert!(error.to_string().contains(problem), "{text}: {error}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "it's left as it is");
        assert!(store.peer(&phone).is_some(), "what was read before holds");
    }
    store.revoke(&phone).expect_err("it isn't revoked in the file");
    assert_eq!(store.peer(&phone), None, "but here");
}

#[test]
fn who_was_revoked_in_vain_is_not_brought_back_by_the_file() {
    let (folder, path) = folder();
    let store = TrustStore::open(&path).unwrap();
    let (phone, tablet) = (key(), key());
    store.trust(phone, TrustedPeer::new("phone")).unwrap();
    // Nobody can lock it, so nobody can write it.
    let lock = folder.path().join("peers.lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    store.revoke(&phone).expect_err("it can't be written");
    store.reload().unwrap();
    assert_eq!(store.peer(&phone), None, "it stands in the file");
    assert!(TrustStore::open(&path).unwrap().peer(&phone).is_some());

    fs::remove_dir(&lock).unwrap();
    store.trust(tablet, TrustedPeer::new("tablet")).unwrap();
    assert_eq!(TrustStore::open(&path).unwrap().peers(), store.peers());
    assert_eq!(store.peers().len(), 1, "now it's stored");
    let there = TrustStore::open(&path).unwrap();
    there.trust(phone, TrustedPeer::new("phone")).unwrap();
    store.reload().unwrap();
    assert!(store.peer(&phone).is_some(), "who is paired anew is trusted");
}

#[tokio::test]
async fn what_this_process_changed_is_no_news() {
    let (_folder, path) = folder();
    let store = TrustStore::open(&path).unwrap();
    store.trust(key(), TrustedPeer::new("phone")).unwrap();
    let changed = pin!(store.changed());
    assert!(changed.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

/// A reload that read the file before a revocation mustn't publish it afterwards.
#[test]
fn a_reload_beside_a_revocation_brings_nobody_back() {
    let (_folder, path) = folder();
    // Enough of them that reading takes longer than what comes after writing.
    let line = |number| format!("{} client bidirectional - {number}", key());
    let others = (0..300).map(line).collect::<Vec<_>>().join("\n");
    fs::write(&path, format!("blaze-trusted-peers-1\n{others}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let store = TrustStore::open(&path).unwrap();
    let phone = key();
    thread::scope(|scope| {
        let (stop, stopped) = mpsc::channel::<()>();
        let reloading = &store;
        scope.spawn(move || {
            while stopped.try_recv() == Err(TryRecvError::Empty) {
                reloading.reload().unwrap();
                // Or the others might never have the lock.
                thread::sleep(Duration::from_micros(200));
            }
        });
        let mut returned = 0;
        for _ in 0..30 {
            store.trust(phone, TrustedPeer::new("phone")).unwrap();
            store.revoke(&phone).unwrap();
            // For as long as a reload that began before may take.
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(10) {
                returned += u32::from(store.peer(&phone).is_some());
            }
        }
        drop(stop);
        assert_eq!(returned, 0, "it was back after it was revoked");
    });
}

#[test]
fn of_many_who_change_it_nobody_loses_a_change() {
    let (folder, path) = folder();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let path = path.clone();
            thread::spawn(move || {
                let store = TrustStore::open(path).unwrap();
                for number in 0..4 {
                    let name = format!("peer {writer}.{number}");
                    store.trust(key(), TrustedPeer::new(name)).unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    assert_eq!(TrustStore::open(&path).unwrap().peers().len(), 32);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "the store and its lock");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_name_that_is_taken_is_read_again(name in "\\PC{1,30}") {
        let (_folder, path) = folder();
        let store = TrustStore::open(&path).unwrap();
        if store.trust(key(), TrustedPeer::new(name)).is_ok() {
            prop_assert_eq!(TrustStore::open(&path).unwrap().peers(), store.peers());
        }
    }
}
