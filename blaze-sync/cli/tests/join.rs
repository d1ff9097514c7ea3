//! Apps that join one socket without a server, of which the hub is killed again and again.

mod common;

use std::time::{Duration, Instant};

use common::{App, Bench, COLLECTION, DEADLINE};
use rustix::process::Signal;
use serde_json::{Value, json};

const APPS: usize = 4;
/// How often the hub is killed; `BLAZE_HUB_KILLS` asks for more.
const KILLS: usize = 25;

/// Which of the apps is the hub, once there is one. An app that hasn't yet noticed that the
/// last one is gone thinks that it has a hub.
fn hub(apps: &mut [App]) -> usize {
    let started = Instant::now();
    loop {
        let hubs: Vec<usize> = (0..apps.len()).filter(|app| apps[*app].is_hub()).collect();
        assert!(hubs.len() < 2, "two hubs: {hubs:?}");
        if let [hub] = hubs[..] {
            return hub;
        }
        assert!(started.elapsed() < DEADLINE, "nobody took the place");
    }
}

fn kills() -> usize {
    std::env::var("BLAZE_HUB_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS)
}

#[test]
fn serve_joins_in_whatever_order_and_another_becomes_the_hub() {
    let bench = Bench::new();
    let endpoint = bench.socket("hub");
    let start = |file: &str| bench.start(&["serve", file, "--join", &endpoint, "--json"]);
    let state = |state: &'static str| move |line: &Value| line["state"] == state;
    bench.ok(&["put", "a", "c", "k", "x=1"]);
    let mut a = start("a");
    assert_eq!(a.object(state("hub"))["direction"], "outgoing");
    let mut b = start("b");
    assert_eq!(b.object(state("live"))["peer"]["name"], "a");
    bench.wait_for_record("b", "c", "k");
    a.signal(Signal::INT);
    assert_eq!(a.wait(), Some(0));
    b.object(state("hub"));
    let mut a = bench.start(&["serve", "a", "--join", &endpoint]);
    a.line(|line| line.starts_with("in sync with b"));
    b.signal(Signal::INT);
    assert_eq!(b.wait(), Some(0));
    a.line(|line| line.starts_with("listening at unix:"));
}

#[test]
fn a_hub_that_is_killed_has_a_successor_and_nothing_is_lost() {
    let bench = Bench::new();
    let endpoint = bench.socket("hub");
    let mut files: Vec<String> = (0..APPS).map(|app| format!("{app}.blaze")).collect();
    let mut apps: Vec<App> = files
        .iter()
        .map(|file| {
            let mut app = App::open(&bench, file, "process");
            app.join(&endpoint);
            app
        })
        .collect();
    let (mut written, mut without) = (0_u64, Vec::new());
    for kill in 0..kills() {
        // Each writes, and the hub goes before it can have told all of them.
        let victim = hub(&mut apps);
        for app in &mut apps {
            app.put(&format!("{written}"), json!({ "kill": kill }));
            written += 1;
        }
        apps.remove(victim).kill();
        let (file, killed) = (files.remove(victim), Instant::now());
        hub(&mut apps);
        without.push(killed.elapsed());
        // What is written now, the killed one gets when it is back.
        apps[0].put(&format!("{written}"), json!({ "kill": kill }));
        written += 1;
        let mut back = App::open(&bench, &file, "process");
        back.join(&endpoint);
        apps.push(back);
        files.push(file);
        for app in &mut apps {
            app.ask(json!({ "AwaitCount": { "collection": COLLECTION, "count": written } }));
        }
    }
    without.sort_unstable();
    let longest: Duration = without[without.len() - 1];
    println!("{} kills, without a hub for {longest:?} at most", without.len());
    for app in &mut apps {
        let lost = (0..written).find(|key| app.read(&key.to_string()).is_null());
        assert_eq!(lost, None, "a write is lost");
    }
    apps.into_iter().for_each(App::close);
}
