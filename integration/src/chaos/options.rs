//! The command line of the chaos command.

use super::Fault;
use anyhow::{Context, Result, bail};
use std::time::Duration;

/// What to do to whom, and for how long.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long faults are injected.
    pub time: Duration,
    /// How many faults at most, besides those that are done to jobs of their own before the time begins.
    pub count: usize,
    /// Whoever gives the same seed gets the same faults in the same order.
    pub seed: u64,
    /// Which faults; each comes once before one comes again, but for those that have to have the cluster for themselves: they
    /// come once.
    pub faults: Vec<Fault>,
    /// What remembers jobs: `filesystem` or `zookeeper`.
    pub ha: String,
    /// How long a process is paused that is paused for longer than the time-outs, which are five sixths of this.
    pub pause: Duration,
    /// Warm spare task executors.
    pub spares: u32,
    /// Numbers a second.
    pub rate: u64,
    /// `checkpoint` or `time`: when part files end.
    pub roll: String,
    /// A daemon of the cluster that is dead throughout.
    pub dead: Option<String>,
    /// More of the job's configuration: `key=value`.
    pub more: Vec<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            time: Duration::from_secs(600),
            count: usize::MAX,
            seed: std::time::UNIX_EPOCH.elapsed().map_or(1, |passed| passed.as_secs() % 100_000),
            faults: Vec::new(),
            ha: "filesystem".to_string(),
            pause: Duration::from_secs(15),
            spares: 0,
            rate: 2000,
            roll: "checkpoint".to_string(),
            dead: None,
            more: Vec::new(),
        }
    }
}

/// What `--help` says.
pub const USAGE: &str = "\
chaos.sh: random faults on a real cluster while a job runs, and what became of its output

  --minutes N          how long faults are injected (default 10)
  --count N            at most so many faults
  --seed S             the same seed gives the same faults in the same order (default: from the clock)
  --faults LIST        only these, separated by commas; --list names them (default: all that the cluster allows)
  --ha STORE           filesystem (default) or zookeeper, which brings up three servers
  --pause SECONDS      how long the longer pauses last (default 15; 60 leaves the time-outs at Flink's defaults)
  --spares N           slotmanager.redundant-taskmanager-num (default 0)
  --rate N             records a second (default 2000)
  --roll WHEN          part files end with each `checkpoint` (default), or by `time` and are taken up again
  --dead ROLE          a daemon that is killed before the job begins and stays dead, as zookeeper3
  -D KEY=VALUE         more of the job's configuration; may be repeated
  --list               names the faults";

impl Options {
    /// Reads a command line without its first word.
    ///
    /// # Errors
    /// Names the word that is not understood.
    pub fn parse(words: &[String]) -> Result<Options> {
        let mut options = Options::default();
        let mut words = words.iter();
        while let Some(name) = words.next() {
            let value = words.next().with_context(|| format!("{name} wants a value"))?;
            options.set(name, value).with_context(|| format!("{name} {value}"))?;
        }
        if options.faults.is_empty() {
            options.faults = Fault::ALL.to_vec();
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "--minutes" => self.time = Duration::from_secs_f64(value.parse::<f64>()? * 60.0),
            "--count" => self.count = value.parse()?,
            "--seed" => self.seed = value.parse()?,
            "--pause" => self.pause = Duration::from_secs(value.parse()?),
            "--spares" => self.spares = value.parse()?,
            "--rate" => self.rate = value.parse()?,
            "--faults" => self.faults = value.split(',').map(Fault::named).collect::<Result<_>>()?,
            "--ha" => self.ha = one_of(value, &["filesystem", "zookeeper"])?,
            "--dead" => self.dead = Some(value.to_string()),
            "-D" if value.contains('=') => self.more.push(value.to_string()),
            "-D" => bail!("it is KEY=VALUE"),
            "--roll" => self.roll = one_of(value, &["checkpoint", "time"])?,
            _ => bail!("there is no such option:\n{USAGE}"),
        }
        Ok(())
    }

    /// `heartbeat.timeout`, and after how long YARN counts a silent application master or node as lost.
    pub fn time_out(&self) -> Duration {
        self.pause * 5 / 6
    }
}

fn one_of(value: &str, known: &[&str]) -> Result<String> {
    if !known.contains(&value) {
        bail!("it is {}", known.join(" or "));
    }
    Ok(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options> {
        Options::parse(&line.split_whitespace().map(str::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn a_command_line_is_read_and_a_wrong_word_named() {
        let options =
            parsed("--minutes 0.5 --faults am-kill,worker-kill --dead zookeeper3 -D a=b=c --pause 60")
                .unwrap();
        assert_eq!(options.time, Duration::from_secs(30));
        assert_eq!(options.faults, [Fault::MasterKilled, Fault::WorkerKilled]);
        assert_eq!(
            (options.dead.as_deref(), options.more.as_slice()),
            (Some("zookeeper3"), &["a=b=c".to_string()][..])
        );
        assert_eq!(options.time_out(), Duration::from_secs(50));
        assert_eq!(parsed("").unwrap().faults, Fault::ALL);
        for (line, word) in [
            ("--faults am-kil", "am-kil"),
            ("--ha etcd", "--ha etcd"),
            ("--minutes", "--minutes"),
            ("-D x", "KEY=VALUE"),
        ] {
            let error = format!("{:#}", parsed(line).unwrap_err());
            assert!(error.contains(word), "{error}");
        }
    }
}
