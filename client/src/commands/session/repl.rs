//! The dialogue of an attached session: `stop`, `quit`, `help`; and an eye on the application meanwhile.

use crate::cluster::Running;
use crate::console;
use crate::execution;
use crate::master::MasterClient;
use anyhow::Result;
use kvick_yarn::records::ApplicationState;
use std::io::BufRead;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Between two looks at the application.
const LOOK: Duration = Duration::from_secs(1);
/// After which time without an answer the ResourceManager is given up.
const UNREACHABLE: Duration = Duration::from_secs(15);

/// How the dialogue ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The session shall end.
    Stop,
    /// We were interrupted, with this exit code.
    Interrupted(u8),
    /// The application has ended.
    Gone,
}

/// Holds the dialogue until it ends; `master` is told of every master that takes over meanwhile.
pub async fn run(running: &Running, master: &MasterClient) -> Result<End> {
    let mut lines = stdin_lines();
    let mut looks = tokio::time::interval(LOOK);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            Some(line) = lines.recv() => {
                if takes_leave(&line) {
                    return Ok(End::Stop);
                }
            }
            interrupted = execution::signalled() => return Ok(End::Interrupted(interrupted.0)),
            _ = looks.tick() => match running.yarn.report(running.id).await {
                Ok(report) => {
                    heard = Instant::now();
                    if report.state.is_terminal() {
                        if report.state != ApplicationState::Finished {
                            console::complain("The Flink Yarn cluster has failed.");
                        }
                        return Ok(End::Gone);
                    }
                    master.heed(&report);
                }
                Err(error) if heard.elapsed() > UNREACHABLE => {
                    console::complain("The Flink Yarn cluster is in an unknown state. Please check the Yarn cluster.");
                    return Err(error.into());
                }
                Err(_) => {}
            },
        }
    }
}

/// Whether the line ends the session; answers it otherwise.
fn takes_leave(line: &str) -> bool {
    match line.trim() {
        "quit" | "stop" => return true,
        "" => {}
        "help" => console::complain(HELP),
        other => console::complain(format!("Unknown command '{other}'. Showing help:\n{HELP}")),
    }
    false
}

const HELP: &str = "Available commands:\nhelp - show these commands\nstop - stop the YARN session";

/// The lines of standard input, read by a thread of its own: it may wait for ever, and ends with the process. The end of
/// the input is not the end of the session.
fn stdin_lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
