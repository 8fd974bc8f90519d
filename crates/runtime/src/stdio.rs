//! The process's standard output, for the `print` sinks alone.
//!
//! In a worker, what the program itself prints must not appear among the job's results: `main()` runs there again. So a
//! worker keeps the original standard output here and lets file descriptor 1 point at standard error.

use crate::task::lock;
use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// A place where lines of results are written, shared by all tasks of a process.
#[derive(Clone)]
pub struct StandardOutput {
    file: Arc<Mutex<Box<dyn Write + Send>>>,
}

impl std::fmt::Debug for StandardOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StandardOutput")
    }
}

impl StandardOutput {
    /// The process's standard output as it is.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn current() -> io::Result<StandardOutput> {
        let original = rustix::io::dup(rustix::stdio::stdout())?;
        Ok(StandardOutput::to(File::from(original)))
    }

    /// Keeps the standard output for results and points file descriptor 1 at standard error.
    ///
    /// # Errors
    /// A standard stream is closed.
    pub fn take() -> io::Result<StandardOutput> {
        let output = StandardOutput::current()?;
        rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
        Ok(output)
    }

    /// Any other place.
    pub fn to(writer: impl Write + Send + 'static) -> StandardOutput {
        StandardOutput { file: Arc::new(Mutex::new(Box::new(writer))) }
    }

    /// Writes whole lines; lines of several tasks do not mix.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write(&self, lines: &[u8]) -> io::Result<()> {
        let mut file = lock(&self.file);
        file.write_all(lines)?;
        file.flush()
    }
}
