//! What the examples print and write, against counts made another way.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

const BATCH: &str = env!("CARGO_BIN_EXE_batch-wordcount");
const STREAMING: &str = env!("CARGO_BIN_EXE_streaming-wordcount");
const SOCKET: &str = env!("CARGO_BIN_EXE_socket-window-wordcount");

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Words are what lies between other characters than letters, digits and underscores.
fn count(text: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for word in
        text.to_lowercase().split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty())
    {
        *counts.entry(word.to_string()).or_insert(0) += 1;
    }
    counts
}

fn built_in_counts() -> BTreeMap<String, u64> {
    count(&kvick_examples::HAMLET.join("\n"))
}

/// A result without the `<subtask>> ` before it.
fn record(line: &str) -> &str {
    line.split_once("> ").map_or(line, |(_, record)| record)
}

#[test]
fn batch_word_count_prints_each_word_once_with_its_count() {
    let printed = run(BATCH, &[]);
    let results: Vec<&str> = printed.lines().skip(3).map(record).collect();
    let counts: BTreeMap<String, u64> = results
        .iter()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(word, count)| (word.to_string(), count.parse().unwrap()))
        .collect();
    assert_eq!(results.len(), counts.len(), "a word was printed twice");
    assert_eq!(counts, built_in_counts());
}

#[test]
fn streaming_word_count_prints_every_update() {
    let printed = run(STREAMING, &[]);
    let updates: Vec<&str> = printed.lines().skip(3).map(record).collect();
    let mut expected = Vec::new();
    for (word, count) in built_in_counts() {
        expected.extend((1..=count).map(|n| format!("({word},{n})")));
    }
    let mut sorted: Vec<String> = updates.iter().map(|line| (*line).to_string()).collect();
    sorted.sort();
    expected.sort();
    assert_eq!(sorted, expected);
}

#[test]
fn output_goes_to_part_files_and_is_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let (input, output) = (directory.path().join("in"), directory.path().join("out"));
    fs::create_dir(&input).unwrap();
    fs::write(input.join("a.txt"), "one two two\r\nthree").unwrap();
    fs::write(input.join("b.txt"), "three three\n").unwrap();
    fs::write(input.join("_hidden"), "never").unwrap();
    let arguments = ["-input", input.to_str().unwrap(), "-output", output.to_str().unwrap()];
    run(BATCH, &arguments);
    let mut lines = Vec::new();
    for entry in fs::read_dir(&output).unwrap() {
        let entry = entry.unwrap();
        assert!(entry.file_name().to_string_lossy().starts_with("part-"), "{entry:?}");
        lines.extend(fs::read_to_string(entry.path()).unwrap().lines().map(str::to_string));
    }
    lines.sort();
    assert_eq!(lines, ["one 1", "three 3", "two 2"]);
    let again = Command::new(BATCH).args(arguments).output().unwrap();
    let message = String::from_utf8_lossy(&again.stderr).into_owned();
    assert_eq!(again.status.code(), Some(1));
    assert!(message.contains("already exists") && message.contains(output.to_str().unwrap()), "{message}");
}

#[test]
fn socket_word_count_counts_what_the_server_sent() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let mut child = Command::new(SOCKET)
        .args(["--hostname", "127.0.0.1", "--port", &port])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut connection, _) = server.accept().unwrap();
    connection.write_all(b"to be or\nnot to be\n").unwrap();
    // A window ends by the clock: what is in it when the server goes away is not counted.
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
    while counts.values().sum::<u64>() < 6 {
        let line = printed.next().unwrap().unwrap();
        let (word, count) = line.split_once(" : ").unwrap();
        *counts.entry(word.to_string()).or_default() += count.parse::<u64>().unwrap();
    }
    drop(connection);
    assert!(child.wait().unwrap().success());
    assert_eq!(counts, count("to be or not to be"));
}

/// The records that a program printed, without its own lines before them, sorted.
fn records(program: &str, arguments: &[&str]) -> Vec<String> {
    let printed = run(program, arguments);
    let mut lines: Vec<String> = printed.lines().map(|line| record(line).to_string()).collect();
    lines.sort();
    lines
}

#[test]
fn session_windowing_sums_each_session() {
    let printed = records(env!("CARGO_BIN_EXE_session-windowing"), &[]);
    let sums: Vec<&String> = printed.iter().filter(|line| line.starts_with('(')).collect();
    assert_eq!(sums, ["(a,1,1)", "(a,10,1)", "(b,1,3)", "(c,11,1)", "(c,6,1)"]);
}

#[test]
fn the_side_output_has_the_long_words_and_the_counts_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in");
    fs::write(&input, "short words and considerable ones\nwords").unwrap();
    let printed = records(env!("CARGO_BIN_EXE_side-output"), &["--input", input.to_str().unwrap()]);
    let expected = ["(and,1)", "(ones,1)", "(short,1)", "(words,2)", "rejected: considerable"];
    assert_eq!(printed[..4], expected[..4]);
    assert!(printed.contains(&expected[4].to_string()), "{printed:?}");
}

#[test]
fn the_state_machine_alerts_only_on_errors_and_writes_them_to_files() {
    let program = env!("CARGO_BIN_EXE_state-machine");
    let alerts = |arguments: &[&str]| -> Vec<String> {
        let all = [&["--count", "24000", "--sleep", "0"], arguments].concat();
        records(program, &all).into_iter().filter(|line| line.starts_with("ALERT")).collect()
    };
    assert!(alerts(&[]).is_empty());
    let printed = alerts(&["--error-rate", "0.05"]);
    assert!((900..1500).contains(&printed.len()), "{}", printed.len());
    let directory = tempfile::tempdir().unwrap();
    let (out, checkpoints) = (directory.path().join("out"), directory.path().join("checkpoints"));
    let to_files = ["--output", out.to_str().unwrap(), "--checkpoint-dir", checkpoints.to_str().unwrap()];
    assert!(alerts(&[&["--error-rate", "0.05", "--backend", "hashmap"], &to_files[..]].concat()).is_empty());
    let mut written = Vec::new();
    for bucket in fs::read_dir(&out).unwrap() {
        for part in fs::read_dir(bucket.unwrap().path()).unwrap() {
            written.extend(fs::read_to_string(part.unwrap().path()).unwrap().lines().map(str::to_string));
        }
    }
    written.sort();
    assert!(written == printed, "{} written, {} printed", written.len(), printed.len());
}

#[test]
fn fraud_is_found_where_a_large_amount_follows_a_small_one() {
    let arguments = ["--count", "250", "--rate", "100000"];
    let printed = records(env!("CARGO_BIN_EXE_fraud-detection"), &arguments);
    assert_eq!(printed, ["Alert{id=3}"; 3]);
}

#[test]
fn the_window_join_pairs_grades_with_salaries_of_the_same_person() {
    let arguments = ["--count", "60", "--rate", "100000", "--windowSize", "3600000"];
    let printed = records(env!("CARGO_BIN_EXE_window-join"), &arguments);
    let joined: Vec<&String> = printed.iter().filter(|line| line.starts_with('(')).collect();
    // Both streams fall into one window, or into two when the hour ends just then.
    assert!(joined.len() > 60, "{}", joined.len());
    assert!(joined.iter().all(|line| line.split(',').count() == 3), "{joined:?}");
}

#[test]
fn top_speed_windowing_reports_the_fastest_of_the_last_ten_seconds_every_fifty_metres() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in");
    // One report a second; the fast one is forgotten ten seconds later.
    let reports: Vec<String> = (0..30)
        .map(|n| {
            format!("(1,{},{},{})", if n == 3 { 90 } else { 50 }, n * 10, 1_650_000_000_000_i64 + n * 1000)
        })
        .collect();
    fs::write(&input, reports.join("\n")).unwrap();
    let printed = run(env!("CARGO_BIN_EXE_top-speed-windowing"), &["--input", input.to_str().unwrap()]);
    let tops: Vec<&str> = printed.lines().map(record).filter(|line| line.starts_with("(1,")).collect();
    assert_eq!(tops.len(), 4, "{tops:?}");
    assert!(tops[..2].iter().all(|line| line.starts_with("(1,90,")), "{tops:?}");
    assert!(tops[2..].iter().all(|line| line.starts_with("(1,50,")), "{tops:?}");
}
