//! Bytes as words that two people can compare aloud.

/// One for each value of four bits.
const CONSONANTS: [char; 16] =
    ['b', 'd', 'f', 'g', 'h', 'j', 'k', 'l', 'm', 'n', 'p', 'r', 's', 't', 'v', 'z'];
/// One for each value of two bits.
const VOWELS: [char; 4] = ['a', 'i', 'o', 'u'];

/// How many words there are: 128 bits, as two bytes make a word.
const COUNT: usize = 8;

/// Eight words of five letters, of the first 128 bits: consonants and vowels in turn, so that any
/// can be pronounced.
///
/// By that rule there is no list to agree upon, and a word stands for the same bits everywhere.
pub(crate) fn words(bytes: &[u8; 32]) -> String {
    let (pairs, _) = bytes.as_chunks();
    let words: Vec<_> =
        pairs.iter().take(COUNT).map(|pair| word(u16::from_be_bytes(*pair))).collect();
    words.join(" ")
}

fn word(bits: u16) -> String {
    let consonant = |shift: u16| CONSONANTS[usize::from(bits >> shift & 15)];
    let vowel = |shift: u16| VOWELS[usize::from(bits >> shift & 3)];
    [consonant(12), vowel(10), consonant(6), vowel(4), consonant(0)].into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_pair_of_bytes_has_a_word_of_its_own() {
        let words: HashSet<_> = (0..=u16::MAX).map(word).collect();
        assert_eq!(words.len(), 1 << 16);
        assert!(words.iter().all(|word| word.len() == 5));
    }

    #[test]
    fn the_rule_stays_as_it_is() {
        // Two devices of different versions must show the same.
        let first = [0, 0, 0xff, 0xff, 0x12, 0x34, 0, 1, 0x10, 0, 0, 0x10, 0x80, 0, 0x40, 0];
        let mut bytes = [0xff; 32];
        bytes[..16].copy_from_slice(&first);
        assert_eq!(words(&bytes), "babab zuzuz damuh babad dabab babib mabab habab");
    }
}
