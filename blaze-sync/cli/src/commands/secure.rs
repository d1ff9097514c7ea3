//! What a plan that has tls endpoints takes: a key, and peers that are trusted.

use std::path::Path;

use anyhow::Result;
use blaze_sync::{Endpoint, Role};

use super::replicate::Plan;
use crate::output::{self, printable};
use crate::shell;
use crate::trust::Trust;

impl Plan {
    /// Opens key and peers if the plan takes them. Without an endpoint to connect to, those of
    /// the peers that were joined are it.
    pub(super) fn secure(mut self, path: &Path, role: Role) -> Result<(Self, Option<Trust>)> {
        let may_know = self.default_connect && self.trust.peers.path(path).exists();
        let mut endpoints = self.listen.iter().chain(&self.connect).chain(&self.join);
        if !may_know && !endpoints.any(is_tls) {
            return Ok((self, None));
        }
        let trust = self.trust.open(path)?;
        self.warn_of_policies(path, &trust);
        if self.default_connect {
            self.known.extend(trust.endpoints());
            self.default_connect = self.known.is_empty();
        }
        for endpoint in self.connect.iter().filter(|endpoint| is_tls(endpoint)) {
            trust.check_not_alone(path, endpoint)?;
        }
        if self.mode.is_none() {
            let endpoints = self.connect.iter().chain(&self.known).chain(&self.join);
            for endpoint in endpoints.filter(|endpoint| is_tls(endpoint)) {
                let mode = trust.mode_at(path, endpoint)?;
                self.agreed.extend(mode.map(|mode| (endpoint.clone(), mode)));
            }
        }
        for endpoint in self.listen.iter().chain(&self.join).filter(|endpoint| is_tls(endpoint)) {
            trust.warn_if_alone(path, endpoint);
        }
        if let Some(new) = self.role.filter(|new| *new != role && !trust.store.peers().is_empty()) {
            output::warning(format_args!(
                "this database was a {role} until now; peers that were paired with it as that \
                 refuse a {new}: pair them anew"
            ));
        }
        Ok((self, Some(trust)))
    }

    /// Says which peers will be refused as their policy isn't known, and what to do.
    fn warn_of_policies(&self, path: &Path, trust: &Trust) {
        for (_, peer) in trust.store.peers() {
            let checked = peer.policy.as_deref().map_or(Ok(()), |name| self.policies.check(name));
            if let Err(error) = checked {
                output::warning(format_args!(
                    "links with {} are refused: {error}; define it, or give the peer another one by \
                     `blaze peers {} policy {} NAME`",
                    printable(&peer.name),
                    shell::path(path),
                    shell::quoted(&printable(&peer.name))
                ));
            }
        }
    }
}

fn is_tls(endpoint: &Endpoint) -> bool {
    endpoint.scheme() == "tls"
}
