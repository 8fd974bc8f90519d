//! Made-up values. A type that refuses one is given the next when it is read again.

use std::collections::HashMap;

/// How many rounds of other values a type is offered before it counts as opaque.
pub(super) const ROUNDS: usize = 16;

const NUMBERS: &[u8] = &[1, 0, 2, 12, 100];
const LENGTHS: &[usize] = &[0, 16, 4, 1, 2, 8, 20, 32, 64];
const TEXTS: &[&str] = &[
    "",
    "0",
    "1",
    "a",
    "1970-01-01",
    "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00",
    "00:00:00",
    "1970-01-01T00:00:00+00:00[UTC]",
    "PT0S",
    "UTC",
    "00000000-0000-0000-0000-000000000000",
    "127.0.0.1",
    "::1",
    "127.0.0.1:80",
    "http://localhost/",
];

/// Which values were refused so far.
#[derive(Default)]
pub(super) struct Samples {
    /// Refusals by the type that is read, which refused by itself.
    refused: HashMap<&'static str, usize>,
    /// Refusals by something around it.
    round: usize,
}

impl Samples {
    fn at(&self, type_name: &str) -> usize {
        self.refused.get(type_name).copied().unwrap_or(0) + self.round
    }

    pub fn number(&self, type_name: &str) -> u8 {
        NUMBERS[self.at(type_name) % NUMBERS.len()]
    }

    pub fn text(&self, type_name: &str) -> &'static str {
        TEXTS[self.at(type_name) % TEXTS.len()]
    }

    pub fn bytes(&self, type_name: &str) -> Vec<u8> {
        vec![0; LENGTHS[self.at(type_name) % LENGTHS.len()]]
    }

    /// A type refused its value. Whether there is another for it.
    pub fn refuse(&mut self, type_name: &'static str) -> bool {
        let count = self.refused.entry(type_name).or_default();
        *count += 1;
        *count < ROUNDS
    }

    /// Something refused what was read. Whether there are other values.
    pub fn next_round(&mut self) -> bool {
        self.round += 1;
        self.round < ROUNDS
    }
}
