//! Queries that look at one bid at a time.

use crate::io::{Job, url};
use kvick::RuntimeContext;
use kvick::prelude::*;
use kvick::sinks::FileSink;
use nexmark::files::{SIDE_KEYS, for_each_line};
use nexmark::functions;
use std::io::Write;
use std::path::PathBuf;

/// q0.
pub fn pass_through(env: &StreamExecutionEnvironment, job: &Job) {
    job.finish(&job.bids(env, functions::passed));
}

/// q1.
pub fn currency(env: &StreamExecutionEnvironment, job: &Job) {
    job.finish(&job.bids(env, functions::converted));
}

/// q2.
pub fn filter(env: &StreamExecutionEnvironment, job: &Job) {
    job.finish(&job.some_bids(env, functions::every_123rd));
}

/// A row of query 10.
type Logged = (u64, u64, u64, i64, Str, Str, Str);

/// Day and minute are in the directory's name.
fn encode(row: &Logged, out: &mut Vec<u8>) -> Result<(), BoxError> {
    let (auction, bidder, price, at, extra, ..) = row;
    Ok(writeln!(out, "{auction},{bidder},{price},{at},{extra}")?)
}

/// q10.
pub fn log(env: &StreamExecutionEnvironment, job: &Job) {
    let rows = job.bids(env, functions::logged);
    let Some(directory) = job.files.as_ref().filter(|_| !job.is_checked()) else { return job.finish(&rows) };
    let bucket = |row: &Logged| format!("dt={}/hm={}", row.5, row.6);
    rows.sink_to_files(FileSink::for_row_format(url(directory), encode).with_bucket_assigner(bucket));
}

/// A bid without its texts: auction, bidder, price, time.
type Bare = (u64, u64, u64, i64);

/// The side input, which every subtask reads when it starts.
#[derive(Clone)]
struct LookUp {
    path: PathBuf,
    values: Vec<Str>,
}

impl ProcessFunction<Bare, (Bare, Str)> for LookUp {
    fn open(&mut self, _: &mut RuntimeContext, _: &mut Process) -> Result<(), BoxError> {
        self.values = vec![Str::default(); SIDE_KEYS as usize];
        for_each_line(&self.path, |line| -> Result<(), BoxError> {
            let (key, value) = line.split_once(',').ok_or_else(|| format!("what is \"{line}\"?"))?;
            let place = self.values.get_mut(key.parse::<usize>()?).ok_or("the key is too large")?;
            *place = value.into();
            Ok(())
        })
    }

    fn process(
        &mut self,
        bid: Bare,
        _: &mut Process,
        out: &mut Collector<(Bare, Str)>,
    ) -> Result<(), BoxError> {
        let value = self.values[(bid.0 % SIDE_KEYS) as usize].clone();
        out.push((bid, value));
        Ok(())
    }
}

/// q13.
pub fn side_input(env: &StreamExecutionEnvironment, job: &Job) {
    let bids = job.bids(env, |b| (b.auction, b.bidder, b.price, b.at));
    job.finish(&bids.process(LookUp { path: job.path("side"), values: Vec::new() }));
}

/// q14.
pub fn calculation(env: &StreamExecutionEnvironment, job: &Job) {
    job.finish(&job.some_bids(env, functions::calculated));
}

/// q21.
pub fn channel_ids(env: &StreamExecutionEnvironment, job: &Job) {
    job.finish(&job.some_bids(env, functions::with_channel));
}

/// q22.
pub fn directories(env: &StreamExecutionEnvironment, job: &Job) {
    job.finish(&job.bids(env, functions::with_directories));
}
