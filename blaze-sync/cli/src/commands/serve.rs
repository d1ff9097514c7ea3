//! `blaze serve` and `blaze connect`: keep a database in sync until interrupted.

use anyhow::{Context as _, Result};
use blaze_sync::{Compression, Endpoint, EndpointError, Mode, Role};

use super::replicate::{Plan, replicate};
use super::unix::{ClientArgs, ServerArgs, UnixOptions};
use crate::args::{CreateArgs, compressions, modes, roles};
use crate::policies::{self, PolicyArgs};
#[cfg(feature = "tls")]
use crate::trust::TrustArgs;

const ENDPOINTS: &str = "\
Endpoints:
  unix:/PATH           other apps of this user on this device
  unix-abstract:NAME   the same without a file, on Linux; anybody can take the name first
  tls://HOST:PORT      other devices, encrypted, and only those that were paired: `blaze pair`
                       and `blaze join` do that, once
  tcp://127.0.0.1:PORT this device only, as it isn't encrypted; any user of the device can
                       connect there, read and write
  The default is a socket in a private directory of this user, named after the database:
  $XDG_RUNTIME_DIR/blaze/main.sock, or below ~/.local/state if there is no such directory.
  Started by systemd with sockets (LISTEN_FDS), `blaze serve` listens with those.
";

/// What both commands have.
#[derive(Debug, clap::Args)]
struct NodeArgs {
    /// What peers call this node; the file's name without its extension if it isn't given
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// server: its writes beat those of clients that hadn't seen them. The database keeps it; a
    /// new one is a client
    #[arg(long, value_parser = roles())]
    role: Option<Role>,

    /// What the links that this side makes carry: read-only only receives, write-only only sends;
    /// with a peer that was joined what was agreed, else bidirectional
    #[arg(long, value_parser = modes())]
    mode: Option<Mode>,

    /// What this side compresses changes by over tcp and tls: lz4 costs little, zstd is for slow links; as
    /// far as the other side reads it
    #[arg(long, default_value = "lz4", value_parser = compressions())]
    compression: Compression,

    /// Print a JSON object a line: "listening", "link", "conflict", "withdrawal", "closed" in
    /// "event"
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    policies: PolicyArgs,

    #[command(flatten)]
    server: ServerArgs,

    #[cfg(feature = "tls")]
    #[command(flatten)]
    trust: TrustArgs,
}

/// Keeps a database in sync with whoever connects, until it is interrupted
///
/// The database is made if there is none. Links that come and go, conflicts, and records that
/// a policy withdraws are printed.
/// ctrl-C, SIGTERM and SIGHUP say goodbye to the peers and close the database; a second one ends
/// at once. Meanwhile the database can be read by other commands, but not written.
#[derive(Debug, clap::Args)]
#[command(after_long_help = long_help(true))]
pub(crate) struct Args {
    #[command(flatten)]
    database: CreateArgs,

    /// Accept peers here; may be given several times
    #[arg(long, value_name = "ENDPOINT", value_parser = endpoint)]
    listen: Vec<Endpoint>,

    /// Connect to a peer here as well; may be given several times
    #[arg(long, value_name = "ENDPOINT", value_parser = endpoint)]
    connect: Vec<Endpoint>,

    /// Listen here if nobody else does, and else connect to who does: of several that join, another
    /// one takes the place of the one that goes; may be given several times
    #[arg(long, value_name = "ENDPOINT", value_parser = endpoint, conflicts_with = "policy")]
    join: Vec<Endpoint>,

    /// The modes that peers who connect may ask for; may be given several times, all if not given
    #[arg(long, value_name = "MODE", value_parser = modes())]
    allow: Vec<Mode>,

    #[command(flatten)]
    clients: ClientArgs,

    #[command(flatten)]
    node: NodeArgs,
}

/// Keeps a database in sync with another one, until it is interrupted
///
/// The database is made if there is none. If nothing listens at the endpoint yet, or the
/// connection is lost, it is tried again. ctrl-C, SIGTERM and SIGHUP say goodbye and close the
/// database; a second one ends at once. Meanwhile the database can be read by other commands, but
/// not written.
#[derive(Debug, clap::Args)]
#[command(after_long_help = long_help(false))]
pub(crate) struct ConnectArgs {
    #[command(flatten)]
    database: CreateArgs,

    /// Where the peers listen; if none is given, where those do that were joined, without the ones
    /// that refuse, and else the default socket
    #[arg(value_name = "ENDPOINT", value_parser = endpoint)]
    endpoints: Vec<Endpoint>,

    #[command(flatten)]
    node: NodeArgs,
}

/// An endpoint that another process can have.
///
/// # Errors
///
/// A sentence if the text is none.
pub(super) fn endpoint(text: &str) -> std::result::Result<Endpoint, String> {
    let endpoint: Endpoint = text.parse().map_err(|error: EndpointError| error.to_string())?;
    match endpoint.scheme() {
        "unix" | "tcp" => Ok(endpoint),
        "unix-abstract" if cfg!(target_os = "linux") => Ok(endpoint),
        "tls" if cfg!(feature = "tls") => Ok(endpoint),
        "tls" => Err("this program was built without the feature `tls`".to_owned()),
        other => Err(format!(
            "nothing here reaches `{other}:` endpoints; write unix:/PATH, tls://HOST:PORT or \
             tcp://127.0.0.1:PORT"
        )),
    }
}

fn long_help(serve: bool) -> String {
    let examples = if serve {
        "\
Examples:
  blaze serve notes.blaze
  blaze serve notes.blaze --listen unix:$HOME/sockets/notes.sock --role server
  blaze serve notes.blaze --listen tls://192.168.0.7:7117
  blaze serve notes.blaze --listen tcp://127.0.0.1:7117 --allow read-only
  blaze serve notes.blaze --join unix:/run/user/1000/notes.sock
  blaze serve notes.blaze --policies policies.json --policy anna
  blaze serve notes.blaze --listen unix:/run/notes/sync.sock --policies policies.json \\
      --allow-user 1001=read-only:kiosk
  blaze serve middle.blaze --listen unix:/run/user/1000/middle.sock \\
      --connect unix:/run/user/1000/office.sock"
    } else {
        "\
Examples:
  blaze connect copy.blaze
  blaze connect copy.blaze tls://192.168.0.7:7117
  blaze connect copy.blaze unix:$HOME/sockets/notes.sock --mode read-only
  blaze connect copy.blaze tcp://127.0.0.1:7117 --name kitchen
  blaze connect notes.blaze --policies policies.json --policy anna    # what the server sees
  blaze connect copy.blaze --json | jq -r 'select(.event == \"conflict\")'"
    };
    format!("{ENDPOINTS}\n{}\n{examples}", policies::HELP)
}

impl Args {
    pub(crate) async fn run(self) -> Result<()> {
        let Self { database, listen, connect, join, allow, clients, node } = self;
        let allow = if allow.is_empty() { Mode::ALL.to_vec() } else { allow };
        let default_listen = listen.is_empty() && connect.is_empty() && join.is_empty();
        let plan = node.plan()?;
        for (option, policy) in clients.policies() {
            plan.policies.check(policy).with_context(|| format!("{option} can't be used"))?;
        }
        let unix = UnixOptions { clients, ..plan.unix };
        let plan = Plan { listen, default_listen, allow, connect, join, unix, ..plan };
        replicate(&database, plan).await
    }
}

impl ConnectArgs {
    pub(crate) async fn run(self) -> Result<()> {
        let Self { database, endpoints, node } = self;
        let default_connect = endpoints.is_empty();
        let plan = Plan { default_connect, connect: endpoints, ..node.plan()? };
        replicate(&database, plan).await
    }
}

impl NodeArgs {
    fn plan(self) -> Result<Plan> {
        let Self { name, role, mode, compression, json, policies, server, .. } = self;
        let policies = policies.open()?;
        let unix = UnixOptions { server, ..UnixOptions::default() };
        let plan = Plan { name, role, mode, compression, json, policies, unix, ..Plan::default() };
        #[cfg(feature = "tls")]
        let plan = Plan { trust: self.trust, ..plan };
        Ok(plan)
    }
}
