//! Records and watermarks in order of arrival, and which of them may be emitted. A machine without IO.

use std::collections::VecDeque;

enum Entry<O> {
    Record { id: u64, timestamp: Option<i64>, results: Option<Vec<O>> },
    Watermark(i64),
}

/// What may be emitted.
pub(super) enum Ready<O> {
    /// The results of a record.
    Results {
        /// The record.
        id: u64,
        /// Its event time.
        timestamp: Option<i64>,
        /// What came of it.
        results: Vec<O>,
    },
    /// A watermark all of whose predecessors were emitted.
    Watermark(i64),
}

/// The queue of what is in flight.
pub(super) struct Queue<O> {
    entries: VecDeque<Entry<O>>,
    is_new: bool,
}

impl<O> Default for Queue<O> {
    fn default() -> Self {
        Queue { entries: VecDeque::new(), is_new: true }
    }
}

impl<O> Queue<O> {
    /// Whether nothing was ever put in.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    pub fn push(&mut self, id: u64, timestamp: Option<i64>) {
        self.is_new = false;
        self.entries.push_back(Entry::Record { id, timestamp, results: None });
    }

    pub fn watermark(&mut self, watermark: i64) {
        self.is_new = false;
        self.entries.push_back(Entry::Watermark(watermark));
    }

    pub fn finished(&mut self, finished: u64, all: Vec<O>) {
        for entry in &mut self.entries {
            if let Entry::Record { id, results, .. } = entry
                && *id == finished
            {
                *results = Some(all);
                return;
            }
        }
    }

    /// Takes what may be emitted next: the first entry, or without order the first with results before any watermark.
    pub fn pop(&mut self, ordered: bool) -> Option<Ready<O>> {
        let is_done = |entry: &Entry<O>| matches!(entry, Entry::Record { results: Some(_), .. });
        let place = match self.entries.front()? {
            Entry::Watermark(_) => Some(0),
            first if ordered => is_done(first).then_some(0),
            _ => {
                let before = self.entries.iter().take_while(|entry| matches!(entry, Entry::Record { .. }));
                before.enumerate().find(|(_, entry)| is_done(entry)).map(|(place, _)| place)
            }
        };
        match self.entries.remove(place?)? {
            Entry::Watermark(watermark) => Some(Ready::Watermark(watermark)),
            Entry::Record { id, timestamp, results } => {
                Some(Ready::Results { id, timestamp, results: results.unwrap_or_default() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(queue: &mut Queue<u8>, ordered: bool) -> Vec<i64> {
        let number = |ready| match ready {
            Ready::Results { id, .. } => id as i64,
            Ready::Watermark(watermark) => -watermark,
        };
        std::iter::from_fn(|| queue.pop(ordered)).map(number).collect()
    }

    fn filled() -> Queue<u8> {
        let mut queue = Queue::default();
        queue.push(1, None);
        queue.push(2, None);
        queue.watermark(100);
        queue.push(3, None);
        queue
    }

    #[test]
    fn results_keep_their_order_where_asked_and_never_overtake_a_watermark() {
        let mut queue = filled();
        [3, 2].iter().for_each(|id| queue.finished(*id, vec![]));
        assert!(all(&mut queue, true).is_empty());
        queue.finished(1, vec![]);
        assert_eq!(all(&mut queue, true), [1, 2, -100, 3]);
        let mut queue = filled();
        [3, 2].iter().for_each(|id| queue.finished(*id, vec![]));
        assert_eq!(all(&mut queue, false), [2]);
        queue.finished(1, vec![]);
        assert_eq!(all(&mut queue, false), [1, -100, 3]);
    }
}
