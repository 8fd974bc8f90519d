//! Finds accounts with a very small transaction followed by a large one within a minute, as somebody makes who has found a
//! credit card and tries it first. `docs/fraud-detection.md` goes through it step by step.
//!
//! Usage: `FraudDetection [--rate <transactions per second>] [--count <transactions>]`

use kvick::prelude::*;
use kvick::sources::DataGeneratorSource;
use kvick_examples::random;
use serde::{Deserialize, Serialize};

/// A payment.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Transaction {
    account_id: u64,
    amount: f64,
}

/// An account on which something happened that looks like fraud.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Alert {
    id: u64,
}

const SMALL_AMOUNT: f64 = 1.00;
const LARGE_AMOUNT: f64 = 500.00;
const ONE_MINUTE: i64 = 60 * 1000;

const ACCOUNTS: u64 = 5;

/// Looks at the transactions of one account at a time.
#[derive(Clone, Default)]
struct FraudDetector {
    flag: ValueState<bool>,
    timer: ValueState<i64>,
}

impl FraudDetector {
    fn clean_up(&mut self, context: &mut KeyedContext<'_, u64>) -> Result<(), BoxError> {
        if let Some(timer) = self.timer.value(context)?.copied() {
            context.timer_service().delete_processing_time_timer(timer)?;
        }
        self.timer.clear(context)?;
        self.flag.clear(context)?;
        Ok(())
    }
}

impl KeyedProcessFunction<u64, Transaction, Alert> for FraudDetector {
    fn open(&mut self, context: &mut FunctionContext<'_, u64>) -> Result<(), BoxError> {
        self.flag = context.value_state(ValueStateDescriptor::new("flag"))?;
        self.timer = context.value_state(ValueStateDescriptor::new("timer-state"))?;
        Ok(())
    }

    fn process(
        &mut self,
        transaction: Transaction,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<Alert>,
    ) -> Result<(), BoxError> {
        if self.flag.value(context)?.is_some() {
            if transaction.amount > LARGE_AMOUNT {
                out.push(Alert { id: transaction.account_id });
            }
            self.clean_up(context)?;
        }
        if transaction.amount < SMALL_AMOUNT {
            self.flag.update(context, true)?;
            let timer = context.timer_service().current_processing_time() + ONE_MINUTE;
            context.timer_service().register_processing_time_timer(timer)?;
            self.timer.update(context, timer)?;
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        _timestamp: i64,
        context: &mut KeyedContext<'_, u64>,
        _out: &mut Collector<Alert>,
    ) -> Result<(), BoxError> {
        self.timer.clear(context)?;
        self.flag.clear(context)?;
        Ok(())
    }
}

/// Five accounts pay in turn. Every twentieth round account 3 pays almost nothing, and a great deal in the next.
fn transaction(number: u64) -> Transaction {
    let (round, account_id) = (number / ACCOUNTS, number % ACCOUNTS + 1);
    let amount = match (account_id, round % 20) {
        (3, 7) => 0.09,
        (3, 8) => 792.12,
        _ => 10.0 + (random(number) % 40_000) as f64 / 100.0,
    };
    Transaction { account_id, amount }
}

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let env = StreamExecutionEnvironment::get_execution_environment();
    let source = DataGeneratorSource::new(transaction, params.get_or("count", u64::MAX)?);

    env.from_data_generator(source.rate_limited(params.get_or("rate", 10.0)?))
        .name("transactions")
        .uid("transactions")
        .key_by(|transaction| transaction.account_id)
        .process(FraudDetector::default())
        .name("fraud-detector")
        .uid("fraud-detector")
        .print()
        .name("send-alerts");

    env.execute("Fraud Detection")?;
    Ok(())
}
