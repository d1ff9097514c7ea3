//! What a script is made of.

/// A step of a script: a byte for its kind, two for the length of what belongs to it, and
/// that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A frame with this body.
    Raw,
    /// Changes that can be decoded.
    Changes,
    /// Changes of which some bytes are changed.
    Damaged,
    /// Changes by a dictionary, and what they need of it.
    Defined,
    /// Changes that are compressed, if that pays.
    Compressed,
    /// Changes that take two frames.
    Large,
    /// A piece of a roll.
    Roll,
    Resume,
    Start,
    Ack,
    Ping,
    Goodbye,
    /// Time passes.
    Time,
    /// What was held back is answered.
    Answer,
    /// Something is written here.
    Commit,
    /// Merges, reads or both are answered late from now on.
    Hold,
    /// Something that isn't the peer's doing.
    Local,
}

impl Step {
    const ALL: [Self; 17] = [
        Self::Raw,
        Self::Changes,
        Self::Damaged,
        Self::Defined,
        Self::Compressed,
        Self::Large,
        Self::Roll,
        Self::Resume,
        Self::Start,
        Self::Ack,
        Self::Ping,
        Self::Goodbye,
        Self::Time,
        Self::Answer,
        Self::Commit,
        Self::Hold,
        Self::Local,
    ];

    pub(super) fn of(byte: u8) -> Self {
        Self::ALL[usize::from(byte) % Self::ALL.len()]
    }
}

/// Writes a script.
#[derive(Debug, Clone)]
pub(crate) struct Script(Vec<u8>);

impl Script {
    /// One for a session that the five bytes describe; see [`Driver::new`](super::Driver::new).
    pub(crate) fn new(session: [u8; 5]) -> Self {
        Self(session.to_vec())
    }

    /// Adds a step.
    pub(crate) fn then(mut self, step: Step, part: &[u8]) -> Self {
        let kind = Step::ALL.iter().position(|other| *other == step);
        self.0.push(u8::try_from(kind.unwrap_or_default()).expect("few kinds"));
        let part = &part[..part.len().min(u16::MAX.into())];
        self.0.extend_from_slice(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_le_bytes());
        self.0.extend_from_slice(part);
        self
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    #[test]
    fn what_is_written_is_read() {
        for (kind, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(Step::of(u8::try_from(kind).unwrap()), step);
            let bytes = Script::new([1, 2, 3, 4, 5]).then(step, b"part").bytes();
            let mut source = Source::new(&bytes[5..]);
            assert_eq!(Step::of(source.byte()), step);
            assert_eq!((source.part().rest(), source.is_empty()), (&b"part"[..], true));
        }
    }
}
