//! The generator's source of randomness: seeded, the same on every machine.

/// SplitMix64 (Steele, Lea, Flood 2014): tiny and well spread.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.bits() % limit
    }

    /// A number from 0 to 1, 1 excluded.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    /// Small letters, with a space now and then, at least three and at most `longest`.
    pub fn words(&mut self, longest: u64) -> String {
        let length = 3 + self.below(longest.saturating_sub(2).max(1));
        let mut text: String = (0..length).map(|_| self.letter(true)).collect();
        // What is read back must be what was written, however a reader trims.
        text.replace_range(0..1, "w");
        text.pop();
        text.push('s');
        text
    }

    /// Exactly `length` small letters.
    pub fn letters(&mut self, length: u64) -> String {
        (0..length).map(|_| self.letter(false)).collect()
    }

    fn letter(&mut self, spaces: bool) -> char {
        match self.below(13 * 26) {
            n if spaces && n.is_multiple_of(13) => ' ',
            n => (b'a' + (n % 26) as u8) as char,
        }
    }
}
