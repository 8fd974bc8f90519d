//! What was measured, as a table with ratios and with what was aimed at.

use crate::sample::Sample;
use std::fmt;

/// What a row counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unit {
    /// Time; less is better.
    Milliseconds,
    /// Memory, in 1,048,576 bytes; less is better.
    Megabytes,
    /// Data, in 1000 bytes; less is better.
    Kilobytes,
    /// Throughput, in 1,000,000 bytes; more is better.
    MegabytesPerSecond,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Unit::Milliseconds => "ms",
            Unit::Megabytes => "MiB",
            Unit::Kilobytes => "kB",
            Unit::MegabytesPerSecond => "MB/s",
        }
    }

    /// How many times as good `kvick` is as `other`.
    fn times_better(self, kvick: f64, other: f64) -> f64 {
        if self == Unit::MegabytesPerSecond { kvick / other } else { other / kvick }
    }
}

/// What Kvick's median is to be.
#[derive(Clone, Copy, Debug)]
pub enum Aim {
    /// Nothing is aimed at.
    None,
    /// No more than this.
    AtMost(f64),
    /// No more than so many times the floor.
    TimesFloor(f64),
    /// No more than so much above the floor.
    FloorPlus(f64),
    /// At least so many times as good as each of these.
    Peers(&'static [(&'static str, f64)]),
}

/// One thing that was measured on several systems.
pub struct Row {
    what: String,
    unit: Unit,
    aim: Aim,
    samples: Vec<(&'static str, Sample)>,
}

impl Row {
    /// A row without measurements.
    pub fn new(what: &str, unit: Unit) -> Row {
        Row { what: what.to_string(), unit, aim: Aim::None, samples: Vec::new() }
    }

    /// Says what is aimed at.
    pub fn aim(mut self, aim: Aim) -> Row {
        self.aim = aim;
        self
    }

    /// Adds a system's measurements, and tells them at once: a run takes minutes.
    pub fn add(&mut self, system: &'static str, sample: Sample) {
        eprintln!("bench: {}: {system} {} {}", self.what, cell(&sample), self.unit.name());
        self.samples.push((system, sample));
    }

    /// The same, in passing.
    pub fn with(mut self, system: &'static str, sample: Sample) -> Row {
        self.add(system, sample);
        self
    }

    fn median(&self, system: &str) -> Option<f64> {
        self.samples.iter().find(|(name, _)| *name == system)?.1.median()
    }

    fn cell(&self, system: &str) -> String {
        self.samples
            .iter()
            .find(|(name, _)| *name == system)
            .map_or_else(|| "–".to_string(), |(_, sample)| cell(sample))
    }

    fn ratios(&self, floor: Option<f64>) -> String {
        let Some(kvick) = self.median("Kvick") else { return "–".to_string() };
        let others = self.samples.iter().filter(|(name, _)| *name != "Kvick");
        let mut ratios: Vec<String> = others
            .filter_map(|(name, sample)| {
                let times = self.unit.times_better(kvick, sample.median()?);
                // Nothing at all is no number of times better than something.
                times.is_finite().then(|| format!("{times:.2} × {name}"))
            })
            .collect();
        if let (Unit::Milliseconds, Some(floor)) = (self.unit, floor) {
            ratios.push(format!("{:.2} of the floor", kvick / floor));
        }
        if ratios.is_empty() { "–".to_string() } else { ratios.join(", ") }
    }

    /// The aim in words, and whether it was met where that is known.
    fn verdict(&self, floor: Option<f64>) -> String {
        let (words, met) = match self.aim {
            Aim::None => return "–".to_string(),
            Aim::AtMost(most) => (format!("≤ {most} {}", self.unit.name()), self.kvick_within(Some(most))),
            Aim::TimesFloor(times) => {
                (format!("≤ {times} × floor"), self.kvick_within(floor.map(|f| f * times)))
            }
            Aim::FloorPlus(more) => {
                (format!("≤ floor + {more} ms"), self.kvick_within(floor.map(|f| f + more)))
            }
            Aim::Peers(peers) => {
                let words: Vec<String> =
                    peers.iter().map(|(peer, times)| format!("≥ {times} × {peer}")).collect();
                (words.join(", "), self.beats(peers))
            }
        };
        let mark = match met {
            Some(true) => " (met)",
            Some(false) => " (missed)",
            None => "",
        };
        words + mark
    }

    fn kvick_within(&self, limit: Option<f64>) -> Option<bool> {
        Some(self.median("Kvick")? <= limit?)
    }

    /// Judged by the peers that took part; nothing if none did.
    fn beats(&self, peers: &[(&str, f64)]) -> Option<bool> {
        let kvick = self.median("Kvick")?;
        let took_part =
            |(peer, times): &(&str, f64)| Some(self.unit.times_better(kvick, self.median(peer)?) >= *times);
        peers.iter().filter_map(took_part).reduce(|all, one| all && one)
    }
}

fn cell(sample: &Sample) -> String {
    match (sample.min(), sample.median()) {
        (Some(min), Some(median)) => format!("{} / {} ({})", short(min), short(median), sample.len()),
        _ => "–".to_string(),
    }
}

/// Three digits, more where there are more before the point.
fn short(value: f64) -> String {
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$}")
}

/// The whole table.
pub struct Report {
    /// The distributed shell with one container, median, ms.
    pub floor: Option<f64>,
    rows: Vec<Row>,
}

/// The systems, in the order of the table's columns.
const SYSTEMS: [&str; 5] = ["Kvick", "Flink", "floor", "Renoir", "by hand"];

impl Report {
    /// An empty table.
    pub fn new() -> Report {
        Report { floor: None, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Adds rows.
    pub fn extend(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.rows.extend(rows);
    }

    /// The systems that took part.
    fn systems(&self) -> Vec<&'static str> {
        let took_part = |name: &&&str| {
            self.rows.iter().any(|row| row.samples.iter().any(|(system, _)| *system == **name))
        };
        SYSTEMS.iter().filter(took_part).copied().collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let systems = self.systems();
        writeln!(
            f,
            "Each cell: min / median (measurements). A ratio is of medians; above 1 Kvick is the better one.\n"
        )?;
        writeln!(f, "| what | unit | {} | ratio | aim |", systems.join(" | "))?;
        writeln!(f, "|---|---|{}---|---|", "---|".repeat(systems.len()))?;
        for row in &self.rows {
            let cells: Vec<String> = systems.iter().map(|system| row.cell(system)).collect();
            let (unit, ratios, verdict) = (row.unit.name(), row.ratios(self.floor), row.verdict(self.floor));
            writeln!(f, "| {} | {unit} | {} | {ratios} | {verdict} |", row.what, cells.join(" | "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throughput(kvick: f64, flink: f64, renoir: f64) -> Row {
        let sample = |value| Sample::from_iter([value]);
        Row::new("counting", Unit::MegabytesPerSecond)
            .with("Kvick", sample(kvick))
            .with("Flink", sample(flink))
            .with("Renoir", sample(renoir))
            .aim(Aim::Peers(&[("Renoir", 1.0), ("Flink", 20.0)]))
    }

    #[test]
    fn more_is_better_for_throughput_and_less_for_time() {
        assert_eq!(throughput(100.0, 4.0, 50.0).ratios(None), "25.00 × Flink, 2.00 × Renoir");
        let time = Row::new("starting", Unit::Milliseconds).with("Kvick", Sample::from_iter([200.0]));
        let time = time.with("Flink", Sample::from_iter([3000.0]));
        assert_eq!(time.ratios(Some(100.0)), "15.00 × Flink, 2.00 of the floor");
    }

    #[test]
    fn an_aim_says_whether_it_was_met() {
        assert!(throughput(100.0, 4.0, 50.0).verdict(None).ends_with("(met)"));
        assert!(throughput(100.0, 6.0, 50.0).verdict(None).ends_with("(missed)"));
        assert!(throughput(40.0, 1.0, 50.0).verdict(None).ends_with("(missed)"));
        let row = Row::new("starting", Unit::Milliseconds).with("Kvick", Sample::from_iter([200.0]));
        assert_eq!(row.aim(Aim::TimesFloor(1.5)).verdict(Some(100.0)), "≤ 1.5 × floor (missed)");
    }
}
