//! Counts the words that a text server sends, in windows of five seconds of processing time.
//!
//! Usage: `SocketWindowWordCount --port <port> [--hostname <host>]`; start the server with `nc -l <port>`.

use kvick::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(5);

/// A word with its count in one window.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct WordWithCount(String);

/// Counts words, and emits and forgets the counts when the window ends. The first word of a window starts it.
#[derive(Clone, Default)]
struct CountInWindow {
    counts: BTreeMap<Str, u64>,
}

impl CountInWindow {
    fn emit(&mut self, out: &mut Collector<WordWithCount>) {
        for (word, count) in std::mem::take(&mut self.counts) {
            out.push(WordWithCount(format!("{word} : {count}")));
        }
    }
}

impl ProcessFunction<Str, WordWithCount> for CountInWindow {
    fn process(
        &mut self,
        word: Str,
        process: &mut Process,
        _: &mut Collector<WordWithCount>,
    ) -> Result<(), BoxError> {
        if self.counts.is_empty() {
            process.set_timer(WINDOW);
        }
        *self.counts.entry(word).or_default() += 1;
        Ok(())
    }

    fn on_timer(&mut self, _: &mut Process, out: &mut Collector<WordWithCount>) -> Result<(), BoxError> {
        self.emit(out);
        Ok(())
    }

    fn end(&mut self, out: &mut Collector<WordWithCount>) -> Result<(), BoxError> {
        self.emit(out);
        Ok(())
    }
}

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let Ok(port) = params.required("port") else {
        eprintln!(
            "No port specified. Please run 'SocketWindowWordCount --hostname <hostname> --port <port>',"
        );
        eprintln!("where hostname (localhost by default) and port is the address of the text server.");
        eprintln!(
            "To start a simple text server, run 'nc -l <port>' and type the input text into the command line."
        );
        return Err("no port specified".into());
    };
    let port: u16 = port.parse().map_err(|why| format!("--port {port}: {why}"))?;
    let host = params.get("hostname").unwrap_or("localhost");

    let env = StreamExecutionEnvironment::get_execution_environment();
    env.socket_text_stream(host, port, "\n", 0)
        .flat_map(|line, out| line.split_whitespace().for_each(|word| out.push(Str::from(word))))
        .key_by(Str::clone)
        .as_stream()
        .process(CountInWindow::default())
        .name("window")
        .print()
        .set_parallelism(1);

    env.execute("Socket Window WordCount")?;
    Ok(())
}
