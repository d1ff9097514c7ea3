//! What can go wrong, and which of it is switched on.

use std::fmt;
use std::str::FromStr;

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A connection is lost with all that is in flight.
    Disconnect,
    /// A link becomes slow.
    Delay,
    /// All links draw new latencies, far apart: what is sent later overtakes elsewhere.
    Reorder,
    /// A transport delivers a frame twice.
    Duplicate,
    /// A transport loses a frame, delivers later ones, and dies.
    Lose,
    /// Some nodes can't reach the others; it heals.
    Partition,
    /// A connection is gone, and one side or neither knows.
    HalfOpen,
    /// A side takes no frames for a while.
    SlowReader,
    /// A node shuts down and comes back.
    Restart,
    /// A process is killed.
    Crash,
    /// A machine loses power: what was not durable is gone.
    PowerCut,
    /// A node loses power or is killed while it commits.
    Torn,
    /// A wall clock jumps, to and fro.
    ClockJump,
    /// A wall clock goes too fast or too slow.
    ClockDrift,
    /// A wall clock is further off than is allowed, and is set right.
    ClockBeyond,
    /// A disk is full for a while.
    DiskFull,
    /// A node speaks another version of the protocol for a while.
    Skew,
    /// A link gets another mode, or is refused for a while.
    ModeChange,
    /// A node becomes a server or a client.
    RoleChange,
    /// A new, empty node joins.
    Join,
    /// A node leaves for good.
    Leave,
    /// A node is put back to an older backup.
    Restore,
    /// A node's file is copied, and both go on.
    Clone,
    /// A link that is limited gets another policy.
    PolicyChange,
    /// A side of such a link sends what it may not write, for a while.
    Overreach,
}

impl Fault {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 25] = [
        Self::Disconnect,
        Self::Delay,
        Self::Reorder,
        Self::Duplicate,
        Self::Lose,
        Self::Partition,
        Self::HalfOpen,
        Self::SlowReader,
        Self::Restart,
        Self::Crash,
        Self::PowerCut,
        Self::Torn,
        Self::ClockJump,
        Self::ClockDrift,
        Self::ClockBeyond,
        Self::DiskFull,
        Self::Skew,
        Self::ModeChange,
        Self::RoleChange,
        Self::Join,
        Self::Leave,
        Self::Restore,
        Self::Clone,
        Self::PolicyChange,
        Self::Overreach,
    ];

    /// Whether it happens to links that are limited only.
    pub const fn is_of_policies(self) -> bool {
        matches!(self, Self::PolicyChange | Self::Overreach)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Disconnect => "disconnect",
            Self::Delay => "delay",
            Self::Reorder => "reorder",
            Self::Duplicate => "duplicate",
            Self::Lose => "lose",
            Self::Partition => "partition",
            Self::HalfOpen => "half-open",
            Self::SlowReader => "slow-reader",
            Self::Restart => "restart",
            Self::Crash => "crash",
            Self::PowerCut => "power-cut",
            Self::Torn => "torn",
            Self::ClockJump => "clock-jump",
            Self::ClockDrift => "clock-drift",
            Self::ClockBeyond => "clock-beyond",
            Self::DiskFull => "disk-full",
            Self::Skew => "version-skew",
            Self::ModeChange => "mode-change",
            Self::RoleChange => "role-change",
            Self::Join => "join",
            Self::Leave => "leave",
            Self::Restore => "restore",
            Self::Clone => "clone",
            Self::PolicyChange => "policy-change",
            Self::Overreach => "overreach",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|fault| fault.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("there is no fault {text:?}; there are: {names}")
        })
    }
}

/// Which faults are on, and how much more often than usual each comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults([u8; Fault::COUNT]);

impl Default for Faults {
    /// All, each as often as usual.
    fn default() -> Self {
        Self::ALL
    }
}

impl Faults {
    /// None.
    pub const NONE: Self = Self([0; Fault::COUNT]);

    /// All, each as often as usual.
    pub const ALL: Self = Self([1; Fault::COUNT]);

    /// With another weight of one: 0 switches it off, 1 is as usual, 3 three times that.
    #[must_use]
    pub const fn with(mut self, fault: Fault, weight: u8) -> Self {
        self.0[fault as usize] = weight;
        self
    }

    /// The weight of a fault.
    pub const fn weight(&self, fault: Fault) -> u8 {
        self.0[fault as usize]
    }

    /// Whether it is on.
    pub const fn has(&self, fault: Fault) -> bool {
        self.weight(fault) > 0
    }
}
