//! Reading the tables' part files, and writing or dropping results.

use nexmark::text::Line;
use renoir::Stream;
use renoir::operator::Operator;
use renoir::prelude::*;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Whatever fails ends the program with a message.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// What the command line says.
pub struct Job {
    tables: PathBuf,
    output: Option<PathBuf>,
    /// Where query 10 writes, if it is not to be compared.
    pub files: Option<PathBuf>,
}

impl Job {
    /// From the options behind the parallelism.
    pub fn new(tables: &str, options: &[&str]) -> Outcome<Job> {
        let mut job = Job { tables: tables.into(), output: None, files: None };
        for option in options.chunks(2) {
            match option {
                ["--output", directory] => job.output = Some(directory.into()),
                ["--files", directory] => job.files = Some(directory.into()),
                other => return Err(format!("what is {other:?}?").into()),
            }
        }
        if let Some(directory) = &job.output {
            std::fs::create_dir_all(directory)?;
        }
        Ok(job)
    }

    /// The lines of a table: each instance reads part files of its own.
    pub fn lines(&self, env: &StreamContext, table: &str) -> Stream<impl Operator<Out = String> + use<>> {
        let parts = nexmark::files::parts(&self.tables.join(table)).expect("the tables cannot be listed");
        let source = move |index: u64, instances: u64| {
            let mine = parts.into_iter().skip(index as usize).step_by(instances as usize);
            mine.flat_map(|path| {
                let file = File::open(path).expect("a part cannot be read");
                BufReader::with_capacity(1 << 16, file)
                    .lines()
                    .map(|line| line.expect("a part cannot be read"))
            })
        };
        env.stream_par_iter(source).batch_mode(BatchMode::fixed(1024))
    }

    /// Ends a stream: its rows are written as lines, or dropped.
    pub fn finish<T: Line + Send + 'static>(&self, stream: Stream<impl Operator<Out = T> + 'static>) {
        match &self.output {
            None => stream.for_each(|row| drop(std::hint::black_box(row))),
            Some(directory) => {
                let mut files = Files::new(directory);
                stream.for_each(move |row| files.write("", &row));
            }
        }
    }

    /// Whether results are compared.
    pub fn is_checked(&self) -> bool {
        self.output.is_some()
    }
}

/// Files by directory, opened at the first row; each clone has files of its own.
pub struct Files {
    directory: PathBuf,
    open: HashMap<String, BufWriter<File>>,
}

impl Clone for Files {
    fn clone(&self) -> Files {
        Files::new(&self.directory)
    }
}

impl Files {
    /// Files under a directory.
    pub fn new(directory: &Path) -> Files {
        Files { directory: directory.to_path_buf(), open: HashMap::new() }
    }

    /// Writes a row to this clone's file in a directory below.
    pub fn write(&mut self, below: &str, row: &impl Line) {
        if !self.open.contains_key(below) {
            self.open.insert(below.to_string(), create(&self.directory.join(below)));
        }
        if let Some(file) = self.open.get_mut(below) {
            writeln!(file, "{}", row.line()).expect("the output cannot be written");
        }
    }
}

fn create(directory: &Path) -> BufWriter<File> {
    static FILES: AtomicUsize = AtomicUsize::new(0);
    std::fs::create_dir_all(directory).expect("the output cannot be created");
    let path = directory.join(format!("part-{}", FILES.fetch_add(1, Ordering::Relaxed)));
    BufWriter::with_capacity(1 << 16, File::create(path).expect("the output cannot be created"))
}
