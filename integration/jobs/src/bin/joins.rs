//! Joins two files in batch mode: for each line `KEY TEXT` of the one and each of the other with the same key, a line
//! `KEY TEXT TEXT`. All lines are sorted by key on the way, on disk where the managed memory ends.
//!
//! Usage: `joins --left <path> --right <path> --output <directory> [--until <local file, without which nothing is read after
//! the exchange>]`

use kvick::prelude::*;
use kvick::{KeyedCoProcessFunction, RuntimeMode};
use std::path::PathBuf;
use std::time::Duration;

type Line = (Str, Str);

#[derive(Clone, Default)]
struct Join {
    until: Option<PathBuf>,
    left: ListState<Str>,
    right: ListState<Str>,
}

impl KeyedCoProcessFunction<Str, Line, Line, String> for Join {
    fn open(&mut self, context: &mut FunctionContext<'_, Str>) -> Result<(), BoxError> {
        self.left = context.list_state(ListStateDescriptor::new("left"))?;
        self.right = context.list_state(ListStateDescriptor::new("right"))?;
        while self.until.as_ref().is_some_and(|file| !file.exists()) {
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn process1(
        &mut self,
        (_, text): Line,
        context: &mut KeyedContext<'_, Str>,
        _: &mut Collector<String>,
    ) -> Result<(), BoxError> {
        self.left.add(context, text)?;
        Ok(context.timer_service().register_event_time_timer(0)?)
    }

    fn process2(
        &mut self,
        (_, text): Line,
        context: &mut KeyedContext<'_, Str>,
        _: &mut Collector<String>,
    ) -> Result<(), BoxError> {
        self.right.add(context, text)?;
        Ok(context.timer_service().register_event_time_timer(0)?)
    }

    /// The end of the key: in batch mode every timer is due then.
    fn on_timer(
        &mut self,
        _: i64,
        context: &mut KeyedContext<'_, Str>,
        out: &mut Collector<String>,
    ) -> Result<(), BoxError> {
        let key = context.current_key().clone();
        let left = self.left.get(context)?.to_vec();
        for right in self.right.get(context)? {
            left.iter().for_each(|left| out.push(format!("{key} {left} {right}")));
        }
        Ok(())
    }
}

fn parse(line: String) -> Line {
    let (key, text) = line.split_once(' ').unwrap_or((&line, ""));
    (Str::new(key), Str::new(text))
}

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_runtime_mode(RuntimeMode::Batch);
    let lines = |side: &str| -> Result<DataStream<Line>, BoxError> {
        Ok(env.read_text_file(params.required(side)?).map(parse).name(side))
    };
    let (left, right) = (lines("left")?, lines("right")?);
    let join = Join { until: params.get("until").map(PathBuf::from), ..Join::default() };
    left.key_by(|line| line.0.clone())
        .connect(&right.key_by(|line| line.0.clone()))
        .process(join)
        .name("join")
        .write_as_text(params.required("output")?);
    env.execute("join")?;
    Ok(())
}
