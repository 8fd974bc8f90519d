//! The native programs: one that runs the queries on Kvick, one that runs them on Renoir, each a process of its own.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that takes `QUERY DIR PARALLELISM [OPTION…]` and tells `Job Runtime: N ms`.
pub struct Program {
    /// The system's name in the tables.
    pub name: &'static str,
    path: PathBuf,
    parallelism: usize,
}

impl Program {
    /// The program at a path.
    pub fn new(name: &'static str, path: PathBuf, parallelism: usize) -> Program {
        Program { name, path, parallelism }
    }

    /// The queries it has, as it tells them: one a line.
    pub fn queries(&self) -> Result<Vec<String>> {
        let output = Command::new(&self.path).arg("queries").output();
        let output = output.with_context(|| format!("cannot run {}", self.path.display()))?;
        Ok(String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_string).collect())
    }

    /// Runs a query over the tables of a directory; answers what it wrote.
    pub fn run(&self, query: &str, tables: &Path, options: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.path);
        command.arg(query).arg(tables).arg(self.parallelism.to_string()).args(options).stdin(Stdio::null());
        let output = command.output().with_context(|| format!("cannot run {}", self.path.display()))?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{command:?} ended with {}:\n{out}{err}", output.status);
        Ok(out.into_owned())
    }

    /// The same; answers how long the job itself took, ms.
    pub fn time(&self, query: &str, tables: &Path, options: &[&str]) -> Result<f64> {
        figure(&self.run(query, tables, options)?, "Job Runtime")
    }
}

/// The number of a line `NAME: N …`.
pub fn figure(output: &str, name: &str) -> Result<f64> {
    let text = output.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let text = text.with_context(|| format!("no line \"{name}\" in:\n{output}"))?;
    let number = text.split_whitespace().next().unwrap_or_default();
    number.parse().with_context(|| format!("what is \"{name}: {text}\"?"))
}
