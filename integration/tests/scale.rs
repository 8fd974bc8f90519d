//! WordCount over a file on HDFS with parallelism 4, over two task executors on two NodeManagers, against `awk`.
//!
//! `KVICK_TEST_MEGABYTES` sets the size of the file (default 20); `scripts/test-large.sh` runs this with 300.

use kvick_integration::cluster::{container_nodes, ended, nothing_left};
use kvick_integration::command::{command, example, fs, run};
use kvick_integration::expect::job_finished;
use kvick_integration::hdfs::HdfsDir;
use kvick_integration::text::sorted_lines;
use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

fn megabytes() -> usize {
    std::env::var("KVICK_TEST_MEGABYTES").map_or(20, |text| text.parse().expect("a number of megabytes"))
}

/// Lines of words of which some are frequent and most are rare.
fn write_text(path: &Path) {
    let mut out = BufWriter::new(std::fs::File::create(path).expect("no file"));
    let (mut written, mut state) = (0, 1_u64);
    while written < megabytes() * 1_000_000 {
        // The multiplier and increment of Knuth's MMIX; the high bits are the good ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (rare, frequent) = ((state >> 33) % 10_000, (state >> 48) % 97);
        let line = format!("the word{rare} of the w{frequent} and x{}\n", rare * frequent % 1009);
        out.write_all(line.as_bytes()).expect("the file cannot be written");
        written += line.len();
    }
    out.flush().expect("the file cannot be written");
}

/// What a tool that knows nothing of Kvick counts.
fn counted_by_awk(path: &Path) -> Vec<String> {
    let program = "{ for (i = 1; i <= NF; i++) n[$i]++ } END { for (w in n) print w, n[w] }";
    sorted_lines(&run(Command::new("awk").env("LC_ALL", "C").arg(program).arg(path)).ok().out)
}

/// Runs a command; also answers the nodes on which its application had containers for task executors.
fn run_watched(command: &mut Command) -> (kvick_integration::command::Ran, BTreeSet<String>) {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let before = kvick_integration::cluster::applications("RUNNING");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut nodes = BTreeSet::new();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let running = kvick_integration::cluster::applications("RUNNING");
                let fresh = running.iter().filter(|id| !before.contains(id));
                nodes.extend(fresh.flat_map(|id| container_nodes(id)));
                std::thread::sleep(Duration::from_millis(20));
            }
            nodes
        });
        let ran = run(command);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        (ran, watch.join().expect("the watch panicked"))
    })
}

#[test]
fn words_are_counted_over_two_task_executors_on_two_nodes() {
    let local = tempfile::NamedTempFile::new().expect("no temporary file");
    write_text(local.path());
    let dir = HdfsDir::new("scale");
    let input = dir.path("text.txt");
    fs(&["put", &local.path().display().to_string(), &input]).ok();
    let mut wordcount = command("flink");
    wordcount.args("run -m yarn-cluster -p 4 -ys 2 -ytm 1024".split(' ')).arg(example("batch/WordCount.jar"));
    wordcount.args(["--input", &input, "--output", &dir.path("counts")]);
    let (ran, nodes) = run_watched(&mut wordcount);
    let ran = ran.ok();
    job_finished(&ran);
    assert_eq!(nodes.len(), 2, "the task executors ran on {nodes:?}");
    let (counts, expected) = (sorted_lines(&dir.read("counts")), counted_by_awk(local.path()));
    assert!(expected.len() > 1000, "awk counted {} words", expected.len());
    assert!(counts == expected, "{} counts differ from awk's {}", counts.len(), expected.len());
    println!("{} MB on {nodes:?}:\n{}", megabytes(), ran.out);
    ended(&ran.application());
    nothing_left(&ran.application());
}
