//! Alone in its process, because it measures it: state many times larger than the managed memory.

#![allow(clippy::unwrap_used)]

use kvick::RuntimeMode;
use kvick::prelude::*;

/// The most memory that this process has ever had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[derive(Clone, Default)]
struct Last {
    last: ValueState<(String, u64)>,
}

impl KeyedProcessFunction<i64, (i64, String), (i64, u64)> for Last {
    fn open(&mut self, context: &mut FunctionContext<'_, i64>) -> Result<(), BoxError> {
        self.last = context.value_state(ValueStateDescriptor::new("last"))?;
        Ok(())
    }

    fn process(
        &mut self,
        (key, text): (i64, String),
        context: &mut KeyedContext<'_, i64>,
        out: &mut Collector<(i64, u64)>,
    ) -> Result<(), BoxError> {
        let count = self.last.value(context)?.map_or(0, |last| last.1) + 1;
        self.last.update(context, (text, count))?;
        if count == 2 {
            out.push((key, count));
        }
        Ok(())
    }
}

/// 150,000 keys with a text of 800 bytes each: 120 MB of state, and again as much for the aggregates, in 8 MB.
#[test]
fn state_far_beyond_the_managed_memory_takes_bounded_memory_and_gives_the_exact_result() {
    const KEYS: i64 = 150_000;
    let tmp = tempfile::tempdir().unwrap();
    let before = peak();
    let env = StreamExecutionEnvironment::create_local_environment();
    env.set_parallelism(2).set_runtime_mode(RuntimeMode::Batch);
    env.set_option("taskmanager.memory.managed.size", "8mb");
    env.set_option("execution.batch-shuffle-mode", "ALL_EXCHANGES_BLOCKING");
    env.set_option("io.tmp.dirs", &tmp.path().display().to_string());
    let records = env.from_sequence(0, 2 * KEYS - 1).map(|n| (n * 7 % KEYS, format!("{n:0>800}")));
    let processed = records.key_by(|record| record.0).process(Last::default());
    let reduced = records
        .rebalance()
        .key_by(|record| record.0)
        .reduce(|a, b| if a.1 < b.1 { b } else { a })
        .map(|record| (record.0, 1));
    let all = processed
        .union(&[&reduced])
        .key_by(|_| 0_u8)
        .reduce(|a, b| (a.0 + b.0, a.1 + b.1))
        .execute_and_collect("large state")
        .unwrap();
    let keys = KEYS * (KEYS - 1) / 2;
    assert_eq!(all, [(2 * keys, (2 * KEYS + KEYS) as u64)]);
    let used = peak() - before;
    assert!(used < 160, "{used} MiB for state of more than 240");
}
