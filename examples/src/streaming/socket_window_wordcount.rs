//! Counts the words that a text server sends, in windows of five seconds of processing time.
//!
//! Usage: `SocketWindowWordCount --port <port> [--hostname <host>]`; start the server with `nc -l <port>`.

use kvick::prelude::*;
use kvick::window::TumblingProcessingTimeWindows;
use std::time::Duration;

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
        .flat_map(|line, out| line.split_whitespace().for_each(|word| out.push((Str::from(word), 1_u64))))
        .key_by(|(word, _)| word.clone())
        .window(TumblingProcessingTimeWindows::of(Duration::from_secs(5)))
        .sum(|(_, count)| count)
        .map(|(word, count)| format!("{word} : {count}"))
        .print()
        .set_parallelism(1);

    env.execute("Socket Window WordCount")?;
    Ok(())
}
