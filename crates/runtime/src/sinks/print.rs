//! Prints records to the process's standard output or standard error: `<subtask>> record` with several subtasks, the
//! record alone with one, a prefix before it where one was given (Flink's `PrintSinkOutputWriter`).

use super::Sink;
use crate::element::Batch;
use crate::error::{TaskError, TaskResult};
use crate::stdio::StandardOutput;
use crate::task::TaskContext;
use crate::text;
use serde::Serialize;
use std::io::Write;

/// Where to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrintTarget {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Prints records.
pub struct PrintSink {
    target: PrintTarget,
    identifier: Option<String>,
    prefix: Vec<u8>,
    stdout: Option<StandardOutput>,
    lines: Vec<u8>,
}

impl PrintSink {
    /// A sink that prints, with an identifier before each line where one is given.
    pub fn new(target: PrintTarget, identifier: Option<String>) -> Self {
        PrintSink { target, identifier, prefix: Vec::new(), stdout: None, lines: Vec::new() }
    }
}

fn prefix(identifier: Option<&str>, subtask: u32, parallelism: u32) -> String {
    match (identifier, parallelism > 1) {
        (None, false) => String::new(),
        (None, true) => format!("{}> ", subtask + 1),
        (Some(id), false) => format!("{id}> "),
        (Some(id), true) => format!("{id}:{}> ", subtask + 1),
    }
}

impl<T: Serialize + 'static> Sink<T> for PrintSink {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        let prefix = prefix(self.identifier.as_deref(), context.subtask(), context.parallelism);
        self.prefix = prefix.into_bytes();
        self.stdout = Some(context.job.stdout.clone());
        Ok(())
    }

    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult {
        for record in &batch.records {
            self.lines.extend_from_slice(&self.prefix);
            text::append(&mut self.lines, record).map_err(|e| TaskError::caused("cannot print", &e))?;
            self.lines.push(b'\n');
        }
        let written = match (self.target, &self.stdout) {
            (PrintTarget::Out, Some(stdout)) => stdout.write(&self.lines),
            _ => std::io::stderr().lock().write_all(&self.lines),
        };
        self.lines.clear();
        written.map_err(|error| TaskError::caused("cannot print", &error))
    }
}

#[cfg(test)]
mod tests {
    use super::prefix;

    #[test]
    fn the_prefix_names_the_subtask_only_when_there_are_several() {
        assert_eq!(prefix(None, 0, 1), "");
        assert_eq!(prefix(None, 0, 4), "1> ");
        assert_eq!(prefix(Some("id"), 0, 1), "id> ");
        assert_eq!(prefix(Some("id"), 3, 4), "id:4> ");
    }
}
