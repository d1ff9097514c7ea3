//! Who is on the other side of Unix sockets, as the options say.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use blaze_sync::{InheritedListeners, Mode, Transport, UnixTransport};

use crate::{args, policies};

/// What the options stand below in the help.
const HEADING: &str = "Unix socket options";

/// Whose servers are connected to.
#[derive(Debug, Default, Clone, clap::Args)]
pub(super) struct ServerArgs {
    /// Connect to servers of this user at unix: endpoints, instead of this process's; 0 where
    /// systemd made the socket
    #[arg(long, value_name = "UID", help_heading = HEADING)]
    server_user: Option<u32>,
}

/// Whose clients are let in.
#[derive(Debug, Default, Clone, clap::Args)]
pub(super) struct ClientArgs {
    /// Let programs of another user connect to unix: endpoints, with =MODE have their links
    /// carry no more than that (read-only only receives), and with :POLICY see and write by that
    /// policy of --policies. May be given several times
    #[arg(long, value_name = "UID[=MODE][:POLICY]", value_parser = listed, help_heading = HEADING)]
    allow_user: Vec<Listed>,

    /// The same of programs that run as a group
    #[arg(long, value_name = "GID[=MODE][:POLICY]", value_parser = listed, help_heading = HEADING)]
    allow_group: Vec<Listed>,
}

impl ClientArgs {
    /// The policies that are named, each with what names it.
    pub(super) fn policies(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let users = self.allow_user.iter().map(|listed| ("--allow-user", listed));
        let groups = self.allow_group.iter().map(|listed| ("--allow-group", listed));
        users.chain(groups).filter_map(|(option, listed)| Some((option, listed.policy.as_deref()?)))
    }
}

/// A user or group by its number, what its links carry at most, and by which policy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    id: u32,
    mode: Option<Mode>,
    policy: Option<String>,
}

/// # Errors
///
/// A sentence if the text is none.
fn listed(text: &str) -> std::result::Result<Listed, String> {
    let (text, policy) = match text.split_once(':') {
        Some((text, policy)) => (text, Some(policies::name(policy)?)),
        None => (text, None),
    };
    let (id, mode) = match text.split_once('=') {
        Some((id, mode)) => (id, Some(args::parse_mode(mode)?)),
        None => (text, None),
    };
    let not_a_number =
        || format!("{id:?} is no number; `id -u NAME` tells a user's, `getent group` a group's");
    Ok(Listed { id: id.parse().map_err(|_| not_a_number())?, mode, policy })
}

/// What Unix sockets are to be, all of one process.
#[derive(Debug, Default, Clone)]
pub(super) struct UnixOptions {
    pub(super) server: ServerArgs,
    pub(super) clients: ClientArgs,
}

impl UnixOptions {
    /// The transports: for paths and, where there are such, for abstract names.
    pub(super) fn transports(&self, inherited: &InheritedListeners) -> Vec<Arc<dyn Transport>> {
        let paths = self.apply(UnixTransport::new(), inherited);
        #[cfg(target_os = "linux")]
        let names = [self.apply(UnixTransport::for_abstract_names(), inherited)];
        #[cfg(not(target_os = "linux"))]
        let names: [UnixTransport; 0] = [];
        let all = [paths].into_iter().chain(names);
        all.map(|transport| Arc::new(transport) as Arc<dyn Transport>).collect()
    }

    fn apply(&self, transport: UnixTransport, inherited: &InheritedListeners) -> UnixTransport {
        let ClientArgs { allow_user, allow_group } = &self.clients;
        let mut transport = transport.with_inherited(inherited.clone());
        if let Some(uid) = self.server.server_user {
            transport = transport.with_server_user(uid);
        }
        // What was said last of one holds, as everywhere.
        for Listed { id, mode, policy } in last(allow_user) {
            transport = match (mode, policy) {
                // All modes are within the one in both directions.
                (mode, Some(policy)) => {
                    let mode = mode.unwrap_or_default();
                    transport.with_allowed_user_under(*id, mode, policy)
                }
                (Some(mode), None) => transport.with_allowed_user_in(*id, *mode),
                (None, None) => transport.with_allowed_user(*id),
            };
        }
        for Listed { id, mode, policy } in last(allow_group) {
            transport = match (mode, policy) {
                (mode, Some(policy)) => {
                    let mode = mode.unwrap_or_default();
                    transport.with_allowed_group_under(*id, mode, policy)
                }
                (Some(mode), None) => transport.with_allowed_group_in(*id, *mode),
                (None, None) => transport.with_allowed_group(*id),
            };
        }
        transport
    }
}

fn last(listed: &[Listed]) -> impl Iterator<Item = &Listed> {
    let by_id: BTreeMap<_, _> = listed.iter().map(|listed| (listed.id, listed)).collect();
    by_id.into_values()
}

/// The sockets that whoever started this program passed to it. To be taken before anything else
/// opens files.
///
/// # Errors
///
/// If something was passed that is none.
pub(super) fn inherited() -> Result<InheritedListeners> {
    InheritedListeners::from_env().context("can't use what this program was started with")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_numbers_and_may_have_a_mode_and_a_policy() {
        let user = |id, mode, policy: Option<&str>| {
            Ok(Listed { id, mode, policy: policy.map(ToOwned::to_owned) })
        };
        assert_eq!(listed("7"), user(7, None, None));
        assert_eq!(listed("7=read-only"), user(7, Some(Mode::ReadOnly), None));
        assert_eq!(listed("7:anna"), user(7, None, Some("anna")));
        assert_eq!(listed("7=read-only:a.b"), user(7, Some(Mode::ReadOnly), Some("a.b")));
        assert!(listed("alice").unwrap_err().contains("`id -u NAME`"));
        assert!(listed("7=all").unwrap_err().contains("read-only"));
        assert!(listed("7:").unwrap_err().contains("no name for a policy"));
        assert!(listed("7:anna=read-only").unwrap_err().contains("no name for a policy"));
        let twice = ["7=read-only", "8", "7:anna"].map(|text| listed(text).unwrap());
        assert!(last(&twice).eq([&twice[2], &twice[1]]));
        let args = ClientArgs { allow_user: twice.to_vec(), allow_group: twice.to_vec() };
        let named = [("--allow-user", "anna"), ("--allow-group", "anna")];
        assert!(args.policies().eq(named));
    }
}
