//! Reading the tables, and writing or dropping results.

use kvick::prelude::*;
use kvick::{Batch, BoxError, Data, Sink, TaskResult};
use nexmark::row::{Auction, Bid, Person};
use nexmark::text::Line;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What the command line says.
pub struct Job {
    tables: PathBuf,
    output: Option<PathBuf>,
    checkpoints: Option<PathBuf>,
    /// Where query 10 writes, if it is not to be compared.
    pub files: Option<PathBuf>,
    /// Records a second for `latency`.
    pub rate: Option<u64>,
}

impl Job {
    /// From the options behind the parallelism.
    pub fn new(tables: &str, options: &[&str]) -> Result<Job, BoxError> {
        let tables = std::path::absolute(tables)?;
        let mut job = Job { tables, output: None, checkpoints: None, files: None, rate: None };
        for option in options.chunks(2) {
            match option {
                ["--output", directory] => job.output = Some(std::path::absolute(directory)?),
                ["--files", directory] => job.files = Some(std::path::absolute(directory)?),
                ["--checkpoints", directory] => job.checkpoints = Some(std::path::absolute(directory)?),
                ["--rate", rate] => job.rate = Some(rate.parse()?),
                other => return Err(format!("what is {other:?}?").into()),
            }
        }
        Ok(job)
    }

    /// Asks for checkpoints, if the command line does.
    pub fn configure(&self, env: &StreamExecutionEnvironment) {
        if let Some(directory) = &self.checkpoints {
            env.set_option("execution.checkpointing.interval", "1 s");
            env.set_option("execution.checkpointing.dir", &url(directory));
            env.set_option("state.checkpoints.dir", &url(directory));
            env.set_option("state.checkpoints.num-retained", "1000");
            env.set_option(
                "execution.checkpointing.externalized-checkpoint-retention",
                "RETAIN_ON_CANCELLATION",
            );
        }
    }

    /// Where a table is.
    pub fn path(&self, table: &str) -> PathBuf {
        self.tables.join(table)
    }

    fn lines(&self, env: &StreamExecutionEnvironment, table: &str) -> DataStream<String> {
        env.read_text_file(url(&self.path(table)))
    }

    /// A row of each bid.
    pub fn bids<T: Data>(
        &self,
        env: &StreamExecutionEnvironment,
        row: impl Fn(&Bid<'_>) -> T + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.lines(env, "bid").try_map(move |line| Ok(row(&Bid::parse(&line)?)))
    }

    /// A row of each bid for which the function has one.
    pub fn some_bids<T: Data>(
        &self,
        env: &StreamExecutionEnvironment,
        row: impl Fn(&Bid<'_>) -> Option<T> + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.lines(env, "bid").process(Select(move |line: &str| Ok(row(&Bid::parse(line)?))))
    }

    /// A row of each auction for which the function has one.
    pub fn auctions<T: Data>(
        &self,
        env: &StreamExecutionEnvironment,
        row: impl Fn(&Auction<'_>) -> Option<T> + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.lines(env, "auction").process(Select(move |line: &str| Ok(row(&Auction::parse(line)?))))
    }

    /// A row of each person for whom the function has one.
    pub fn people<T: Data>(
        &self,
        env: &StreamExecutionEnvironment,
        row: impl Fn(&Person<'_>) -> Option<T> + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.lines(env, "person").process(Select(move |line: &str| Ok(row(&Person::parse(line)?))))
    }

    /// Ends a stream: its rows are written as lines, or dropped.
    pub fn finish<T: Data + Line>(&self, stream: &DataStream<T>) {
        match &self.output {
            None => drop(stream.sink_to("discard", || Forget)),
            Some(directory) => drop(stream.map(|row| row.line()).write_as_text(url(directory))),
        }
    }

    /// Whether results are compared.
    pub fn is_checked(&self) -> bool {
        self.output.is_some()
    }

    /// Counts the checkpoints that are completed while the job runs: when it has ended, they are deleted.
    pub fn watch_checkpoints(&self) {
        if let Some(directory) = self.checkpoints.clone() {
            std::thread::spawn(move || {
                loop {
                    COMPLETED.fetch_max(count(&directory), Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
        }
    }

    /// Tells how many checkpoints were completed.
    pub fn tell_checkpoints(&self) {
        if self.checkpoints.is_some() {
            println!("Checkpoints: {}", COMPLETED.load(Ordering::Relaxed));
        }
    }
}

/// The most checkpoints that were there at a time; all are kept while the job runs.
static COMPLETED: AtomicUsize = AtomicUsize::new(0);

/// How many directories below this one hold a completed checkpoint.
fn count(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let each = entries.map(|path| match path.is_dir() {
        true => count(&path),
        false => usize::from(path.file_name().is_some_and(|name| name == "_metadata")),
    });
    each.sum()
}

/// A `file://` URL.
pub fn url(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// The rows of the lines for which a function has one; a line that is no row fails the job.
#[derive(Clone)]
struct Select<F>(F);

impl<T, F> ProcessFunction<String, T> for Select<F>
where
    T: Data,
    F: Fn(&str) -> Result<Option<T>, BoxError> + Clone + Send + 'static,
{
    fn process(&mut self, line: String, _: &mut Process, out: &mut Collector<T>) -> Result<(), BoxError> {
        if let Some(row) = (self.0)(&line)? {
            out.push(row);
        }
        Ok(())
    }
}

/// When the last row was written, nanoseconds after [`begin`].
static LAST_ROW: AtomicU64 = AtomicU64::new(0);

/// When the first call of this was: the time at which the job is started.
pub fn begin() -> Instant {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    *BEGIN.get_or_init(Instant::now)
}

/// How long after [`begin`] the last row was written. With checkpoints a job ends later than that: it waits for a last one,
/// which commits what it wrote.
pub fn last_row() -> Duration {
    Duration::from_nanos(LAST_ROW.load(Ordering::Relaxed))
}

/// A sink that drops every row and remembers when the last one came.
struct Forget;

impl<T: Data> Sink<T> for Forget {
    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult {
        batch.clear();
        LAST_ROW.fetch_max(begin().elapsed().as_nanos() as u64, Ordering::Relaxed);
        Ok(())
    }
}
