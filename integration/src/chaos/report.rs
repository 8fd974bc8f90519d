//! What is told at the end: one line for each fault, then what became of the output.

use super::Fault;
use super::output::Verdict;
use std::collections::BTreeMap;
use std::fmt;

/// How one injection was felt.
#[derive(Debug, Clone)]
pub struct Injection {
    /// The fault.
    pub fault: &'static str,
    /// Milliseconds until all subtasks ran again.
    pub recovery: u64,
    /// Restarts that it cost.
    pub restarts: u64,
    /// The longest time without a line, in milliseconds.
    pub gap: u64,
}

/// The whole run.
#[derive(Debug, Default)]
pub struct Report {
    /// The seed that repeats it.
    pub seed: u64,
    /// All injections.
    pub injections: Vec<Injection>,
    /// The longest time without a line while nothing was wrong, in milliseconds.
    pub calm_gap: u64,
    /// Milliseconds from the submission of the job that runs all the time until all its subtasks ran, before anything was wrong: most of
    /// it is YARN's own time for its containers, on this machine with what else it has to do.
    pub start: u64,
    /// What became of the output.
    pub verdict: Verdict,
    /// What ought not to have happened, in words.
    pub violations: Vec<String>,
    /// Apache Flink's recoveries from the kill of its master, in milliseconds, where it was measured.
    pub flink: Vec<u64>,
    /// Faults that this cluster does not allow, and why.
    pub skipped: Vec<String>,
}

impl Report {
    /// Whether all went as it should.
    pub fn is_clean(&self) -> bool {
        let Verdict { numbers, lost, doubled, miscounted } = self.verdict;
        self.violations.is_empty() && numbers > 0 && lost + doubled + miscounted == 0
    }

    /// The recoveries from a fault, in milliseconds.
    pub fn recoveries(&self, fault: Fault) -> Vec<u64> {
        let of_fault = self.injections.iter().filter(|one| one.fault == fault.name());
        of_fault.map(|one| one.recovery).collect()
    }

    fn by_fault(&self) -> BTreeMap<&'static str, Vec<&Injection>> {
        let mut all: BTreeMap<&'static str, Vec<&Injection>> = BTreeMap::new();
        self.injections.iter().for_each(|one| all.entry(one.fault).or_default().push(one));
        all
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| fault | times | recovery: median | worst | longest gap in the output | restarts |")?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|")?;
        for (fault, all) in self.by_fault() {
            let (median, worst) = median_and_worst(all.iter().map(|one| one.recovery).collect());
            let gap = all.iter().map(|one| one.gap).max().unwrap_or_default();
            let restarts: u64 = all.iter().map(|one| one.restarts).sum();
            let times = all.len();
            writeln!(
                f,
                "| {fault} | {times} | {} | {} | {} | {restarts} |",
                seconds(median),
                seconds(worst),
                seconds(gap)
            )?;
        }
        if !self.flink.is_empty() {
            let (median, worst) = median_and_worst(self.flink.clone());
            let times = self.flink.len();
            writeln!(
                f,
                "| am-kill, Apache Flink | {times} | {} | {} | – | {times} |",
                seconds(median),
                seconds(worst)
            )?;
        }
        let Verdict { numbers, lost, doubled, miscounted } = self.verdict;
        writeln!(
            f,
            "\nseed {}, {} faults; undisturbed: {} from the submission until all ran, longest gap {}",
            self.seed,
            self.injections.len(),
            seconds(self.start),
            seconds(self.calm_gap)
        )?;
        write!(f, "{numbers} records: lost {lost}, duplicated {doubled}, miscounted {miscounted}")?;
        self.skipped.iter().try_for_each(|text| write!(f, "\nskipped: {text}"))?;
        self.violations.iter().try_for_each(|text| write!(f, "\nWRONG: {text}"))?;
        write!(f, "\n{}", if self.is_clean() { "clean" } else { "NOT CLEAN" })
    }
}

/// Milliseconds as seconds.
fn seconds(millis: u64) -> String {
    format!("{:.2} s", millis as f64 / 1000.0)
}

fn median_and_worst(mut values: Vec<u64>) -> (u64, u64) {
    values.sort_unstable();
    let median = values.get(values.len() / 2).copied().unwrap_or_default();
    (median, values.last().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_clean_only_if_there_is_output_and_nothing_is_wrong_with_it() {
        let mut report =
            Report { verdict: Verdict { numbers: 7, ..Verdict::default() }, ..Report::default() };
        let felt = |recovery| Injection { fault: "am-kill", recovery, restarts: 0, gap: 40 };
        report.injections = [1500, 900, 1200].into_iter().map(felt).collect();
        assert!(report.is_clean());
        let text = report.to_string();
        assert!(text.contains("| am-kill | 3 | 1.20 s | 1.50 s | 0.04 s | 0 |"), "{text}");
        assert!(text.contains("lost 0, duplicated 0"), "{text}");
        report.verdict.lost = 1;
        assert!(!report.is_clean());
        assert!(!Report::default().is_clean(), "no output proves nothing");
    }
}
