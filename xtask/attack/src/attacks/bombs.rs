//! Compressed frames that become more than they say, or than may be.

use anyhow::{Result, bail};
use blaze_codec::limits::BODY_BYTES_MAX;
use blaze_codec::message::{CompressionSet, Message, Reason};

use super::{Attack, Field, Outcome, Over};

/// The flags of a body that is compressed by each.
const LZ4: u8 = 0b010;
const ZSTD: u8 = 0b100;
const UNKNOWN: u8 = 0b110;
/// The kind of changes.
const CHANGES: u8 = 3;

pub(super) fn attacks() -> Vec<Attack> {
    let grows_kib = 4 * BODY_BYTES_MAX as u64 / 1024;
    // What came, in a buffer that doubles, and what becomes of it, which is at most as large as
    // the largest body.
    let attack = |name, about, run: fn(&Field<'_>) -> Result<Outcome>| Attack {
        name,
        about,
        over: Over::Both,
        quickly_over: Over::Both,
        grows_kib,
        run,
    };
    vec![
        attack("bombs-lz4", "1 MiB of LZ4 that stands for 255 MiB, under lengths that lie", lz4),
        attack("bombs-zstd", "1 MiB of Zstandard that stands for 32 GiB, likewise", zstd),
    ]
}

/// What is said of a bomb's length: as much as may be, more than that, little, nothing.
const SAYS: [u32; 6] = [LARGEST - 2, LARGEST, 1 << 31, u32::MAX, 9, 0];

#[expect(clippy::cast_possible_truncation, reason = "it is 1 MiB")]
const LARGEST: u32 = BODY_BYTES_MAX as u32;

fn lz4(field: &Field<'_>) -> Result<Outcome> {
    // A literal, a distance of one, and the longest lengths.
    let bomb = [&[0x1f, 0, 1, 0][..], &vec![255; BODY_BYTES_MAX / 2]].concat();
    explode(field, LZ4, &bomb)
}

fn zstd(field: &Field<'_>) -> Result<Outcome> {
    // A frame with a window of 2 MiB, then blocks that repeat a byte 128 Ki times.
    let repeat = (128 * 1024_u32) << 3 | 1 << 1;
    let block = [&repeat.to_le_bytes()[..3], &[0]].concat();
    let magic = [0x28, 0xb5, 0x2f, 0xfd, 0, 0x58];
    let bomb = [&magic[..], &block.repeat(BODY_BYTES_MAX / 8)].concat();
    explode(field, ZSTD, &bomb)
}

fn explode(field: &Field<'_>, method: u8, bomb: &[u8]) -> Result<Outcome> {
    let (mut tried, mut saw) = (0, String::new());
    let mut wire = field.target.greeted(1, |hello| hello.reads = CompressionSet::BUILT)?;
    let Some(Message::Hello(_)) = wire.hear()? else { bail!("the hub says no hello") };
    wire.end()?;
    for says in SAYS {
        for flags in [method, UNKNOWN] {
            let body = [&[CHANGES, flags][..], &says.to_le_bytes(), bomb].concat();
            let mut wire = field.target.started(1)?;
            wire.frame(&body);
            let refused = wire.refused(Reason::Violation, "can't be decoded")?;
            if flags == method && says == SAYS[0] {
                saw = refused;
            }
            tried += 1;
        }
    }
    // Before the hello nothing is read that is compressed, or long.
    let body = [&[CHANGES, method][..], &SAYS[0].to_le_bytes(), bomb].concat();
    let mut wire = field.target.connect()?;
    wire.frame(&body);
    wire.refused(Reason::Violation, "a hello is at most 4 KiB long")?;
    Ok(Outcome::new(tried + 1, saw))
}
