//! `blaze pair`: shows a ticket by which one other device comes to be trusted.

use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use blaze_sync::{
    Endpoint, IssuedTicket, Listener, Mode, Paired, PairingError, Role, TlsTransport, Transport,
    TransportError, TrustedPeer,
};
use serde_json::json;

use super::serve;
use super::signals::Signals;
use crate::args::{CreateArgs, modes, roles};
use crate::output::{self, Out};
use crate::policies;
use crate::progress::Progress;
use crate::shell;
use crate::trust::TrustArgs;

/// How long a ticket lasts, for the bar.
const LASTS_S: u64 = 600;
/// Refused attempts that are told; a stranger can make any number.
const TOLD_MAX: u32 = 20;

/// Shows a ticket by which another device may pair with this database, and waits until it has
///
/// The ticket, the only thing on standard output, is good once and for 10 minutes. Whoever has it
/// can pair: pass it on where nobody else reads. The other device takes it by `blaze join`. Both
/// then show the same eight words, know each other by their keys, and need no ticket any more.
///
/// It works beside a `blaze serve` of the database that listens at the endpoint; if nothing does,
/// this command listens there itself, for pairing only.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  blaze pair notes.blaze tls://192.168.0.7:7117
  blaze serve notes.blaze --listen tls://192.168.0.7:7117     # then, or before
  blaze pair notes.blaze tls://home.example:7117 --listen tls://0.0.0.0:7117
  blaze pair notes.blaze tls://192.168.0.7:7117 --name kiosk --mode read-only
  blaze pair notes.blaze tls://192.168.0.7:7117 --name phone --policy anna
  blaze pair notes.blaze tls://192.168.0.7:7117 | qrencode -t utf8

On the other device:
  blaze join copy.blaze                                       # asks for the ticket
  blaze connect copy.blaze

The role and the mode go by the ticket, and both sides hold the other to them. The policy is a name
in the file of `blaze serve --policies`; the other device is told that name, and refused while it
isn't there. This database's own
role is the one it has by then: give it to `blaze serve --role` before you pair.")]
pub(crate) struct Args {
    #[command(flatten)]
    database: CreateArgs,

    /// Where the other device reaches this one, as tls://HOST:PORT
    #[arg(value_name = "ENDPOINT", value_parser = tls)]
    endpoint: Endpoint,

    /// What to call the other device; two words of its key if it isn't given
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// What the other device is: a server's writes beat those of clients that hadn't seen them
    #[arg(long, default_value = "client", value_parser = roles())]
    role: Role,

    /// What the other device may do: read-only only receives, write-only only sends
    #[arg(long, default_value = "bidirectional", value_parser = modes())]
    mode: Mode,

    /// By which policy of `blaze serve --policies` the other device sees and writes this
    /// database; everything if it isn't given
    #[arg(long, value_name = "NAME", value_parser = policies::name)]
    policy: Option<String>,

    /// Listen here if nothing does, where that is another address than the other device's way here
    #[arg(long, value_name = "ENDPOINT", value_parser = tls)]
    listen: Option<Endpoint>,

    /// Print a JSON object a line: "ticket", then "paired", in "event"
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    trust: TrustArgs,
}

/// An endpoint of this transport.
fn tls(text: &str) -> std::result::Result<Endpoint, String> {
    let endpoint = serve::endpoint(text)?;
    match endpoint.scheme() {
        "tls" => Ok(endpoint),
        _ => Err("only tls://HOST:PORT takes pairing; on one device a unix: endpoint needs none"
            .to_owned()),
    }
}

impl Args {
    pub(crate) async fn run(self) -> Result<()> {
        if is_everywhere(&self.endpoint) {
            bail!(
                "{} is no address that another device can connect to; name this device's, and give \
                 --listen {}",
                self.endpoint,
                self.endpoint
            );
        }
        let own_role = self.database.identity().await?.role;
        let path = &self.database.write.path;
        let trust = self.trust.open(path)?;
        let mut signals = Signals::new()?;
        let listener = tokio::select! {
            listener = listen(&trust.transport, self.at()) => listener?,
            () = signals.next() => bail!("ended by a signal"),
        };
        self.pair(path, &trust.transport, own_role, listener, &mut signals).await
    }

    /// Where to listen, if nothing does.
    fn at(&self) -> &Endpoint {
        self.listen.as_ref().unwrap_or(&self.endpoint)
    }

    async fn pair(
        &self,
        path: &Path,
        transport: &TlsTransport,
        own_role: Role,
        listener: Option<Box<dyn Listener>>,
        signals: &mut Signals,
    ) -> Result<()> {
        let at = self.at();
        // Only now it's known which port.
        let found = listener.as_ref().map_or(at, |listener| listener.endpoint());
        let (at, endpoint) = (with_port_of(at, found)?, with_port_of(&self.endpoint, found)?);
        let peer = self.name.as_ref().map_or_else(TrustedPeer::unnamed, TrustedPeer::new);
        let mut peer = peer.with_role(self.role).with_mode(self.mode);
        peer.policy.clone_from(&self.policy);
        let mut issued = transport.issue_ticket(endpoint, own_role, peer)?;
        self.show(&issued)?;
        let is_serving = listener.is_none();
        let accepting = async {
            let Some(mut listener) = listener else { return std::future::pending().await };
            let mut told = 0;
            loop {
                // Whoever is paired already and wants a session tries again later.
                let Err(error) = listener.accept().await else { continue };
                if !error.is_retryable() {
                    return anyhow::Error::new(error);
                }
                told += 1;
                if told <= TOLD_MAX {
                    let error = anyhow::Error::new(error);
                    output::warning(format_args!("an attempt was refused: {error:#}"));
                }
            }
        };
        let paired = tokio::select! {
            paired = wait(&mut issued) => paired?,
            error = accepting => return Err(error),
            () = signals.next() => match issued.withdraw()? {
                // Whoever had it was faster, and is trusted.
                Some(paired) => paired,
                None => bail!("ended by a signal; the ticket is withdrawn"),
            },
        };
        self.tell(path, &paired)?;
        if !is_serving && !self.json {
            let (path, at) = (shell::path(path), shell::quoted(&at.to_string()));
            let options = self.trust.options();
            let policies = if self.policy.is_some() { " --policies FILE" } else { "" };
            output::note(format_args!(
                "next, here: blaze serve {path} --listen {at}{options}{policies}"
            ));
        }
        Ok(())
    }

    fn show(&self, issued: &IssuedTicket) -> Result<()> {
        let ticket = issued.ticket();
        let text = ticket.to_text();
        let mut out = Out::raw();
        if self.json {
            out.json(&json!({
                "event": "ticket", "ticket": *text, "endpoint": ticket.endpoint().to_string(),
                "fingerprint": ticket.fingerprint().words(), "role": ticket.role().to_string(),
                "mode": ticket.mode().to_string(), "policy": ticket.policy(),
                "remaining_s": issued.remaining().as_secs(),
            }))?;
            return Ok(out.flush()?);
        }
        writeln!(out, "{}", *text)?;
        out.flush()?;
        output::note(
            "This ticket is good once, for 10 minutes; whoever has it can pair. On the other \
             device: blaze join DB",
        );
        Ok(())
    }

    fn tell(&self, path: &Path, paired: &Paired) -> Result<()> {
        let Paired { key, peer, words, .. } = paired;
        if self.json {
            let mut out = Out::raw();
            out.json(&json!({
                "event": "paired", "name": peer.name, "key": key.to_string(), "words": words,
                "role": peer.role.to_string(), "mode": peer.mode.to_string(),
                "policy": peer.policy,
            }))?;
            return Ok(out.flush()?);
        }
        self.trust.peers.tell(path, paired);
        Ok(())
    }
}

/// Listens for pairing, unless another process of this node listens there already.
async fn listen(transport: &TlsTransport, at: &Endpoint) -> Result<Option<Box<dyn Listener>>> {
    match transport.listen(at).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error @ TransportError::AddressInUse { .. }) => {
            if transport.is_own_listener(at).await? { Ok(None) } else { Err(error.into()) }
        }
        Err(error) => {
            let hint = "is it an address of this device? if not, say by --listen where to listen";
            Err(anyhow::Error::new(error).context(hint))
        }
    }
}

/// Waits until somebody redeems the ticket, and shows how long that still can be.
async fn wait(issued: &mut IssuedTicket) -> Result<Paired, PairingError> {
    let mut progress = Progress::new(Some(LASTS_S));
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        let remaining_s = issued.remaining().as_secs();
        tokio::select! {
            paired = issued.redeemed() => return paired,
            _ = tick.tick() => {
                let message = "waiting for the other device".to_owned();
                progress.update(LASTS_S.saturating_sub(remaining_s), message);
            }
        }
    }
}

/// Whether the endpoint is every address of this device.
fn is_everywhere(endpoint: &Endpoint) -> bool {
    let host = endpoint.address().rsplit_once(':').map_or("", |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse().is_ok_and(|address: IpAddr| address.is_unspecified())
}

/// The endpoint with the port of another one, if it asks for any.
fn with_port_of(endpoint: &Endpoint, found: &Endpoint) -> Result<Endpoint> {
    match (endpoint.address().rsplit_once(':'), found.address().rsplit_once(':')) {
        (Some((host, "0")), Some((_, port))) => {
            Ok(Endpoint::new(endpoint.scheme(), &format!("{host}:{port}"))?)
        }
        _ => Ok(endpoint.clone()),
    }
}
