//! Sorts any number of entries in bounded memory: by hash, then by time, then in the order in which they came.

use super::memory::Estimate;
use super::{Entry, Merged, Runs, SpillError, SpillSettings};
use crate::element::Data;

/// Records are kept in pieces of so many, so that none is ever moved to a larger place.
const PIECE: usize = 4096;

/// Where an entry stands in the order, and where its value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    hash: u64,
    at: i64,
    index: u32,
}

/// Sorts entries; what does not fit in memory goes to temporary files.
pub struct Sorter<T> {
    memory: u64,
    order: Vec<Place>,
    values: Vec<Vec<Option<T>>>,
    estimate: Estimate,
    runs: Runs<T>,
}

impl<T: Data> Sorter<T> {
    /// An empty sorter.
    pub fn new(settings: SpillSettings) -> Sorter<T> {
        let (memory, runs) = (settings.memory, Runs::new(settings));
        Sorter { memory, order: Vec::new(), values: Vec::new(), estimate: Estimate::default(), runs }
    }

    /// Bytes that were written to temporary files.
    pub fn spilled(&self) -> u64 {
        self.runs.bytes()
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// Memory was used up, and a temporary file cannot be written.
    #[inline]
    pub fn push(&mut self, hash: u64, at: i64, value: T) -> Result<(), SpillError> {
        // Twice the size of a place: a vector that grows has both the old and the new one.
        self.estimate.add(&value, size_of::<Option<T>>() + 2 * size_of::<Place>());
        let index = self.order.len();
        self.order.push(Place { hash, at, index: index as u32 });
        match self.values.last_mut() {
            Some(piece) if piece.len() < PIECE => piece.push(Some(value)),
            _ => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(Some(value));
                self.values.push(piece);
            }
        }
        if index.is_multiple_of(64) && self.is_full() { self.spill() } else { Ok(()) }
    }

    fn is_full(&self) -> bool {
        let used = self.order.len() as u64 * self.estimate.each();
        // A place must be able to name its value.
        used > self.memory || self.order.len() > u32::MAX as usize - PIECE
    }

    fn spill(&mut self) -> Result<(), SpillError> {
        let in_memory = self.sort();
        self.runs.write(in_memory.map(Ok))
    }

    fn sort(&mut self) -> InMemory<T> {
        let mut order = std::mem::take(&mut self.order);
        order.sort_unstable();
        InMemory { order: order.into_iter(), values: std::mem::take(&mut self.values) }
    }

    /// All entries in order.
    ///
    /// # Errors
    /// Temporary files that cannot be written or read.
    pub fn finish(mut self) -> Result<Sorted<T>, SpillError> {
        if self.runs.is_empty() {
            return Ok(Sorted::Memory(self.sort()));
        }
        if !self.order.is_empty() {
            self.spill()?;
        }
        Ok(Sorted::Files(Box::new(self.runs.merge()?)))
    }
}

/// Entries that were never written to a file, in order.
pub struct InMemory<T> {
    order: std::vec::IntoIter<Place>,
    values: Vec<Vec<Option<T>>>,
}

impl<T> Iterator for InMemory<T> {
    type Item = Entry<T>;

    fn next(&mut self) -> Option<Entry<T>> {
        let Place { hash, at, index } = self.order.next()?;
        let value = self.values.get_mut(index as usize / PIECE)?.get_mut(index as usize % PIECE)?.take()?;
        Some(Entry { hash, at, value })
    }
}

/// Sorted entries, wherever they are.
pub enum Sorted<T> {
    /// All of them fit in memory.
    Memory(InMemory<T>),
    /// They are in temporary files.
    Files(Box<Merged<T>>),
}

impl<T: Data> Iterator for Sorted<T> {
    type Item = Result<Entry<T>, SpillError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Sorted::Memory(entries) => entries.next().map(Ok),
            Sorted::Files(entries) => entries.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settings(memory: u64, directory: &tempfile::TempDir) -> SpillSettings {
        let directories = vec![directory.path().join("a"), directory.path().join("b")];
        SpillSettings { memory, directories, name: "sorter".to_string(), first: 0 }
    }

    fn files_below(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
        let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
        let all = entries.flatten().map(|entry| entry.path());
        all.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(crate::testing::cases(64)))]
        #[test]
        fn any_entries_come_out_in_order_however_little_memory_there_is(
            entries in proptest::collection::vec((0_u64..40, -5_i64..5, "[a-z]{0,40}"), 0..3_000),
            memory in prop_oneof![Just(0_u64), Just(4_000), Just(60_000), Just(u64::MAX)],
        ) {
            let directory = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::new(settings(memory, &directory));
            let mut model: Vec<(u64, i64, usize, String)> = Vec::new();
            for (index, (hash, at, text)) in entries.into_iter().enumerate() {
                sorter.push(hash, at, (index, text.clone())).unwrap();
                model.push((hash, at, index, text));
            }
            model.sort_by_key(|(hash, at, index, _)| (*hash, *at, *index));
            let spilled = sorter.spilled() > 0;
            prop_assert!(memory != 0 || spilled != model.is_empty());
            prop_assert!(memory != u64::MAX || !spilled);
            let sorted: Vec<_> = sorter
                .finish()
                .unwrap()
                .map(|entry| entry.unwrap())
                .map(|entry| (entry.hash, entry.at, entry.value.0, entry.value.1))
                .collect();
            prop_assert_eq!(sorted, model);
            prop_assert_eq!(files_below(directory.path()), Vec::<std::path::PathBuf>::new());
        }
    }

    #[test]
    fn what_is_sorted_in_many_runs_takes_bounded_memory_and_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(settings(10_000, &directory));
        // More runs than are merged at once.
        for number in 0..60_000_u64 {
            sorter.push(number.wrapping_mul(0x9e37_79b9_7f4a_7c15), 0, number).unwrap();
        }
        assert!(sorter.values.len() <= 1 && files_below(directory.path()).len() > 64);
        let sorted: Vec<u64> = sorter.finish().unwrap().map(|entry| entry.unwrap().value).collect();
        let mut model: Vec<u64> = (0..60_000).collect();
        model.sort_by_key(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        assert_eq!(sorted, model);
        assert!(files_below(directory.path()).is_empty());
    }

    #[test]
    fn a_damaged_file_is_named_and_no_entry_is_lost_silently() {
        let directory = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(settings(0, &directory));
        (0..100_u64).for_each(|number| sorter.push(number, 0, number).unwrap());
        let file = files_below(directory.path()).pop().unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let error = sorter.finish().map(|sorted| sorted.map(Result::unwrap_err).next());
        let error = match error {
            Err(error) => error.to_string(),
            Ok(_) => String::new(),
        };
        assert!(error.contains("is damaged") && error.contains(&file.display().to_string()), "{error}");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named_with_its_option() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let settings = SpillSettings { directories: vec![file.clone()], ..settings(0, &directory) };
        let error = Sorter::new(settings).push(1, 1, 1_u64).unwrap_err().to_string();
        assert!(error.contains("io.tmp.dirs") && error.contains(&file.display().to_string()), "{error}");
    }
}
