//! An app in a process of its own, `blaze demo-app`, and what its database holds.
#![allow(clippy::needless_pass_by_value, reason = "`json!` makes values, to be handed over")]

use std::collections::BTreeMap;
use std::path::Path;

use blaze_sync::{Database, Record, RecordKey};
use serde_json::{Value, json};

use super::{Bench, Running};

/// The collection that the shorthands of [`App`] write to.
pub const COLLECTION: &str = "notes";

/// Every record of every collection.
pub type Collections = BTreeMap<String, Vec<(RecordKey, Record)>>;

/// An app that does as it is told, with an encrypted database.
pub struct App {
    process: Running,
}

impl App {
    /// Starts it with a database, whose password is its file's name.
    pub fn open(bench: &Bench, file: &str, durability: &str) -> Self {
        let mut app = Self { process: bench.start(&["demo-app"]) };
        let path = bench.path(file);
        app.ask(json!({ "Open": {
            "path": path, "password": file, "durability": durability, "name": file,
        } }));
        app
    }

    /// Sends a command without waiting for its answer.
    pub fn tell(&mut self, command: &Value) {
        self.process.tell(&command.to_string());
    }

    /// Waits for the answer to the first command that was not answered yet.
    pub fn done(&mut self) -> Value {
        let mut answer =
            self.process.object(|line| line.get("Done").is_some() || line.get("Failed").is_some());
        assert!(answer.get("Done").is_some(), "{answer}");
        answer["Done"].take()
    }

    /// Waits until it watches for what it was told to wait for.
    pub fn ready(&mut self) {
        self.process.object(|line| line == "Ready");
    }

    /// Sends a command and waits for its answer.
    pub fn ask(&mut self, command: Value) -> Value {
        self.tell(&command);
        self.done()
    }

    pub fn join(&mut self, endpoint: &str) {
        self.ask(json!({ "Join": { "endpoint": endpoint } }));
    }

    /// Waits until there is a hub, as far as it knows, and tells whether it is it.
    pub fn is_hub(&mut self) -> bool {
        self.ask(json!("AwaitSeat"))["IsHub"].as_bool().unwrap()
    }

    pub fn listen(&mut self, endpoint: &str) {
        self.ask(json!({ "Listen": { "endpoint": endpoint } }));
    }

    /// Connects in both directions, and waits until the link is up.
    pub fn connect(&mut self, endpoint: &str) {
        self.connect_as(endpoint, "Bidirectional");
    }

    pub fn connect_as(&mut self, endpoint: &str, mode: &str) {
        self.ask(json!({ "Connect": { "endpoint": endpoint, "mode": mode } }));
        self.ask(json!("AwaitLink"));
    }

    /// The command that makes a record equal to this one, or deletes it.
    pub fn write_command(key: &str, record: &Value) -> Value {
        json!({ "Write": { "collection": COLLECTION, "records": [[key, record]] } })
    }

    pub fn put(&mut self, key: &str, record: Value) {
        self.ask(Self::write_command(key, &record));
    }

    pub fn delete(&mut self, key: &str) {
        self.put(key, Value::Null);
    }

    pub fn update(&mut self, key: &str, fields: Value) {
        self.ask(json!({ "Update": { "collection": COLLECTION, "key": key, "fields": fields } }));
    }

    /// A record, or null.
    pub fn read(&mut self, key: &str) -> Value {
        self.ask(json!({ "Read": { "collection": COLLECTION, "key": key } }))["Record"].take()
    }

    pub fn count(&mut self) -> u64 {
        let count = self.ask(json!({ "Count": { "collection": COLLECTION } }));
        count["Count"].as_u64().unwrap()
    }

    /// Waits until every connected peer has everything, and there is one.
    pub fn settle(&mut self) {
        self.ask(json!("Settle"));
    }

    /// The conflicts that it was told of.
    pub fn conflicts(&mut self) -> Vec<Value> {
        let report = self.ask(json!("Report"));
        report["Report"]["conflicts"].as_array().unwrap().clone()
    }

    /// Kills it (SIGKILL), and returns how many answers it had given since the
    /// last one that was waited for.
    pub fn kill(mut self) -> usize {
        let lines = self.process.kill();
        lines.iter().filter(|line| line.starts_with("{\"Done\"")).count()
    }

    /// Closes its links and its database.
    pub fn close(mut self) {
        self.ask(json!("Close"));
        assert_eq!(self.process.wait(), Some(0));
    }
}

/// Opens a file for reading, and reads every record.
pub fn contents(path: &Path, password: Option<&str>) -> Collections {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut options = Database::open(path).read_only(true);
        if let Some(password) = password {
            options = options.password(password);
        }
        let db = options.await.unwrap();
        let mut all = Collections::new();
        for info in db.collections().await.unwrap() {
            let records = db.collection(&info.name).list(None, usize::MAX).await.unwrap();
            assert_eq!(records.len() as u64, info.records, "{}", info.name);
            all.insert(info.name.to_string(), records);
        }
        db.close().await.unwrap();
        all
    })
}
