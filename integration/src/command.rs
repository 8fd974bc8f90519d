//! Running the distribution's commands as a person would.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a command came to.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; -1 where a signal ended it.
    pub code: i32,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
    /// How long it took.
    pub took: Duration,
}

impl Ran {
    /// Asserts exit code 0, and shows everything otherwise.
    #[track_caller]
    pub fn ok(self) -> Ran {
        assert_eq!(self.code, 0, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Asserts an exit code, and shows everything otherwise.
    #[track_caller]
    pub fn fails(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Asserts that either stream holds a text.
    #[track_caller]
    pub fn says(self, text: &str) -> Ran {
        let found = self.out.contains(text) || self.err.contains(text);
        assert!(found, "\"{text}\" is not in\nstdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// The first application id in the output.
    #[track_caller]
    pub fn application(&self) -> String {
        let text = format!("{}\n{}", self.out, self.err);
        let start = text.find("application_").unwrap_or_else(|| panic!("no application id in\n{text}"));
        text[start..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    }

    /// The job id of the line `Job has been submitted with JobID …`.
    #[track_caller]
    pub fn job(&self) -> String {
        let marker = "submitted with JobID ";
        let start =
            self.out.find(marker).unwrap_or_else(|| panic!("no job id in\n{}", self.out)) + marker.len();
        self.out[start..].chars().take_while(char::is_ascii_hexdigit).collect()
    }
}

/// The distribution under test.
pub fn dist() -> PathBuf {
    PathBuf::from(required("KVICK_DIST"))
}

/// A variable that `scripts/test.sh` sets.
pub fn required(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run scripts/test.sh, which prepares it"))
}

/// An example's jar.
pub fn example(name: &str) -> String {
    dist().join("examples").join(name).display().to_string()
}

/// A command of the distribution, with a properties file directory of the tests' own.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(dist().join("bin").join(program));
    command.stdin(Stdio::null());
    command
}

/// Runs `flink` with these arguments.
pub fn flink<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    run(command("flink").args(arguments))
}

/// Runs `yarn-session.sh` with these arguments.
pub fn yarn_session<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    run(command("yarn-session.sh").args(arguments))
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ran {
    let begin = Instant::now();
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: begin.elapsed(),
    }
}

/// Runs the file tool; the answer is what it wrote.
pub fn fs(arguments: &[&str]) -> Ran {
    run(Command::new(required("KVICK_FS")).args(arguments))
}
