//! A private key's file is its user's alone, whole, and never another thing.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::PathBuf,
    thread,
};

use blaze_transport_tls::{KeyFileError, KeyPair};
use tempfile::TempDir;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.key");
    (folder, path)
}

#[test]
fn a_key_is_kept_and_only_its_user_can_read_it() {
    let (folder, path) = folder();
    assert!(matches!(KeyPair::open(&path), Err(KeyFileError::Missing { .. })));
    let made = KeyPair::open_or_create(&path).unwrap();
    assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
    assert_eq!(KeyPair::open(&path).unwrap().public(), made.public());
    assert_eq!(KeyPair::open_or_create(&path).unwrap().public(), made.public());
    assert_ne!(KeyPair::generate().unwrap().public(), made.public());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn an_existing_file_is_never_replaced() {
    let (folder, path) = folder();
    fs::write(&path, "mine").unwrap();
    assert!(matches!(KeyPair::create(&path), Err(KeyFileError::Exists { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn a_key_that_others_can_read_is_refused_with_a_remedy() {
    let (_folder, path) = folder();
    KeyPair::create(&path).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o610, 0o601, 0o777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = KeyPair::open_or_create(&path).unwrap_err();
        assert!(matches!(error, KeyFileError::TooOpen { mode: found, .. } if found == mode));
        let message = error.to_string();
        assert!(message.contains(&format!("mode {mode:04o}, expected 0600")), "{message}");
        assert!(message.contains("chmod 0600"), "{message}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    KeyPair::open(&path).expect("less than 0600 is fine");
}

#[test]
fn what_is_no_key_file_says_why() {
    let (folder, path) = folder();
    let target = folder.path().join("target.key");
    KeyPair::create(&target).unwrap();
    symlink(&target, &path).unwrap();
    let message = KeyPair::open_or_create(&path).unwrap_err().to_string();
    assert!(message.contains("symbolic link"), "{message}");
    fs::remove_file(&path).unwrap();

    let whole = fs::read_to_string(&target).unwrap();
    let wrong = [
        (Vec::new(), "does not begin with"),
        (vec![0xff; 200], "it is no text"),
        (vec![b'x'; 300], "it has 300 bytes, the limit is 256"),
        (whole.as_bytes()[..whole.len() - 9].to_vec(), "checksum is wrong"),
        (format!("{whole}00").into_bytes(), "checksum is wrong"),
    ];
    for (bytes, problem) in wrong {
        fs::write(&target, bytes).unwrap();
        let error = KeyPair::open_or_create(&target).unwrap_err();
        assert!(matches!(error, KeyFileError::NotAKey { .. }), "{error}");
        assert!(error.to_string().contains(problem), "{error}");
        assert!(!error.to_string().contains(&whole[25..]), "it shows the key");
    }

    let directory = folder.path().join("directory");
    fs::create_dir(&directory).unwrap();
    assert!(KeyPair::open(&directory).unwrap_err().to_string().contains("not a regular file"));
}

#[test]
fn of_many_who_make_it_all_have_the_same() {
    for _ in 0..20 {
        let (folder, path) = folder();
        let makers: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                thread::spawn(move || KeyPair::open_or_create(&path).unwrap().public())
            })
            .collect();
        let keys: Vec<_> = makers.into_iter().map(|maker| maker.join().unwrap()).collect();
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }
}
