//! Whether this device's clock can be right, and how far it is from a peer's.

use std::time::{Duration, SystemTime};

use blaze_sync::{CLOCK_AHEAD_MS_MAX, Greeting};

use super::finding::Finding;

const CHECK: &str = "clock";
/// 2025-01-01 and 2100-01-01: a clock outside of that was never set, or was set wrong.
const EARLIEST: Duration = Duration::from_secs(1_735_689_600);
const LATEST: Duration = Duration::from_secs(4_102_444_800);
/// From here on the later of two writes may not be the one that people take for it.
const NOTABLE_MS: u64 = 10_000;

/// Looks at this device's clock.
pub(super) fn own() -> Finding {
    plausible(SystemTime::now())
}

fn plausible(now: SystemTime) -> Finding {
    let subject = "this device";
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let shown = shown(since);
    if (EARLIEST..LATEST).contains(&since) {
        return Finding::ok(CHECK, subject, format!("{shown}, which can be right"));
    }
    Finding::fault(
        CHECK,
        subject,
        format!("it says {shown}, which lies before 2025 or after 2099"),
        "set it, as by `timedatectl set-ntp true`; until then peers refuse what is written here, \
         or take it for older than all else",
    )
}

/// A time since 1970 as people write it, by the Gregorian calendar and UTC. Years are counted from
/// March on, so that a leap day is a year's last (Howard Hinnant, *chrono-Compatible Low-Level Date
/// Algorithms*, `civil_from_days`).
fn shown(since: Duration) -> String {
    const DAYS_PER_ERA: u64 = 146_097;
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // From 0000-03-01.
    let days = days + 719_468;
    let (era, day) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + later;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Looks at a peer's clock. Who is more than the bound behind refuses what the other one writes.
pub(super) fn offset(subject: &str, greeting: &Greeting) -> Finding {
    judged(subject, greeting.clock_ahead_ms, greeting.clock_error_ms)
}

fn judged(subject: &str, ahead_ms: i64, error_ms: u64) -> Finding {
    let off_ms = ahead_ms.unsigned_abs();
    let side = if ahead_ms < 0 { "behind" } else { "ahead of" };
    let text = format!("the server's clock is {off_ms} ms {side} this one, ± {error_ms} ms");
    if off_ms.saturating_sub(error_ms) > CLOCK_AHEAD_MS_MAX {
        let refused = if ahead_ms < 0 {
            "the server refuses what is written here"
        } else {
            "what the server writes is refused here"
        };
        return Finding::fault(
            CHECK,
            subject,
            format!("{text}: more than {CLOCK_AHEAD_MS_MAX} ms, so {refused}"),
            "set the clock that is wrong, as by `timedatectl set-ntp true`; nothing is lost until \
             then",
        );
    }
    if off_ms.saturating_sub(error_ms) > NOTABLE_MS {
        let remedy = "set both, for of two writes to one field the one with the later clock wins";
        return Finding::hint(CHECK, subject, text, remedy);
    }
    Finding::ok(CHECK, subject, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Status;

    #[test]
    fn a_clock_that_was_never_set_is_a_fault() {
        let at = |seconds| plausible(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        for seconds in [0, 1_735_689_599, 4_102_444_800] {
            assert_eq!(at(seconds).status, Status::Fault, "{seconds}");
        }
        assert_eq!(at(1_735_689_600).status, Status::Ok);
        assert!(at(0).remedy.unwrap().contains("timedatectl"));
    }

    #[test]
    fn times_are_shown_as_people_write_them() {
        let cases = [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_735_689_600, "2025-01-01 00:00:00 UTC"),
            (4_102_444_799, "2099-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(shown(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn a_peers_clock_is_judged_by_the_bound_of_sessions() {
        let bound = i64::try_from(CLOCK_AHEAD_MS_MAX).unwrap();
        let status = |ahead_ms, error_ms| judged("s", ahead_ms, error_ms).status;
        assert_eq!((status(0, 1), status(-10_000, 0)), (Status::Ok, Status::Ok));
        assert_eq!((status(10_002, 1), status(-bound, 0)), (Status::Hint, Status::Hint));
        assert_eq!((status(bound + 2, 1), status(-bound - 2, 1)), (Status::Fault, Status::Fault));
        assert_eq!(status(bound + 2, 2), Status::Hint, "it may be within the bound");
        assert!(
            judged("s", -bound - 2, 0).text.contains("the server refuses what is written here")
        );
    }
}
