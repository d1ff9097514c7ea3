//! Bytes as text that a person can paste or type, with a checksum.

use zeroize::Zeroizing;

use crate::sha256::sha256;

/// Crockford's alphabet: without I, L, O and U, which are taken for other characters.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Finds one mistake in all but one of 2³² texts.
const CHECK_BYTES: usize = 4;

/// Why a text stands for no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Base32Error {
    /// A character that no encoding has.
    #[error("`{character}` is none of its characters")]
    Character {
        /// The first of them.
        character: char,
    },

    /// A part is missing or was changed.
    #[error("its checksum is wrong: a part is missing or mistyped")]
    Check,
}

/// The bytes and a checksum, in upper case. `purpose` tells texts of different kinds apart.
pub(crate) fn encode(purpose: &str, bytes: &[u8]) -> Zeroizing<String> {
    let check = check(purpose, bytes);
    let characters = (bytes.len() + CHECK_BYTES).saturating_mul(8).div_ceil(5);
    // Its room is taken at once, so that no copy is left where it grew.
    let mut text = Zeroizing::new(String::with_capacity(characters));
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in bytes.iter().chain(&check) {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            text.push(digit(bits >> count));
        }
    }
    if count > 0 {
        text.push(digit(bits << (5 - count)));
    }
    text
}

/// Takes [`encode`]'s text back: in any case, with hyphens and white space anywhere, and with the
/// characters that people take for others.
///
/// # Errors
///
/// [`Base32Error`] if a character is wrong, or the checksum is.
pub(crate) fn decode(purpose: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, Base32Error> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() * 5 / 8));
    let (mut bits, mut count) = (0_u32, 0_u32);
    for character in text.chars().filter(|character| !is_filler(*character)) {
        bits = bits << 5 | value(character).ok_or(Base32Error::Character { character })?;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count).to_le_bytes()[0]);
        }
    }
    // What is left over is filled with zeros, so that bytes have one text only.
    if count >= 5 || bits & ((1 << count) - 1) != 0 {
        return Err(Base32Error::Check);
    }
    let Some((payload, found)) = bytes.split_last_chunk::<CHECK_BYTES>() else {
        return Err(Base32Error::Check);
    };
    if *found != check(purpose, payload) {
        return Err(Base32Error::Check);
    }
    let payload_bytes = payload.len();
    bytes.truncate(payload_bytes);
    Ok(bytes)
}

fn check(purpose: &str, bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let [first, second, third, fourth, ..] = sha256(&[purpose.as_bytes(), bytes]);
    [first, second, third, fourth]
}

fn is_filler(character: char) -> bool {
    character == '-' || character.is_whitespace()
}

fn digit(bits: u32) -> char {
    char::from(ALPHABET[(bits & 31) as usize])
}

fn value(character: char) -> Option<u32> {
    let upper = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        upper => upper,
    };
    (0..).zip(ALPHABET).find(|(_, digit)| char::from(**digit) == upper).map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_is_read_as_it_was_written(bytes: Vec<u8>) {
            let text = encode("test", &bytes);
            prop_assert_eq!(&**decode("test", &text).unwrap(), &bytes);
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = decode("test", &text);
        }

        #[test]
        fn a_changed_character_is_noticed(bytes: Vec<u8>, place: prop::sample::Index) {
            let mut text = encode("test", &bytes).as_bytes().to_vec();
            let place = place.index(text.len());
            text[place] = if text[place] == b'7' { b'8' } else { b'7' };
            prop_assert!(decode("test", str::from_utf8(&text).unwrap()).is_err());
        }
    }

    #[test]
    fn a_person_may_type_it() {
        let text = encode("test", b"some bytes");
        let mut typed: String = text.to_lowercase().replace('0', "o").replace('1', "l");
        typed.insert_str(5, " -\n");
        assert_eq!(&**decode("test", &typed).unwrap(), b"some bytes");
    }

    #[test]
    fn wrong_texts_say_why() {
        let text = encode("test", b"some bytes");
        let wrong = [
            ("", Base32Error::Check),
            ("00", Base32Error::Check),
            ("ABU", Base32Error::Character { character: 'U' }),
            ("AB!", Base32Error::Character { character: '!' }),
            (&text[1..], Base32Error::Check),
        ];
        for (text, error) in wrong {
            assert_eq!(decode("test", text), Err(error), "{text}");
        }
        assert_eq!(decode("another", &text), Err(Base32Error::Check), "of another kind");
    }
}
