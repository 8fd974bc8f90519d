//! The process of a program: its standard error is passed on and its last lines kept, its end becomes a failure or not.

use kvick_core::failure::{Failure, FailureKind};
use kvick_core::host::Role;
use kvick_rpc::host::{HostError, Inbox, Outbox, Program};
use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;
use tokio::task::JoinHandle;

/// How many of the last lines on standard error are kept for the report of a failure.
const KEPT_LINES: usize = 20;

/// How long the rest of standard error is waited for: it ends with the process, unless a grandchild holds it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A program that was started.
pub struct Running {
    name: String,
    program: Program,
    stderr: Option<JoinHandle<VecDeque<String>>>,
}

impl Running {
    /// Starts a program in the role of an application.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(path: &Path, args: &[String]) -> Result<Running, Failure> {
        let mut command = Command::new(path);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::inherit()).stderr(Stdio::piped());
        let mut program = Program::launch(Role::Application, command).map_err(|e| as_failure(&e))?;
        let stderr = program.stderr.take().map(|stderr| tokio::spawn(pass_on(stderr)));
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Running { name, program, stderr })
    }

    /// What the program says.
    pub fn inbox(&mut self) -> &mut Inbox {
        &mut self.program.inbox
    }

    /// What is said to it.
    pub fn outbox(&self) -> Outbox {
        self.program.outbox.clone()
    }

    /// Waits for the program's end.
    ///
    /// # Errors
    /// If it ended otherwise than with exit code 0: with the last lines that it wrote.
    pub async fn end(self) -> Result<(), Failure> {
        let exit = self.program.process.exited().await;
        let last_words = last_words(self.stderr).await;
        if exit.success() {
            return Ok(());
        }
        let text = format!("the program {} ended with {exit}", self.name);
        Err(Failure::new(FailureKind::Error, text).with_detail(last_words))
    }

    /// Kills a program with which there is no speaking, and waits until it is gone.
    pub async fn kill(self, why: HostError) -> Failure {
        self.program.process.kill();
        self.program.process.exited().await;
        let text = format!("the program {} does not speak as agreed and was killed", self.name);
        as_failure(&why).wrapped(FailureKind::Error, text).with_detail(last_words(self.stderr).await)
    }
}

async fn last_words(stderr: Option<JoinHandle<VecDeque<String>>>) -> String {
    let Some(reading) = stderr else { return String::new() };
    match tokio::time::timeout(LAST_WORDS, reading).await {
        Ok(Ok(lines)) => Vec::from(lines).join("\n"),
        _ => String::new(),
    }
}

/// Copies a program's standard error to this process's and keeps its last lines.
async fn pass_on(stderr: impl AsyncRead + Unpin) -> VecDeque<String> {
    let mut reader = BufReader::new(stderr);
    let mut kept = VecDeque::new();
    let mut line = Vec::new();
    while let Ok(1..) = reader.read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line).trim_end().to_string();
        line.clear();
        eprintln!("{text}");
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(text);
    }
    kept
}

/// An error with its causes as a failure.
pub fn as_failure(error: &dyn std::error::Error) -> Failure {
    let failure = Failure::new(FailureKind::Error, error.to_string());
    Failure { cause: error.source().map(|source| Box::new(as_failure(source))), ..failure }
}
