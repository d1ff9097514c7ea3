//! Lists of names that records have in common.
//!
//! Records come in kinds: the next one is likely to have the fields of one before. So each
//! thread remembers the latest lists, and records with equal names share one: they take
//! less memory, and are known to be of one shape without a look at the names.

use std::cell::RefCell;
use std::sync::Arc;

use crate::reader::{capacity, owned_name};
use crate::{DecodeError, Name};

/// How many lists a thread remembers, each in the place that its names give it.
const LISTS: usize = 32;
/// Longer lists are not remembered.
const NAMES_MAX: usize = 64;

type List = Arc<Vec<Name>>;

thread_local! {
    static LATEST: RefCell<[Option<List>; LISTS]> = const { RefCell::new([const { None }; LISTS]) };
    /// The last that was read, by the number of names.
    static LAST: RefCell<[Option<List>; LISTS]> = const { RefCell::new([const { None }; LISTS]) };
}

/// Where a list of so many names, of which this is the last, is remembered.
fn place(count: usize, last: &str) -> usize {
    let ends = [last.as_bytes().first(), last.as_bytes().last()];
    let ends = ends.map(|byte| usize::from(byte.copied().unwrap_or_default()));
    (count + 7 * ends[0] + 13 * ends[1] + last.len()) % LISTS
}

/// The list of ascending names, each once: one that equals it, if it is remembered.
pub(crate) fn shared(names: Vec<Name>) -> List {
    let Some(last) = names.last().filter(|_| names.len() <= NAMES_MAX) else {
        return Arc::new(names);
    };
    let place = place(names.len(), last);
    LATEST.with_borrow_mut(|latest| match &latest[place] {
        Some(known) if **known == names => known.clone(),
        _ => latest[place].insert(Arc::new(names)).clone(),
    })
}

/// The names of a record or map that is being read: those of one before, as long as they
/// are the same.
pub(crate) struct Gathered {
    count: usize,
    guess: Option<List>,
    /// How many were found to be those of the guess.
    same: usize,
    /// All of them, once one isn't.
    others: Vec<Name>,
}

impl Gathered {
    /// Before the first of so many.
    pub(crate) fn new(count: usize) -> Self {
        let guess = LAST.with_borrow(|last| last[count % LISTS].clone());
        let guess = guess.filter(|list| list.len() == count);
        Self { count, guess, same: 0, others: Vec::new() }
    }

    /// Adds the next name, which is above the one before.
    pub(crate) fn push(&mut self, name: &str) -> Result<(), DecodeError> {
        if let Some(guess) = &self.guess {
            if guess[self.same] == *name {
                self.same += 1;
                return Ok(());
            }
            self.others.extend_from_slice(&guess[..self.same]);
            self.guess = None;
        }
        if self.others.is_empty() {
            self.others.reserve_exact(capacity::<Name>(self.count));
        }
        self.others.push(owned_name(name)?);
        Ok(())
    }

    /// The list of all.
    pub(crate) fn finish(self) -> List {
        let Self { count, guess, others, .. } = self;
        guess.unwrap_or_else(|| {
            let list = shared(others);
            if count <= NAMES_MAX {
                LAST.with_borrow_mut(|last| last[count % LISTS] = Some(list.clone()));
            }
            list
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<Name> {
        texts.iter().map(|text| Name::new(text).unwrap()).collect()
    }

    #[test]
    fn equal_lists_are_one_and_others_are_not() {
        let first = shared(names(&["a", "b"]));
        assert!(Arc::ptr_eq(&first, &shared(names(&["a", "b"]))));
        for other in [&["a", "c"][..], &["a"], &["a", "b", "c"], &["c", "b"], &[]] {
            assert_eq!(shared(names(other))[..], names(other));
        }
        assert_eq!(first[..], names(&["a", "b"]));
    }

    #[test]
    fn names_that_are_read_are_those_of_the_last_record_or_their_own() {
        let read = |texts: &[&str]| {
            let mut gathered = Gathered::new(texts.len());
            for text in texts {
                gathered.push(text).unwrap();
            }
            gathered.finish()
        };
        let first = read(&["a", "b", "c"]);
        assert!(Arc::ptr_eq(&first, &read(&["a", "b", "c"])));
        for other in [&["a", "b", "d"][..], &["b", "c", "d"], &["a"], &[], &["a", "b", "c"]] {
            assert_eq!(read(other)[..], names(other));
        }
        assert!(Gathered::new(1).push("").is_err());
    }

    #[test]
    fn long_lists_are_not_remembered() {
        let long: Vec<Name> =
            (100..=100 + NAMES_MAX).map(|n| n.to_string().parse().unwrap()).collect();
        assert!(!Arc::ptr_eq(&shared(long.clone()), &shared(long)));
    }
}
