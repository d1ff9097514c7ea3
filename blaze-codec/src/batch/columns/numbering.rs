//! Numbers for the different texts of a column.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// How many numbers are remembered by a glance at their texts.
const GLANCES: usize = 128;

/// The numbers of texts, in the order of their first use.
#[derive(Debug)]
pub(super) struct Numbering {
    /// Of each text.
    numbers: Vec<u32>,
    /// Where each number was given.
    firsts: Vec<u32>,
    /// A guess for texts that look alike: few different ones are found without a hash.
    guesses: [u32; GLANCES],
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Default for Numbering {
    fn default() -> Self {
        Self {
            numbers: Vec::new(),
            firsts: Vec::new(),
            guesses: [0; GLANCES],
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }
}

/// What a text looks like: its length and three of its bytes.
#[inline]
fn glance(text: &str) -> usize {
    let bytes = text.as_bytes();
    let byte = |at: usize| usize::from(bytes.get(at).copied().unwrap_or_default());
    let (middle, last) = (bytes.len() / 2, bytes.len().wrapping_sub(1));
    (bytes.len() + 7 * byte(0) + 31 * byte(middle) + 3 * byte(last)) % GLANCES
}

impl Numbering {
    /// Numbers other texts.
    pub(super) fn fill(&mut self, texts: &[&str]) {
        let Self { numbers, firsts, guesses, table, hasher } = self;
        numbers.clear();
        firsts.clear();
        table.clear();
        for (row, text) in (0..).zip(texts) {
            let is = |firsts: &[u32], number: u32| {
                firsts.get(number as usize).is_some_and(|first| texts[*first as usize] == *text)
            };
            let guess = &mut guesses[glance(text)];
            if !is(firsts, *guess) {
                let hash = |number: &u32| hasher.hash_one(texts[firsts[*number as usize] as usize]);
                let next = u32::try_from(firsts.len()).expect("memory holds fewer texts");
                let entry = table.entry(hasher.hash_one(text), |number| is(firsts, *number), hash);
                *guess = *entry.or_insert(next).get();
                if *guess == next {
                    firsts.push(row);
                }
            }
            numbers.push(*guess);
        }
    }

    /// The number of each text.
    pub(super) fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    /// How many different texts there are.
    pub(super) const fn count(&self) -> usize {
        self.firsts.len()
    }

    /// The texts that have numbers, given those that they were given to.
    pub(super) fn entries<'t>(&self, texts: &[&'t str]) -> impl Iterator<Item = &'t str> + Clone {
        self.firsts.iter().map(|first| texts[*first as usize])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few letters, so that many look alike without being equal.
        #[test]
        fn equal_texts_have_one_number(columns in prop::collection::vec(prop::collection::vec("[ab]{0,6}", 0..200), 1..4)) {
            let mut numbering = Numbering::default();
            for column in columns {
                let texts: Vec<&str> = column.iter().map(String::as_str).collect();
                numbering.fill(&texts);
                let entries: Vec<&str> = numbering.entries(&texts).collect();
                prop_assert_eq!(entries.len(), numbering.count());
                let back: Vec<&str> =
                    numbering.numbers().iter().map(|number| entries[*number as usize]).collect();
                prop_assert_eq!(&back, &texts);
                let mut first_uses = Vec::new();
                texts.iter().filter(|text| !first_uses.contains(*text)).collect::<Vec<_>>()
                    .into_iter().for_each(|text| if !first_uses.contains(text) { first_uses.push(text) });
                prop_assert_eq!(entries, first_uses);
            }
        }
    }
}
