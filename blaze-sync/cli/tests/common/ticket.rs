//! Tickets as an attacker would make them: whole, but with another secret.

use ring::digest::{SHA256, digest};

const PREFIX: &str = "blaze-ticket-1:";
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Where the secret begins, behind the terms and the ticket's number.
const SECRET_AT: usize = 5;
const CHECK_BYTES: usize = 4;

/// The ticket with another secret, of which its issuer knows nothing.
pub(crate) fn forged(ticket: &str) -> String {
    let mut bytes = decode(ticket.trim().strip_prefix(PREFIX).expect("it is a ticket"));
    bytes.truncate(bytes.len() - CHECK_BYTES);
    bytes[SECRET_AT] ^= 1;
    let check = digest(&SHA256, &[PREFIX.as_bytes(), &bytes].concat());
    bytes.extend_from_slice(&check.as_ref()[..CHECK_BYTES]);
    format!("{PREFIX}{}", encode(&bytes))
}

fn decode(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for character in text.bytes() {
        let value = ALPHABET.iter().position(|other| *other == character).unwrap();
        bits = bits << 5 | u32::try_from(value).unwrap();
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    bytes
}

fn encode(bytes: &[u8]) -> String {
    let digits = (bytes.len() * 8).div_ceil(5);
    let bit =
        |index: usize| bytes.get(index / 8).is_some_and(|byte| byte >> (7 - index % 8) & 1 == 1);
    let digit = |digit: usize| {
        let value = (0..5).fold(0, |value, place| value << 1 | usize::from(bit(digit * 5 + place)));
        char::from(ALPHABET[value])
    };
    (0..digits).map(digit).collect()
}
