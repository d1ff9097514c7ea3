//! `blaze join`: redeems a ticket of another device.

use std::io::{BufRead, IsTerminal, Write, stdin};

use anyhow::{Context, Result, bail};
use blaze_sync::{Database, Paired, Role, Ticket, TicketError};
use serde_json::json;
use zeroize::Zeroizing;

use crate::args::CreateArgs;
use crate::output::{self, GOOD, NAME, Out, printable};
use crate::shell;
use crate::trust::{Trust, TrustArgs, terms, under};

/// More than any ticket has.
const TEXT_BYTES_MAX: usize = 4096;

/// Pairs this database with another device, by the ticket that `blaze pair` shows there
///
/// The ticket is asked for at the terminal, or taken from standard input; never from an argument,
/// which other users of this device could see. Nothing is sent before the other side has proved to
/// own the key in the ticket. Both then show the same eight words. The database is made if there
/// is none, and gets the role that the ticket says.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  blaze join copy.blaze                        # asks for the ticket
  blaze join copy.blaze < ticket.txt
  ssh laptop blaze pair notes.blaze tls://laptop.lan:7117 | blaze join copy.blaze --name laptop

Then, where the other device serves its database:
  blaze connect copy.blaze")]
pub(crate) struct Args {
    #[command(flatten)]
    database: CreateArgs,

    /// What to call the other device; two words of its key if it isn't given
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Print the other device as a JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    trust: TrustArgs,
}

impl Args {
    pub(crate) async fn run(self) -> Result<()> {
        let ticket = read()?;
        let role = self.database.identity().await?.role;
        let path = &self.database.write.path;
        let trust = self.trust.open(path)?;
        let name = self.name.clone().unwrap_or_else(|| ticket.fingerprint().short());
        // Before anything is sent: what can't be written can't be agreed on.
        let changed = self.change_role(role, &ticket, &trust).await?;
        let paired = trust.transport.redeem(&ticket, &name).await?;
        if let Some(db) = changed {
            db.adapter().set_role(ticket.role()).await?;
            db.close().await?;
        }
        self.tell(&paired, &ticket)
    }

    /// The database, if its role has to be another.
    async fn change_role(
        &self,
        role: Role,
        ticket: &Ticket,
        trust: &Trust,
    ) -> Result<Option<Database>> {
        let agreed = ticket.role();
        if role == agreed {
            return Ok(None);
        }
        let others = trust.store.peers().into_iter().find(|(key, _)| *key != ticket.issuer());
        if let Some((_, other)) = others {
            bail!(
                "the ticket is for a {agreed}, and this database is a {role}, as was agreed with \
                 {}; ask for a ticket with --role {role}, or revoke the others first",
                other.name
            );
        }
        Ok(Some(self.database.open().await?))
    }

    fn tell(&self, paired: &Paired, ticket: &Ticket) -> Result<()> {
        let Paired { key, peer, words, .. } = paired;
        let own_role = ticket.role();
        let endpoint = peer.endpoint.as_ref().map(ToString::to_string);
        if self.json {
            let mut out = Out::raw();
            out.json(&json!({
                "event": "paired", "name": peer.name, "key": key.to_string(), "words": words,
                "role": peer.role.to_string(), "mode": peer.mode.to_string(),
                "endpoint": endpoint, "own_role": own_role.to_string(),
                "own_policy": ticket.policy(),
            }))?;
            return Ok(out.flush()?);
        }
        let (name, path) = (printable(&peer.name), &self.database.write.path);
        let mut out = Out::styled();
        writeln!(
            out,
            "{GOOD}paired{GOOD:#} with {NAME}{name}{NAME:#}, {}; this database is a {own_role}{}",
            terms(peer),
            under(ticket.policy(), " there")
        )?;
        writeln!(out, "both devices show: {words}")?;
        out.flush()?;
        let revoking = self.trust.peers.revoking(path, key);
        output::note(format_args!("if the other one shows other words: {revoking}"));
        let options = self.trust.options();
        output::note(format_args!("next: blaze connect {}{options}", shell::path(path)));
        Ok(())
    }
}

/// Takes the ticket from the terminal, or from whatever standard input is.
fn read() -> Result<Ticket> {
    if !stdin().is_terminal() {
        return first(stdin().lock());
    }
    let text = rpassword::prompt_password("Ticket (not shown): ");
    let text = Zeroizing::new(text.context("can't ask for the ticket")?);
    Ok(text.parse()?)
}

/// Takes the ticket as soon as all its lines are there: a `blaze pair` at the other end of a pipe
/// ends only when the ticket is redeemed.
fn first(input: impl BufRead) -> Result<Ticket> {
    // Its room is taken at once, so that no copy is left where it grew.
    let mut text = Zeroizing::new(String::with_capacity(TEXT_BYTES_MAX + 1));
    let mut input = input.take(TEXT_BYTES_MAX as u64);
    loop {
        let bytes = input.read_line(&mut text);
        let is_over = bytes.context("can't read the ticket from standard input")? == 0;
        let is_blank = text.trim().is_empty();
        if is_blank && is_over {
            bail!("there is no ticket on standard input; give it what `blaze pair` shows");
        }
        match text.parse() {
            Err(TicketError::NotATicket) if is_blank => {}
            // The rest of it may be on further lines.
            Err(TicketError::Damaged { .. }) if !is_over => {}
            ticket => return Ok(ticket?),
        }
    }
}
