//! A system under test: where its commands are, and how it is told to count words.

use anyhow::{Context, Result, ensure};
use kvick_integration::command::{Ran, dist, required, run};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Kvick or Flink, with a configuration directory of the benchmark's own, so that the sessions of the two (and those of
/// whoever else works on this machine) are not taken for one another's.
pub struct System {
    /// The name in the tables.
    pub name: &'static str,
    home: PathBuf,
    conf: TempDir,
    wordcount: Vec<String>,
    batch: [Vec<String>; 2],
}

impl System {
    /// The distribution that `KVICK_DIST` names.
    pub fn kvick() -> Result<System> {
        let home = dist();
        let jar = |name: &str| home.join("examples").join(name).display().to_string();
        let (wordcount, batch) =
            (vec![jar("streaming/WordCount.jar")], [vec![jar("batch/WordCount.jar")], vec![]]);
        Ok(System { name: "Kvick", conf: own_conf(&home)?, home, wordcount, batch })
    }

    /// A Flink distribution.
    pub fn flink(home: &Path) -> Result<System> {
        let examples =
            std::fs::read_dir(home.join("examples")).with_context(|| format!("FLINK_HOME is {home:?}"))?;
        let jar = examples
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|e| e == "jar"));
        let jar =
            jar.context("no examples: put the distribution together with integration/bench/flink.sh")?;
        let class = "org.apache.flink.streaming.examples.wordcount.WordCount";
        let wordcount = vec!["-c".to_string(), class.to_string(), jar.display().to_string()];
        let batch = [wordcount.clone(), vec!["--execution-mode".to_string(), "BATCH".to_string()]];
        Ok(System { name: "Flink", conf: own_conf(home)?, home: home.to_path_buf(), wordcount, batch })
    }

    /// A command of its `bin/`.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.home.join("bin").join(program));
        command.stdin(std::process::Stdio::null());
        command.env("FLINK_CONF_DIR", self.conf.path()).env_remove("FLINK_HOME");
        if let Ok(classpath) = std::env::var("KVICK_HADOOP_CLASSPATH") {
            command.env("HADOOP_CLASSPATH", classpath);
        }
        command
    }

    /// `flink ARGUMENTS… <streaming WordCount> PROGRAM…`.
    pub fn wordcount(&self, arguments: &str, program: &[&str]) -> Command {
        let mut command = self.command("flink");
        command.args(arguments.split_whitespace()).args(&self.wordcount).args(program);
        command
    }

    /// The same in batch mode.
    pub fn batch_wordcount(&self, arguments: &str, program: &[&str]) -> Command {
        let mut command = self.command("flink");
        command.args(arguments.split_whitespace()).args(&self.batch[0]).args(program).args(&self.batch[1]);
        command
    }

    /// Starts a detached session; answers what the command wrote.
    pub fn session(&self, arguments: &str) -> Result<Ran> {
        succeeded(self.command("yarn-session.sh").arg("-d").args(arguments.split_whitespace()))
    }
}

/// Runs a command that must succeed.
pub fn succeeded(command: &mut Command) -> Result<Ran> {
    let ran = run(command);
    ensure!(ran.code == 0, "{command:?} ended with code {}:\n{}{}", ran.code, ran.out, ran.err);
    Ok(ran)
}

fn own_conf(home: &Path) -> Result<TempDir> {
    let dir = TempDir::new()?;
    let files =
        std::fs::read_dir(home.join("conf")).with_context(|| format!("{} has no conf/", home.display()))?;
    for file in files.flatten() {
        std::fs::copy(file.path(), dir.path().join(file.file_name()))?;
    }
    let legacy = dir.path().join("flink-conf.yaml");
    let path = if legacy.exists() { legacy } else { dir.path().join("config.yaml") };
    let shipped = std::fs::read_to_string(&path).unwrap_or_default();
    let properties = format!("yarn.properties-file.location: {}", dir.path().display());
    let staging = format!("yarn.staging-directory: {}", staging());
    std::fs::write(&path, format!("{shipped}\n{properties}\n{staging}\n"))?;
    Ok(dir)
}

/// The staging directory of all submissions of this run: empty at first, and deleted at the end.
pub fn staging() -> String {
    required("KVICK_BENCH_STAGING")
}
