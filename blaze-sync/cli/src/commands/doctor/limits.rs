//! How many files a process may have open.

use rustix::process::{Resource, getrlimit};

use super::finding::Finding;

const CHECK: &str = "files";
/// What a server with all the peers that it lets in has open, and some for databases.
const WANTED: u64 = 256 + 64;

/// Looks at the limit of this process, which a server started in its place would have.
pub(super) fn open_files() -> Finding {
    let limit = getrlimit(Resource::Nofile);
    judged(limit.current, limit.maximum)
}

fn judged(current: Option<u64>, maximum: Option<u64>) -> Finding {
    let subject = "limit of open files";
    let shown =
        |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
    let text = format!("{}, at most {} if raised", shown(current), shown(maximum));
    if current.is_none_or(|current| current >= WANTED) {
        return Finding::ok(CHECK, subject, text);
    }
    let text = format!("{text}; a server with 256 peers takes about {WANTED}");
    if maximum.is_some_and(|maximum| maximum < WANTED) {
        let remedy =
            "have root raise it in /etc/security/limits.conf, or LimitNOFILE= of a service";
        return Finding::hint(CHECK, subject, text, remedy);
    }
    Finding::hint(CHECK, subject, text, "raise it before a server is started: ulimit -n 1024")
}

#[cfg(test)]
mod tests {
    use super::judged;
    use crate::commands::doctor::finding::Status;

    #[test]
    fn a_low_limit_is_told_with_who_can_raise_it() {
        assert_eq!(judged(Some(1024), Some(4096)).status, Status::Ok);
        assert_eq!(judged(None, None).status, Status::Ok);
        assert!(judged(Some(256), None).remedy.unwrap().contains("ulimit -n"));
        assert!(judged(Some(64), Some(128)).remedy.unwrap().contains("have root raise it"));
    }
}
