//! A peer that is limited to a scope, and goes beyond it.

use std::cell::Cell;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use blaze_codec::message::{Changes, Message, Reason, encode_changes, encode_roll};
use blaze_codec::{Change, Hlc, NodeId, Operation, RecordKey, Rule, Scope, Seq, Version, record};

use super::{Attack, Field, Outcome, attack};
use crate::hub::{Hub, blaze};
use crate::wire::{Target, Wire};

/// What whoever comes sees of the hub.
const POLICIES: &str =
    r#"{"anna": {"notes": {"fields": ["text", "owner"], "where": {"owner": "anna"}}}}"#;
/// What it has: a record that is seen, one that isn't, and one of a hidden collection.
const RECORDS: [&[&str]; 3] = [
    &["notes", "hers", "text=seen", "owner=anna", "price=5"],
    &["notes", "foreign", "text=hidden", "owner=ben", "price=7"],
    &["salaries", "ben", "euros=5"],
];

pub(super) fn attacks() -> Vec<Attack> {
    vec![attack(
        "beyond-policy",
        "writes, withdrawals and rolls of what a policy hides, to a hub beside this one",
        beyond_policy,
    )]
}

fn beyond_policy(field: &Field<'_>) -> Result<Outcome> {
    let limited = Limited::start(field)?;
    let before = limited.contents(field)?;
    let saw = hidden_parts(&limited)?;
    hidden_records(&limited)?;
    withdrawal(&limited)?;
    roll(&limited)?;
    let after = limited.contents(field)?;
    ensure!(after == before, "the hub had {before}, and has {after}");
    let tried = limited.nodes.get().wrapping_sub(field.seed);
    limited.hub.stop()?;
    Ok(Outcome::new(tried, saw))
}

/// Writes of another collection and another field end the session.
fn hidden_parts(limited: &Limited) -> Result<String> {
    let (mut wire, node) = limited.begin()?;
    wire.frame(&changes(insert("salaries", "carla", node)?));
    wire.refused(Reason::Scope, r#"the collection "salaries""#)?;
    let (mut wire, node) = limited.begin()?;
    let priced = Change::Insert(record! { "owner" => "anna", "price" => 1 });
    wire.frame(&changes(Operation { change: priced, ..insert("notes", "new", node)? }));
    wire.refused(Reason::Scope, r#"the field "price" of "notes""#)
}

/// Writes of a record that isn't seen are taken back, each for itself.
fn hidden_records(limited: &Limited) -> Result<()> {
    let hers = || record! { "text" => "taken", "owner" => "anna" };
    let bens = record! { "text" => "for ben", "owner" => "ben" };
    for (key, change) in [
        ("foreign", Change::Insert(hers())),
        ("foreign", Change::Update(vec![("owner".parse()?, Some("anna".into()))])),
        ("foreign", Change::Delete),
        ("new", Change::Insert(bens)),
    ] {
        let (mut wire, node) = limited.begin()?;
        wire.frame(&changes(Operation { change, ..insert("notes", key, node)? }));
        is_taken_back(&mut wire, key)?;
    }
    Ok(())
}

/// Who says that it limits the hub would withdraw what it has, seen or not: the hub, which
/// listens, takes that and keeps it. What it has is looked at in the end.
fn withdrawal(limited: &Limited) -> Result<()> {
    let scope = Scope::new().with("notes".parse()?, Rule::all());
    let (digest, told) = (scope.digest(), Message::Scope(scope.told().encode().into()));
    let node = limited.node();
    let mut wire = limited.target.started_as(node, |hello| hello.scope = digest, &[told])?;
    let withdrawn = |key: &str| -> Result<_> {
        Ok(Operation::withdrawal("notes".parse()?, RecordKey::from(key)))
    };
    let both = [withdrawn("foreign")?, withdrawn("hers")?];
    wire.frame(&encode_changes(Seq::ZERO, Seq(1), &both)[0]);
    let acknowledges =
        |message: &Message| matches!(message, Message::Ack(ack) if ack.through >= Seq(1));
    wire.hear_until(acknowledges).map(drop)
}

/// A roll that nobody asked for.
fn roll(limited: &Limited) -> Result<()> {
    let (mut wire, node) = limited.begin()?;
    let change = Change::Update(Vec::new());
    let named = Operation { change, ..insert("notes", "foreign", node)? };
    let roll = encode_roll(Seq::ZERO, Seq(1), &[named]).context("a roll of one is short")?;
    wire.frame(&roll);
    wire.refused(Reason::Violation, "a roll comes where it is asked for").map(drop)
}

/// A hub that shows all who come a part of what it has.
struct Limited {
    hub: Hub,
    target: Target,
    /// The number of the last node that came.
    nodes: Cell<u64>,
}

impl Limited {
    fn start(field: &Field<'_>) -> Result<Self> {
        let policies = field.folder.join("policies.json");
        fs::write(&policies, POLICIES)?;
        fs::set_permissions(&policies, Permissions::from_mode(0o600))?;
        let path = field.folder.join("hub.blaze");
        for record in RECORDS {
            run(field, &path, &[&["put"], &[""], record].concat())?;
        }
        let options = ["--policies", "policies.json", "--policy", "anna"];
        let hub = Hub::start_with(field.blaze, field.folder, &options)?;
        let target = match field.target {
            Target::Unix(_) => hub.unix.clone(),
            Target::Tcp(_) => hub.tcp.clone(),
        };
        Ok(Self { hub, target, nodes: Cell::new(field.seed) })
    }

    /// A node that wasn't there before.
    fn node(&self) -> u64 {
        self.nodes.set(self.nodes.get().wrapping_add(1));
        self.nodes.get()
    }

    /// A conversation as such a node.
    fn begin(&self) -> Result<(Wire, u64)> {
        let node = self.node();
        Ok((self.target.started(node)?, node))
    }

    fn contents(&self, field: &Field<'_>) -> Result<String> {
        let list = |collection| run(field, &self.hub.path, &["list", "", collection, "--json"]);
        let all = run(field, &self.hub.path, &["list", "", "--json"])?;
        Ok(all + &list("notes")? + &list("salaries")?)
    }
}

/// Runs the program, whose empty argument is the database, and returns what it printed.
fn run(field: &Field<'_>, database: &Path, args: &[&str]) -> Result<String> {
    let mut command = blaze(field.blaze, field.folder);
    for arg in args {
        match *arg {
            "" => command.arg(database),
            arg => command.arg(arg),
        };
    }
    let output = command.output().context("can't start the program")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "blaze {args:?} ended with {}: {error}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// An insert by a node, later than all that the hub has.
fn insert(collection: &str, key: &str, node: u64) -> Result<Operation> {
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let node = NodeId::from_bytes(u128::from(node).to_be_bytes());
    Ok(Operation {
        collection: collection.parse()?,
        key: RecordKey::from(key),
        version: Version { epoch: Hlc::ZERO, hlc: Hlc::from_millis(now), node },
        base: Version::ZERO,
        change: Change::Insert(record! { "text" => "hello" }),
    })
}

/// The body of the frame with one operation.
fn changes(operation: Operation) -> Vec<u8> {
    encode_changes(Seq::ZERO, Seq(1), &[operation])[0].to_vec()
}

/// Waits until the hub takes back what was written to this record, and nothing else.
fn is_taken_back(wire: &mut Wire, key: &str) -> Result<()> {
    let told = wire.hear_until(|message| matches!(message, Message::Changes(_)))?;
    let Message::Changes(frame) = told else { bail!("{told:?} are no changes") };
    let operations = Changes::decode(&frame.payload)?.operations;
    let expected = Operation::withdrawal("notes".parse()?, RecordKey::from(key));
    ensure!(operations == [expected], "the hub tells {operations:?} instead of a withdrawal");
    Ok(())
}
