//! A database, its links and what is told of them, until a signal ends it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use blaze_sync::{
    Admission, Compression, Database, Endpoint, ExportPolicy, InheritedListeners, Mode,
    NodeOptions, Role, TcpTransport, Topology, Transport, default_endpoint,
};

use super::known::Attempts;
use super::report::{Events, Report};
use super::signals::Signals;
use super::unix::{self, UnixOptions};
use crate::args::CreateArgs;
use crate::output;
use crate::policies::Policies;
#[cfg(feature = "tls")]
use crate::trust::{PeersFile, Trust, TrustArgs};

/// The exit code of a process that ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// What to do with a database.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The node's name; by default the file's, without its extension.
    pub(super) name: Option<String>,
    /// The node's role; by default what the database holds.
    pub(super) role: Option<Role>,
    /// Where to accept peers.
    pub(super) listen: Vec<Endpoint>,
    /// Whether to accept them at the default endpoint.
    pub(super) default_listen: bool,
    /// The modes that they may ask for.
    pub(super) allow: Vec<Mode>,
    /// Where to connect to.
    pub(super) connect: Vec<Endpoint>,
    /// Where the peers listen that are to be connected to, as none was named.
    pub(super) known: Vec<Endpoint>,
    /// Which endpoints to join.
    pub(super) join: Vec<Endpoint>,
    /// Whether to connect to the default endpoint.
    pub(super) default_connect: bool,
    /// What the links made carry; by default what was agreed with the peer, if anything was.
    pub(super) mode: Option<Mode>,
    /// What changes over TCP and TLS are compressed by.
    pub(super) compression: Compression,
    /// Whether to report in JSON.
    pub(super) json: bool,
    /// What peers see and write.
    pub(super) policies: Policies,
    /// Who is on the other side of Unix sockets.
    pub(super) unix: UnixOptions,
    /// Where the key and the peers for TLS are.
    #[cfg(feature = "tls")]
    pub(super) trust: TrustArgs,
    /// What was agreed that links to these endpoints carry.
    pub(super) agreed: Vec<(Endpoint, Mode)>,
}

impl Plan {
    /// Listens at what was inherited, unless it is said where.
    fn with_inherited(mut self, inherited: &InheritedListeners) -> Self {
        let mut passed = inherited.endpoints().map(|(_, endpoint)| endpoint.clone()).peekable();
        if self.default_listen && passed.peek().is_some() {
            self.default_listen = false;
            self.listen.extend(passed);
        }
        self
    }

    /// What a link to an endpoint is to carry.
    pub(super) fn mode_at(&self, endpoint: &Endpoint) -> Mode {
        let agreed = self.agreed.iter().find(|(other, _)| other == endpoint);
        self.mode.or(agreed.map(|(_, mode)| *mode)).unwrap_or_default()
    }

    /// What a link to an endpoint is to carry, and what is seen and written by whoever is there,
    /// unless that one has a policy of its own.
    pub(super) fn policy_at(&self, endpoint: &Endpoint) -> ExportPolicy {
        let mut policy = ExportPolicy::new(self.mode_at(endpoint));
        policy.scope.clone_from(&self.policies.others);
        policy
    }

    /// Whom to accept, and what is seen and written by whoever has no policy of its own.
    fn admission(&self) -> Admission {
        let mut admission = Admission::new(self.allow.clone());
        admission.scope.clone_from(&self.policies.others);
        admission
    }
}

/// Keeps a database in sync until a signal comes.
pub(super) async fn replicate(database: &CreateArgs, plan: Plan) -> Result<()> {
    let inherited = unix::inherited()?;
    let plan = plan.with_inherited(&inherited);
    let db = database.open().await?;
    let path = &database.write.path;
    // Not before: ctrl-C at the question for a password ends the process, as everywhere.
    let mut signals = Signals::new()?;
    let mut report = Report::new(plan.json);
    let tcp = TcpTransport::plaintext_loopback().with_compression(plan.compression);
    let tcp: Arc<dyn Transport> = Arc::new(tcp);
    let transports: Vec<_> = plan.unix.transports(&inherited).into_iter().chain([tcp]).collect();
    #[cfg(feature = "tls")]
    let (plan, trust) = match plan.secure(path, db.identity().role) {
        Ok(secured) => secured,
        Err(error) => {
            db.close().await?;
            return Err(error);
        }
    };
    #[cfg(feature = "tls")]
    let transports = {
        let tls = trust.as_ref().map(|trust| trust.transport(plan.compression));
        transports.into_iter().chain(tls).collect()
    };
    let policies = plan.policies.known.clone();
    let options = NodeOptions { policies, ..NodeOptions::default() };
    let topology = Topology::with_transports(transports, options);
    let running = run(path, &db, &topology, &plan, &mut report);
    #[cfg(feature = "tls")]
    let running = beside(running, trust.as_ref(), path, &plan.trust.peers);
    let result = tokio::select! {
        result = running => result,
        () = signals.next() => Ok(()),
    };
    let close = async {
        topology.close().await;
        // What was merged last is told as well.
        let told = report.drain().await;
        db.close().await?;
        told
    };
    let closed = tokio::select! {
        closed = close => closed,
        // Whoever asks twice doesn't want to wait for a peer that doesn't answer.
        () = signals.next() => std::process::exit(INTERRUPTED),
    };
    result.and(closed)?;
    report.closed();
    Ok(())
}

/// Runs something while what other processes change of the peers is taken in.
#[cfg(feature = "tls")]
async fn beside<T>(
    running: impl Future<Output = T>,
    trust: Option<&Trust>,
    path: &Path,
    peers: &PeersFile,
) -> T {
    let Some(trust) = trust else { return running.await };
    tokio::select! {
        result = running => result,
        never = trust.follow(path, peers) => never,
    }
}

/// Makes the links, and tells what happens for as long as nothing fails.
async fn run(
    path: &Path,
    db: &Database,
    topology: &Topology,
    plan: &Plan,
    report: &mut Report,
) -> Result<()> {
    let identity = db.identity();
    let role = plan.role.unwrap_or(identity.role);
    let stem = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = plan.name.clone().or_else(stem).unwrap_or_default();
    let node = topology.register(db.clone(), &name, role).await?;
    report.started(&name, role, &identity);
    report.follow(Events {
        links: topology.links(node)?,
        ended: topology.ended(node)?,
        conflicts: topology.conflicts(node)?,
        withdrawals: topology.withdrawals(node)?,
        changes: db.observe_all(db.head()),
    });

    let default = |wanted: bool| {
        let endpoint = wanted.then(|| default_endpoint(&identity.database)).transpose();
        let endpoint = endpoint.context("there is no default endpoint here; name one")?;
        anyhow::Ok(endpoint)
    };
    for endpoint in plan.listen.iter().cloned().chain(default(plan.default_listen)?) {
        let endpoint = topology.listen_for(node, &endpoint.to_string(), plan.admission()).await?;
        report.listening(&endpoint);
        if endpoint.scheme() == "tcp" {
            output::warning(format_args!(
                "any user of this device can connect to {endpoint}, read and write, as far as \
                 --allow and --policy let them; a unix: endpoint is for this user alone"
            ));
        }
    }
    for endpoint in plan.connect.iter().cloned().chain(default(plan.default_connect)?) {
        topology.connect(node, &endpoint.to_string(), plan.policy_at(&endpoint)).await?;
    }
    for endpoint in &plan.join {
        topology.join(node, &endpoint.to_string(), plan.mode_at(endpoint)).await?;
    }
    let mut attempts = Attempts::begin(topology, node, plan);
    loop {
        tokio::select! {
            told = report.next() => told?,
            attempted = attempts.next() => attempted?,
        }
    }
}
