//! What the examples share: the built-in text, how a line is cut into words, numbers that look random.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod state_machine;

use kvick::prelude::*;

/// Hamlet's monologue (William Shakespeare, act III, scene I; public domain), which is counted without `--input`.
pub const HAMLET: &[&str] = &[
    "To be, or not to be,--that is the question:--",
    "Whether 'tis nobler in the mind to suffer",
    "The slings and arrows of outrageous fortune",
    "Or to take arms against a sea of troubles,",
    "And by opposing end them?--To die,--to sleep,--",
    "No more; and by a sleep to say we end",
    "The heartache, and the thousand natural shocks",
    "That flesh is heir to,--'tis a consummation",
    "Devoutly to be wish'd. To die,--to sleep;--",
    "To sleep! perchance to dream:--ay, there's the rub;",
    "For in that sleep of death what dreams may come,",
    "When we have shuffled off this mortal coil,",
    "Must give us pause: there's the respect",
    "That makes calamity of so long life;",
    "For who would bear the whips and scorns of time,",
    "The oppressor's wrong, the proud man's contumely,",
    "The pangs of despis'd love, the law's delay,",
    "The insolence of office, and the spurns",
    "That patient merit of the unworthy takes,",
    "When he himself might his quietus make",
    "With a bare bodkin? who would these fardels bear,",
    "To grunt and sweat under a weary life,",
    "But that the dread of something after death,--",
    "The undiscover'd country, from whose bourn",
    "No traveller returns,--puzzles the will,",
    "And makes us rather bear those ills we have",
    "Than fly to others that we know not of?",
    "Thus conscience does make cowards of us all;",
    "And thus the native hue of resolution",
    "Is sicklied o'er with the pale cast of thought;",
    "And enterprises of great pith and moment,",
    "With this regard, their currents turn awry,",
    "And lose the name of action.--Soft you now!",
    "The fair Ophelia!--Nymph, in thy orisons",
    "Be all my sins remember'd.",
];

/// Emits `(word, 1)` for each word of a line, in lower case; words are runs of letters, digits and underscores.
pub fn tokenize(mut line: String, out: &mut Collector<(Str, u64)>) {
    if line.is_ascii() {
        line.make_ascii_lowercase();
    } else {
        line = line.to_lowercase();
    }
    let bytes = line.as_bytes();
    let mut start = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if !WORD_BYTES[*byte as usize] {
            if at > start {
                out.push((Str::new(&line[start..at]), 1));
            }
            start = at + 1;
        }
    }
    if start < bytes.len() {
        out.push((Str::new(&line[start..]), 1));
    }
}

/// [`is_word_byte`] of every byte.
static WORD_BYTES: [bool; 256] = {
    let mut all = [false; 256];
    let mut byte = 0;
    while byte < all.len() {
        all[byte] = is_word_byte(byte as u8);
        byte += 1;
    }
    all
};

/// Letters, digits and underscore; every byte of a character outside ASCII belongs to a word.
const fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The lines that `--input` names (several are read one and all), or the built-in text.
pub fn lines(env: &StreamExecutionEnvironment, params: &Params) -> DataStream<String> {
    let mut inputs = params.all("input").iter().map(|path| env.read_text_file(path));
    match inputs.next() {
        Some(first) => {
            let others: Vec<_> = inputs.collect();
            first.union(&others.iter().collect::<Vec<_>>())
        }
        None => {
            println!("Executing example with default input data.");
            println!("Use --input to specify file input.");
            env.from_collection(HAMLET.iter().map(|line| (*line).to_string())).name("in-memory-input")
        }
    }
}

/// Writes to where `--output` says, or prints.
pub fn write<T: kvick::Data>(records: &DataStream<T>, params: &Params) {
    match params.get("output") {
        Some(path) => {
            records.write_as_text(path).name("file-sink");
        }
        None => {
            println!("Printing result to stdout. Use --output to specify output path.");
            records.print().name("print-sink");
        }
    }
}

/// A number that looks random and is always the same for the same seed (SplitMix64): generated records are the same when
/// they are generated again after a failure.
pub fn random(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
