//! What the program is told.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Parser;

/// Kill processes, cut the power and fail the disk under real databases.
///
/// Without a choice, everything: cuts, errors, kills and stalls share the time. Each
/// case follows from the seed, but for the timing of processes; a case that went wrong
/// is named with the options that repeat it.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option by itself")]
#[command(name = "torture", bin_name = "cargo xtask torture", max_term_width = 90)]
#[command(after_help = "Examples:
  cargo xtask torture                             everything, for 3 minutes
  cargo xtask torture --kills --minutes 10        only kills
  cargo xtask torture --cuts --seed 7 --count 500 until 500 cuts, always the same ones
  cargo xtask torture --cuts --case 1234          one case again")]
pub(crate) struct Args {
    /// What to do follows from this number. Default: drawn, and printed.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Minutes for all parts together.
    #[arg(long, default_value_t = 3.0)]
    pub(crate) minutes: f64,
    /// A part ends after so many cuts, errors, kills or stalls, if the time isn't over before.
    #[arg(long)]
    pub(crate) count: Option<u64>,
    /// Repeat one case of the chosen part.
    #[arg(long)]
    pub(crate) case: Option<u64>,
    /// Power cuts, with the control that shows what they can find.
    #[arg(long)]
    pub(crate) cuts: bool,
    /// Syncs, writes and reads that fail.
    #[arg(long)]
    pub(crate) errors: bool,
    /// Kills and other troubles of processes that sync.
    #[arg(long)]
    pub(crate) kills: bool,
    /// Receivers that stand still while their sender goes on; one at a time.
    #[arg(long)]
    pub(crate) stalled: bool,
    /// A trouble of the kills to leave out, such as "power cut"; may be given again.
    #[arg(long, value_name = "TROUBLE")]
    pub(crate) without: Vec<String>,
    /// Cases at a time. Default: the machine's cores.
    #[arg(long)]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// The figures as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A part of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Cuts,
    Errors,
    Kills,
    Stalled,
}

impl Args {
    /// The chosen parts; all, if none is.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let all = [
            (Part::Cuts, self.cuts),
            (Part::Errors, self.errors),
            (Part::Kills, self.kills),
            (Part::Stalled, self.stalled),
        ];
        let chosen: Vec<_> =
            all.iter().filter(|(_, chosen)| *chosen).map(|(part, _)| *part).collect();
        if chosen.is_empty() { all.map(|(part, _)| part).to_vec() } else { chosen }
    }

    /// The time of one of the chosen parts.
    pub(crate) fn time(&self, part: Part) -> Duration {
        let all: u32 = self.parts().into_iter().map(Part::share).sum();
        let time = Duration::from_secs_f64(self.minutes.clamp(0.0, 100_000.0) * 60.0);
        time * part.share() / all.max(1)
    }

    /// How many cases of a part run at a time.
    pub(crate) fn jobs(&self, part: Part) -> usize {
        if part == Part::Stalled {
            // Whose commits are timed has the machine for itself.
            return 1;
        }
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.jobs.map_or_else(cores, NonZeroUsize::get)
    }
}

impl Part {
    /// Its part of the time. Of 10 minutes on 2 cores, it is to be enough for 5,000
    /// cuts at each level and 500 kills, with a reserve.
    const fn share(self) -> u32 {
        match self {
            Self::Cuts => 9,
            Self::Errors => 3,
            Self::Kills => 6,
            Self::Stalled => 2,
        }
    }

    /// Its option.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cuts => "cuts",
            Self::Errors => "errors",
            Self::Kills => "kills",
            Self::Stalled => "stalled",
        }
    }
}
