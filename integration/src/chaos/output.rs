//! What the job wrote: whether every line is there once, and for how long none was.

use crate::command::fs;
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong with the lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Numbers that were counted.
    pub numbers: u64,
    /// Lines that ought to be there and are not.
    pub lost: u64,
    /// Lines that are there more than once.
    pub doubled: u64,
    /// Counts of a key that are missing or there more than once: state that was lost, or applied twice.
    pub miscounted: u64,
}

/// The lines of a job, taken apart.
#[derive(Debug, Default)]
pub struct Output {
    /// How often each number of each range is there.
    numbers: BTreeMap<u32, BTreeMap<u64, u32>>,
    /// How many there must be, by range.
    totals: BTreeMap<u32, Vec<u64>>,
    /// How often each count of each key is there.
    counts: BTreeMap<u64, BTreeMap<u64, u32>>,
    /// When lines of each range were written, in order once sorted.
    times: BTreeMap<u32, Vec<u64>>,
}

impl Output {
    /// Reads what is finished below a directory; what is hidden is nobody's result.
    ///
    /// # Errors
    /// A file that cannot be read, or a line that the job does not write.
    pub fn read(directory: &str) -> Result<Output> {
        let listed = fs(&["ls", directory]);
        if listed.code != 0 {
            bail!("the output cannot be listed: {}", listed.err);
        }
        let files = listed.out.lines().filter_map(|line| line.rsplit(' ').next());
        let mut output = Output::default();
        for file in files.filter(|file| !file.rsplit('/').next().unwrap_or_default().starts_with('.')) {
            let text = fs(&["cat", file]);
            if text.code != 0 {
                bail!("{file} cannot be read: {}", text.err);
            }
            text.out.lines().try_for_each(|line| output.take(line)).with_context(|| file.to_string())?;
        }
        output.times.values_mut().for_each(|times| times.sort_unstable());
        Ok(output)
    }

    fn take(&mut self, line: &str) -> Result<()> {
        let words: Vec<&str> = line.split(' ').collect();
        let [kind, range, number, key, count, time] = words[..] else { bail!("a strange line: {line}") };
        let (range, number): (u32, u64) = (range.parse()?, number.parse()?);
        if kind == "end" {
            self.totals.entry(range).or_default().push(number);
            return Ok(());
        }
        *self.numbers.entry(range).or_default().entry(number).or_default() += 1;
        *self.counts.entry(key.parse()?).or_default().entry(count.parse()?).or_default() += 1;
        self.times.entry(range).or_default().push(time.parse()?);
        Ok(())
    }

    /// Compares what is there with what must be, which the ends of the ranges tell.
    pub fn verdict(&self, ranges: usize) -> Verdict {
        let mut verdict = Verdict::default();
        for range in 0..ranges as u32 {
            let ends = self.totals.get(&range).cloned().unwrap_or_default();
            // Without its end a range's last numbers are lost, who knows how many: at least the end itself.
            verdict.lost += u64::from(ends.is_empty());
            verdict.doubled += (ends.len() as u64).saturating_sub(1);
            let seen = self.numbers.get(&range);
            let total = ends.first().copied().unwrap_or_default();
            let (lost, doubled) = compare(seen, 0, total);
            verdict.numbers += total;
            verdict.lost += lost;
            verdict.doubled += doubled;
        }
        for counts in self.counts.values() {
            let all: u64 = counts.values().map(|times| u64::from(*times)).sum();
            let (lost, doubled) = compare(Some(counts), 1, all + 1);
            verdict.miscounted += lost + doubled;
        }
        verdict
    }

    /// The longest time between two lines of one range, of which the later lies in a span: what a span begins with began
    /// before it, and what comes to lie behind its end is the next one's matter.
    pub fn longest_gap(&self, (from, to): (u64, u64)) -> u64 {
        let of_range = |times: &Vec<u64>| {
            let first = times.partition_point(|time| *time < from).saturating_sub(1);
            let end = times.partition_point(|time| *time <= to).max(first);
            times[first..end].windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
        };
        self.times.values().filter(|times| !times.is_empty()).map(of_range).max().unwrap_or_default()
    }
}

/// How many of the numbers from `first` up to `end` are missing, and how many others or repetitions there are.
fn compare(seen: Option<&BTreeMap<u64, u32>>, first: u64, end: u64) -> (u64, u64) {
    let empty = BTreeMap::new();
    let seen = seen.unwrap_or(&empty);
    let distinct: BTreeSet<u64> =
        seen.keys().copied().filter(|number| (first..end).contains(number)).collect();
    let all: u64 = seen.values().map(|times| u64::from(*times)).sum();
    ((end - first) - distinct.len() as u64, all - distinct.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Output {
        let mut output = Output::default();
        lines.iter().for_each(|line| output.take(line).expect("a line"));
        output.times.values_mut().for_each(|times| times.sort_unstable());
        output
    }

    const WHOLE: [&str; 6] = [
        "n 0 0 0 1 1000",
        "n 0 1 1 1 1010",
        "end 0 2 0 0 1020",
        "n 1 0 0 2 1005",
        "n 1 1 1 2 1200",
        "end 1 2 0 0 1205",
    ];

    #[test]
    fn a_whole_output_is_exact() {
        let verdict = Verdict { numbers: 4, ..Verdict::default() };
        assert_eq!(of(&WHOLE).verdict(2), verdict);
    }

    #[test]
    fn what_is_lost_doubled_or_miscounted_is_counted() {
        let lost = of(&[WHOLE[0], WHOLE[2], WHOLE[3], WHOLE[4], WHOLE[5]]).verdict(2);
        // The count of key 1 begins with 2.
        assert_eq!((lost.lost, lost.doubled, lost.miscounted), (1, 0, 2));
        let mut doubled = WHOLE.to_vec();
        doubled.push(WHOLE[3]);
        let doubled = of(&doubled).verdict(2);
        assert_eq!((doubled.lost, doubled.doubled), (0, 1));
        assert!(doubled.miscounted > 0);
        assert_eq!(of(&WHOLE[..5]).verdict(2).lost, 1, "the end of a range is missing");
    }

    #[test]
    fn a_gap_is_that_of_the_range_that_stood_still_longest() {
        assert_eq!(of(&WHOLE).longest_gap((1000, 2000)), 195);
        assert_eq!(of(&WHOLE).longest_gap((1190, 1200)), 195);
        assert_eq!(of(&WHOLE).longest_gap((1005, 1199)), 10, "what ends later is not this span's");
    }
}
