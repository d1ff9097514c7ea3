//! Notices that a listener's files were removed or replaced under it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    task::{Context, Poll, ready},
    time::Duration,
};

use blaze_transport::TransportError;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::{bind::Identity, path_error};

/// How often it is looked, unless there are clients: whoever still finds the socket shows that
/// it is there.
const LOOK_MS: u64 = 5000;

/// The files by which a listener is found, and which nobody else may touch while it lives.
#[derive(Debug)]
pub(crate) struct Watch {
    files: Vec<(PathBuf, Identity)>,
    looks: Interval,
}

impl Watch {
    pub(crate) fn new(files: Vec<(PathBuf, Identity)>) -> Self {
        let period = Duration::from_millis(LOOK_MS);
        let mut looks = interval_at(Instant::now() + period, period);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { files, looks }
    }

    /// Ready when a file is no longer the one it was. It takes a call of the system a file.
    pub(crate) fn poll_lost(&mut self, context: &mut Context<'_>) -> Poll<TransportError> {
        if self.files.is_empty() {
            return Poll::Pending;
        }
        loop {
            ready!(self.looks.poll_tick(context));
            let looked = self.files.iter().try_for_each(|(path, identity)| look(path, *identity));
            if let Err(lost) = looked {
                return Poll::Ready(lost);
            }
        }
    }
}

fn look(path: &Path, expected: Identity) -> Result<(), TransportError> {
    let lost = |what| TransportError::SocketLost { path: path.to_owned(), what };
    match fs::symlink_metadata(path) {
        Ok(metadata) if Identity::of(&metadata) == expected => Ok(()),
        Ok(_) => Err(lost("replaced")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(lost("removed")),
        Err(error) => Err(path_error("look at", path)(error)),
    }
}
