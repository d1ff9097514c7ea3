//! Two devices that are paired: `vault`, which is served, and whoever joins it.
#![allow(dead_code, reason = "each test file is a program that uses part of it")]

use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::Value;

use crate::common::{Bench, Running};

/// An endpoint that nobody listens at. Only Linux has the whole of 127.0.0.0/8, where a port that
/// one test has just closed is never the one that the system picks for another.
pub(crate) fn endpoint() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = process::id().to_be_bytes();
    let host = if cfg!(target_os = "linux") {
        format!("127.{high}.{low}.{}", NEXT.fetch_add(1, Ordering::Relaxed))
    } else {
        "127.0.0.1".to_owned()
    };
    let free = TcpListener::bind((host, 0)).unwrap();
    format!("tls://{}", free.local_addr().unwrap())
}

/// A bench with the database `vault`, named `ledger`, which has a record.
pub(crate) fn bench() -> Bench {
    let bench = Bench::new();
    bench.ok(&["put", "vault", "accounts", "cash", "euros=5", "--database", "ledger"]);
    bench
}

/// Starts `pair`; returns it and its ticket.
pub(crate) fn pair(bench: &Bench, endpoint: &str, options: &[&str]) -> (Running, String) {
    let mut pair = bench.start(&[&["pair", "vault", endpoint], options].concat());
    let ticket = pair.line(|_| true);
    assert!(ticket.starts_with("blaze-ticket-1:"), "{ticket}");
    (pair, ticket)
}

pub(crate) fn join(bench: &Bench, ticket: &str, file: &str, options: &[&str]) -> Value {
    let args = ["join", file, "--database", "ledger", "--json"];
    let paired = bench.ok_with_input(ticket.as_bytes(), &[&args, options].concat());
    serde_json::from_str(&paired).unwrap()
}

/// Pairs `vault` with a file by processes of their own.
pub(crate) fn paired(bench: &Bench, endpoint: &str, file: &str, options: &[&str]) {
    let (mut pair, ticket) = pair(bench, endpoint, options);
    join(bench, &ticket, file, &[]);
    assert_eq!(pair.wait(), Some(0), "{}", pair.stderr());
}

pub(crate) fn serve(bench: &Bench, endpoint: &str) -> Running {
    serve_with(bench, endpoint, &[])
}

pub(crate) fn serve_with(bench: &Bench, endpoint: &str, options: &[&str]) -> Running {
    let args = ["serve", "vault", "--listen", endpoint, "--json"];
    let mut serve = bench.start(&[&args, options].concat());
    serve.object(|line| line["event"] == "listening");
    serve
}

pub(crate) fn connect(bench: &Bench, file: &str, options: &[&str]) -> Running {
    bench.start(&[&["connect", file, "--json"], options].concat())
}

pub(crate) fn state(state: &'static str) -> impl Fn(&Value) -> bool {
    move |line| line["state"] == state
}
