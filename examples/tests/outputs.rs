//! What the examples print and write, against counts made another way.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
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
    let child = Command::new(SOCKET)
        .args(["--hostname", "127.0.0.1", "--port", &port])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut connection, _) = server.accept().unwrap();
    connection.write_all(b"to be or\nnot to be").unwrap();
    drop(connection);
    let printed = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let mut lines: Vec<&str> = printed.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["be : 2", "not : 1", "or : 1", "to : 2"]);
}
