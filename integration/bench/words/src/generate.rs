//! The text: lines of eight to twelve words, some frequent and most rare, drawn by a seeded generator.

use std::fs::File;
use std::io::{BufWriter, Result, Write};

/// How many words there are to choose from.
const VOCABULARY: u64 = 10_000;

/// SplitMix64 (Steele, Lea, Flood 2014): tiny, well spread, the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Pronounceable words of two to four syllables, all different.
fn vocabulary(random: &mut Random) -> Vec<String> {
    let consonants = b"bcdfghjklmnprstvwz";
    let vowels = b"aeiou";
    let mut words = std::collections::BTreeSet::new();
    while (words.len() as u64) < VOCABULARY {
        let mut word = String::new();
        for _ in 0..2 + random.below(3) {
            word.push(consonants[random.below(consonants.len() as u64) as usize] as char);
            word.push(vowels[random.below(vowels.len() as u64) as usize] as char);
        }
        words.insert(word);
    }
    words.into_iter().collect()
}

/// The product of two draws: low indices come often, high ones seldom, as words do in a language.
fn pick(random: &mut Random) -> usize {
    (random.below(VOCABULARY) * random.below(VOCABULARY) / VOCABULARY) as usize
}

/// Writes at least `megabytes` (of 1,000,000 bytes) of text, to the end of a line.
pub fn generate(megabytes: u64, path: &str) -> Result<()> {
    let mut random = Random(20_240_607);
    let words = vocabulary(&mut random);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut written = 0;
    while written < megabytes * 1_000_000 {
        let mut line = String::with_capacity(128);
        for _ in 0..8 + random.below(5) {
            line.push_str(&words[pick(&mut random)]);
            line.push(' ');
        }
        line.pop();
        line.push('\n');
        out.write_all(line.as_bytes())?;
        written += line.len() as u64;
    }
    out.flush()
}
