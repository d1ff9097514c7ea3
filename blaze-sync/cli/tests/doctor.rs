//! doctor: what is wrong with an endpoint or this device, each fault made for real.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::process;

use blaze_codec::NodeId;
use blaze_codec::message::{Goodbye, Hello, Message, Reason};
use common::doctor::{Diagnosis, NOBODY};
use common::{Bench, Running, fake};
use rustix::process::Signal;
use serde_json::json;

/// A server of a database at an endpoint that is ready.
fn serving(bench: &Bench, args: &[&str]) -> Running {
    let mut server = bench.start(&[&["serve", "db", "--json", "--listen"], args].concat());
    server.object(|line| line["event"] == "listening");
    server
}

/// A server that was killed.
fn killed(bench: &Bench, endpoint: &str) -> u32 {
    let mut server = serving(bench, &[endpoint]);
    server.kill();
    server.id()
}

fn directory(bench: &Bench, name: &str, mode: u32) {
    fs::create_dir(bench.path(name)).unwrap();
    fs::set_permissions(bench.path(name), PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn a_live_server_is_named_and_notes_no_peer() {
    let bench = Bench::new();
    bench.ok(&["put", "copy", "c", "k", "text=hello"]);
    let socket = bench.socket("s");
    let mut server = serving(&bench, &[&socket, "--name", "office"]);
    for args in [&[&*socket][..], &["copy", &socket]] {
        let seen = bench.doctor(args);
        seen.assert_well();
        assert_eq!(seen.ok("socket"), format!("pid {} (blaze) listens", server.id()));
        let session = seen.ok("session");
        assert!(session.starts_with("\"office\" answers, a client that is node "), "{session}");
        assert!(session.ends_with("in protocol version 1"), "{session}");
        let clock = seen.ok("clock");
        assert!(clock.contains("this one, ± "), "{clock}");
        // It came, and went again.
        server.object(|line| line["peer"]["name"] == "probe" && line["state"] == "closed");
    }
    // Only from one that takes part anything comes, and only that one is registered.
    assert_eq!(bench.json(&["status", "db", "--json"])["peers"], json!([]));
    server.signal(Signal::INT);
    assert_eq!(server.wait(), Some(0));
    assert_eq!(bench.json(&["status", "db", "--json"])["peers"], json!([]));
}

#[test]
fn a_stale_socket_is_told_from_none_and_left_to_the_next_server() {
    let bench = Bench::new();
    let socket = bench.socket("s");
    let (text, remedy) = bench.doctor(&[&socket]).fault("socket");
    let expected = "nothing listens: there is no socket, and no server of Blaze was there before";
    assert_eq!(text, expected);
    assert_eq!(remedy, format!("start the server: blaze serve FILE --listen {socket}"));

    let pid = killed(&bench, &socket);
    let (text, remedy) = bench.doctor(&[&socket]).fault("socket");
    let expected = "the socket is stale: nobody listens, its server was killed";
    assert_eq!(text, format!("{expected}, which was pid {pid}"));
    assert!(remedy.contains(&format!("blaze serve FILE --listen {socket}")), "{remedy}");
    assert!(remedy.ends_with("it replaces the socket, and nobody else may remove it"), "{remedy}");

    let mut server = serving(&bench, &[&socket]);
    bench.doctor(&[&socket]).assert_well();
    server.signal(Signal::INT);
    assert_eq!(server.wait(), Some(0));
    let (text, remedy) = bench.doctor(&["db", &socket]).fault("socket");
    assert!(text.ends_with(&format!("the last one that did was pid {}", server.id())), "{text}");
    assert_eq!(remedy, format!("start the server: blaze serve db --listen {socket}"));
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_that_holds_the_lock_but_does_not_listen_is_named() {
    let bench = Bench::new();
    killed(&bench, &bench.socket("s"));
    let lock = fs::File::open(bench.path("s.lock")).unwrap();
    lock.lock().unwrap();
    let (text, remedy) = bench.doctor(&[&bench.socket("s")]).fault("socket");
    assert!(text.contains(&format!("nobody listens, though pid {} (", process::id())), "{text}");
    assert!(remedy.starts_with(&format!("end pid {0} (kill {0})", process::id())), "{remedy}");
}

#[test]
fn a_path_that_is_too_long_is_told_with_one_that_fits() {
    let bench = Bench::new();
    let (text, remedy) = bench.doctor(&[&bench.socket(&"x".repeat(120))]).fault("socket");
    let (_, more) = text.split_once(" bytes, ").expect(&text);
    let more: usize = more.split_once(" more than").expect(&text).0.parse().unwrap();
    // The name is too long by itself, wherever it is.
    assert!((1..120).contains(&more), "{text}");
    let shorter = remedy.strip_prefix("choose a shorter one such as ").expect(&remedy);
    let fits = bench.doctor(&[&format!("unix:{shorter}")]);
    let (text, _) = fits.fault("socket");
    assert!(text.starts_with("there is no socket directory "), "{text}");
}

#[test]
fn a_missing_directory_is_told_from_one_that_may_not_be_entered() {
    let bench = Bench::new();
    let (text, remedy) = bench.doctor(&[&bench.socket("none/s")]).fault("socket");
    let none = bench.path("none").display().to_string();
    assert_eq!(text, format!("there is no socket directory {none}"));
    assert!(remedy.ends_with(&format!("mkdir -m 700 {none}")), "{remedy}");

    directory(&bench, "closed", 0o700);
    let socket = bench.socket("closed/s");
    let denied = if rustix::process::geteuid().is_root() {
        bench.doctor_as_nobody(&[&socket])
    } else {
        fs::set_permissions(bench.path("closed"), PermissionsExt::from_mode(0o000)).unwrap();
        Some(bench.doctor(&[&socket]))
    };
    if let Some(denied) = denied {
        let (text, remedy) = denied.fault("socket");
        assert!(text.starts_with("permission denied: "), "{text}");
        assert!(remedy.starts_with("run this as the owner of "), "{remedy}");
    }
    fs::set_permissions(bench.path("closed"), PermissionsExt::from_mode(0o700)).unwrap();
}

#[test]
fn what_others_could_replace_and_what_is_no_socket_is_told() {
    let bench = Bench::new();
    directory(&bench, "open", 0o1777);
    let (text, remedy) = bench.doctor(&[&bench.socket("open/s")]).fault("socket");
    assert!(text.ends_with("open is writable by other users (mode 1777)"), "{text}");
    assert!(remedy.starts_with("use a 0700 directory such as /"), "{remedy}");

    bench.write("file", "precious");
    symlink(bench.path("file"), bench.path("link")).unwrap();
    for (name, what) in [("file", "a regular file"), ("link", "a symbolic link")] {
        let (text, remedy) = bench.doctor(&[&bench.socket(name)]).fault("socket");
        let path = bench.path(name).display().to_string();
        assert_eq!(text, format!("{path} is {what}, not a socket, and no server removes it"));
        assert!(remedy.ends_with(&format!("mv {path} {path}.old")), "{remedy}");
    }
    assert_eq!(bench.read("file"), "precious");
}

#[test]
fn a_socket_or_a_directory_of_another_user_is_told() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give a socket to another user");
        return;
    }
    let bench = Bench::new();
    directory(&bench, "theirs", 0o700);
    chown(bench.path("theirs"), Some(NOBODY), None).unwrap();
    let (text, remedy) = bench.doctor(&[&bench.socket("theirs/s")]).fault("socket");
    assert!(text.ends_with("is owned by uid 65534, expected 0 (mode 0700)"), "{text}");
    assert!(remedy.starts_with("use a 0700 directory such as /"), "{remedy}");

    let _listener = UnixListener::bind(bench.path("s")).unwrap();
    chown(bench.path("s"), Some(NOBODY), None).unwrap();
    let (text, remedy) = bench.doctor(&[&bench.socket("s")]).fault("socket");
    assert!(text.ends_with("s is a socket of uid 65534, expected 0"), "{text}");
    assert!(remedy.starts_with("run this as uid 65534, or use a socket in "), "{remedy}");
}

#[test]
fn a_port_at_which_nothing_listens() {
    let bench = Bench::new();
    let (_taken, free) = fake::silent_port();
    let (text, remedy) = bench.doctor(&[&format!("tcp://{free}")]).fault("port");
    assert_eq!(text, format!("nothing listens at port {} of this device", free.port()));
    assert_eq!(remedy, format!("start the server: blaze serve FILE --listen tcp://{free}"));
}

/// A program at a port that answers whatever it hears with this.
fn stranger(answer: &'static [u8]) -> String {
    fake::serve(move |_| answer.to_vec())
}

#[test]
fn a_port_in_use_by_another_program_is_told_with_whose() {
    let bench = Bench::new();
    let endpoint = stranger(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let seen = bench.doctor(&[&endpoint]);
    let (text, remedy) = seen.fault("session");
    assert!(text.contains(" listens, but doesn't speak Blaze: "), "{text}");
    assert!(remedy.ends_with(&format!("or choose another endpoint than {endpoint}")), "{remedy}");
    if cfg!(target_os = "linux") {
        assert!(text.starts_with(&format!("pid {} (", process::id())), "{text}");
        assert!(remedy.starts_with(&format!("end it (kill {}), ", process::id())), "{remedy}");
        let port = seen.ok("port");
        assert!(port.starts_with(&format!("in use by pid {} (", process::id())), "{port}");
    }

    // Another user sees that there is one, and who could see more.
    let endpoint = stranger(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    if let Some(seen) = bench.doctor_as_nobody(&[&endpoint]) {
        let port = seen.ok("port");
        let expected = "in use by a process of uid 0, which this user can't see (as root: ss -ltnp";
        assert!(port.starts_with(expected), "{port}");
    }
}

#[test]
fn a_program_that_says_nothing_is_given_up() {
    let bench = Bench::new();
    let silent = UnixListener::bind(bench.path("s")).unwrap();
    let (text, remedy) = bench.doctor(&[&bench.socket("s")]).fault("session");
    assert!(text.contains(" listens, but answered no hello within 5"), "{text}");
    // The kernel names it, whatever it says.
    assert!(text.starts_with(&format!("pid {}", process::id())), "{text}");
    assert!(remedy.contains("it hangs"), "{remedy}");
    drop(silent);
}

#[test]
fn an_address_beyond_this_device_is_told() {
    let bench = Bench::new();
    let cases = [
        (
            "192.0.2.1",
            "192.0.2.1 is no address of this device, so that nobody can listen at it here",
        ),
        ("0.0.0.0", "0.0.0.0 stands for all addresses of this device"),
        ("example.org", "example.org is a name, which could stand for any address"),
    ];
    for (host, expected) in cases {
        let (text, remedy) = bench.doctor(&[&format!("tcp://{host}:7117")]).fault("port");
        assert!(text.contains("plaintext TCP is limited to loopback"), "{text}");
        assert!(text.ends_with(expected), "{text}");
        assert!(remedy.contains("tcp://127.0.0.1:7117"), "{remedy}");
        assert!(remedy.ends_with(&format!("tls://{host}:7117")), "{remedy}");
    }
}

/// What is found of a server that answers a hello with this message.
fn found(answer: impl FnOnce(Hello) -> Message + Send + 'static) -> Diagnosis {
    Bench::new().doctor(&[&fake::serve(move |hello| fake::framed(&answer(hello)))])
}

fn other(hello: Hello) -> Hello {
    Hello { node: NodeId::from_bytes([9; 16]), name: "other".into(), ..hello }
}

#[test]
fn a_server_of_another_protocol_version_is_told_with_who_is_to_update() {
    let newer = |hello| Message::Hello(Hello { protocol_min: 7, protocol_max: 9, ..other(hello) });
    let (text, remedy) = found(newer).fault("session");
    assert_eq!(text, "the server speaks protocol versions 7 to 9, this program 1 to 1");
    assert_eq!(remedy, "update this program, which is the older one");

    let older = |hello| Message::Hello(Hello { protocol_min: 0, protocol_max: 0, ..other(hello) });
    let (text, remedy) = found(older).fault("session");
    assert_eq!(text, "the server speaks protocol versions 0 to 0, this program 1 to 1");
    assert_eq!(remedy, "update the server, which is the older one");

    // One that looks at the version first says goodbye instead.
    let message = "you speak protocol versions 1 to 1, the other side 7 to 9".to_owned();
    let goodbye = Goodbye { reason: Reason::ProtocolVersion, message };
    let (text, remedy) = found(|_| Message::Goodbye(goodbye)).fault("session");
    assert!(text.ends_with("you speak protocol versions 1 to 1, the other side 7 to 9"), "{text}");
    assert_eq!(remedy, "update the older side");
}

#[test]
fn a_server_whose_clock_is_off_is_told() {
    let hour_ms = 60 * 60 * 1000;
    let at = move |ahead: i64| {
        found(move |hello| {
            let wall_ms = hello.wall_ms.saturating_add_signed(ahead);
            Message::Hello(Hello { wall_ms, ..other(hello) })
        })
    };
    let (text, remedy) = at(hour_ms).fault("clock");
    assert!(text.contains(" ms ahead of this one"), "{text}");
    assert!(text.ends_with("so what the server writes is refused here"), "{text}");
    assert!(remedy.contains("timedatectl set-ntp true"), "{remedy}");
    let (text, _) = at(-hour_ms).fault("clock");
    assert!(text.contains(" ms behind this one"), "{text}");
    assert!(text.ends_with("so the server refuses what is written here"), "{text}");
    let (text, _) = at(120_000).hint("clock");
    assert!(text.contains("ahead of this one"), "{text}");
}

#[test]
fn a_server_of_another_database_or_mode_is_told() {
    let bench = Bench::new();
    bench.ok(&["put", "other", "c", "k", "a=1", "--database", "other"]);
    let socket = bench.socket("s");
    let _server = serving(&bench, &[&socket, "--allow", "write-only"]);
    let (text, remedy) = bench.doctor(&["other", &socket]).fault("session");
    assert_eq!(text, "it speaks Blaze, but serves another database than \"other\"");
    assert!(remedy.starts_with("connect a file of the database that it serves"), "{remedy}");
    let named = bench.socket("s");
    let (text, _) = bench.doctor(&[&named, "--database", "third"]).fault("session");
    assert!(text.ends_with("than \"third\""), "{text}");

    let seen = bench.doctor(&[&socket]);
    seen.assert_well();
    let text = seen.ok("session");
    assert_eq!(
        text,
        "it speaks Blaze, and lets nobody receive who doesn't send, so it says no more"
    );
    assert_eq!(bench.json(&["status", "db", "--json"])["peers"], json!([]));
}

#[test]
fn what_is_no_endpoint_here_is_told() {
    let bench = Bench::new();
    let (text, remedy) = bench.doctor(&["unix:s"]).fault("endpoint");
    assert!(text.contains("the path must be absolute"), "{text}");
    assert!(remedy.contains("unix:/PATH"), "{remedy}");
    let (text, _) = bench.doctor(&["mem:notes"]).fault("endpoint");
    assert!(text.contains("no other process reaches `mem:` endpoints"), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_abstract_name_has_a_server_or_none() {
    let bench = Bench::new();
    let endpoint = format!("unix-abstract:{}", bench.path("name").display());
    let (text, remedy) = bench.doctor(&[&endpoint]).fault("socket");
    assert_eq!(text, format!("nothing listens at {endpoint}"));
    assert!(remedy.ends_with(&format!("--listen {endpoint}")), "{remedy}");
    let mut server = bench.start(&["serve", "db", "--listen", &endpoint, "--json"]);
    server.object(|line| line["event"] == "listening");
    let seen = bench.doctor(&[&endpoint]).ok("socket").clone();
    assert!(seen.contains(&format!("pid {}", server.id())), "{seen}");
}

#[test]
fn with_nothing_given_the_device_is_looked_at() {
    let bench = Bench::new();
    let seen = bench.doctor(&[]);
    seen.assert_well();
    assert_eq!(seen.ok("directory"), "the default socket directory; the first server makes it");
    assert!(seen.ok("clock").ends_with("which can be right"));

    // As `serve` makes it, with a server, and with what a killed one left.
    let mut server = bench.start(&["serve", "db", "--json"]);
    server.object(|line| line["event"] == "listening");
    let mut gone = bench.start(&["serve", "gone", "--database", "gone", "--json"]);
    gone.object(|line| line["event"] == "listening");
    gone.kill();
    let seen = bench.doctor(&[]);
    seen.assert_well();
    assert!(seen.ok("directory").ends_with("it is safe, and has 2 *.sock"));
    assert_eq!(seen.ok("socket"), format!("pid {} (blaze) listens", server.id()));
    seen.ok("session");
    let (text, remedy) = seen.hint("socket");
    assert!(text.ends_with(&format!("was killed, which was pid {}", gone.id())), "{text}");
    assert!(remedy.starts_with("the next server replaces it"), "{remedy}");

    fs::set_permissions(bench.path("blaze"), PermissionsExt::from_mode(0o777)).unwrap();
    let (text, _) = bench.doctor(&[]).fault("directory");
    assert!(text.contains("is writable by other users (mode 0777)"), "{text}");
}

#[test]
fn a_low_limit_of_files_is_told() {
    let bench = Bench::new();
    let mut shell = process::Command::new("sh");
    shell.args(["-c", "ulimit -Sn 100 && exec \"$0\" doctor --json", env!("CARGO_BIN_EXE_blaze")]);
    let output = shell.env("XDG_RUNTIME_DIR", bench.path("")).output().unwrap();
    let (text, remedy) = Diagnosis::of(&output).hint("files");
    assert!(text.starts_with("100, at most "), "{text}");
    assert!(!remedy.is_empty());
}

#[test]
fn no_directory_for_sockets_is_a_fault() {
    let bench = Bench::new();
    let output = bench.command(["doctor", "--json"]).env_clear().output().unwrap();
    let (text, remedy) = Diagnosis::of(&output).fault("directory");
    assert!(text.contains("is not set to an absolute path"), "{text}");
    assert!(remedy.contains("name a socket path"), "{remedy}");
}

#[test]
fn a_person_reads_a_line_a_check_and_then_what_to_do() {
    let bench = Bench::new();
    let socket = bench.socket("s");
    let output = bench.output(&["doctor", &socket]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.is_empty());
    let text = String::from_utf8(output.stdout).unwrap();
    let expected = format!(
        "fault  socket     {socket}\n\nsocket {socket}\n  wrong: nothing listens: there is no \
         socket, and no server of Blaze was there before\n  do:    start the server: blaze serve \
         FILE --listen {socket}\n"
    );
    assert_eq!(text, expected);
    let text = bench.ok(&["doctor"]);
    assert!(text.lines().all(|line| line.starts_with("ok     ") || line.starts_with("hint   ")));
    let help = bench.ok(&["doctor", "--help"]);
    for taught in ["blaze doctor notes.blaze", "It only looks", "exit code is 0"] {
        assert!(help.contains(taught), "{help}");
    }
    // What comes from elsewhere doesn't steer the terminal.
    let hostile = fake::serve(|hello| {
        fake::framed(&Message::Hello(Hello { name: "a\u{1b}[2Jb".into(), ..other(hello) }))
    });
    let text = bench.ok(&["doctor", &hostile]);
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(text.contains("a\\u{1b}[2Jb"), "{text}");
}
