//! A job that is held: it stays at some place as long as a file is there, which the test removes when it has seen what it
//! wanted to see of the running job. However slow a machine is, the job is not over before that.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The local file that holds a job; without one nothing does.
#[derive(Debug, Clone)]
pub struct Hold(Option<PathBuf>);

impl Hold {
    /// The one that the job's argument `--while` names, if it is given.
    pub fn of(params: &kvick::prelude::Params) -> Hold {
        Hold(params.get("while").map(PathBuf::from))
    }

    /// Whether the job is to stay where it is.
    pub fn holds(&self) -> bool {
        self.0.as_deref().is_some_and(Path::exists)
    }

    /// Stays until it holds no more.
    #[allow(dead_code, reason = "not every job may wait")]
    pub fn wait(&self) {
        while self.holds() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
