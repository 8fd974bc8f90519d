//! Bad input: one clear error each, the right exit code, and nothing left behind on HDFS or YARN.

use kvick_integration::cluster::{applications, ended, nothing_left};
use kvick_integration::command::{Ran, command, example, flink, fs, required, run};
use kvick_integration::hdfs::{HdfsDir, staging, uri};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::{NamedTempFile, TempDir};

/// What YARN and HDFS have of applications.
#[derive(Debug, PartialEq)]
struct Traces {
    applications: Vec<String>,
    staging: Vec<String>,
}

impl Traces {
    fn now() -> Traces {
        Traces { applications: all_applications(), staging: staging() }
    }
}

fn all_applications() -> Vec<String> {
    let mut all = applications("NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING,FINISHED,FAILED,KILLED");
    all.sort();
    all
}

fn submission(arguments: &[&str]) -> Command {
    let mut command = command("flink");
    command.args(["run", "-m", "yarn-cluster"]).args(arguments);
    command
}

/// How long a command may take that finds out by itself what is wrong.
const REFUSAL: Duration = Duration::from_secs(30);

/// How long a job may take whose containers YARN has to start first.
const FAILURE: Duration = Duration::from_secs(90);

/// Runs a command that must fail with this text, on one screen, without a trace of our own programs, and in time.
#[track_caller]
fn fails_with(command: &mut Command, text: &str, limit: Duration) -> Ran {
    let ran = run(command).fails(1).says(text);
    let lines = ran.err.lines().count() + ran.out.lines().count();
    assert!(lines < 40, "more than a screen: {lines} lines\n{}{}", ran.out, ran.err);
    for noise in ["panicked", "RUST_BACKTRACE", "\tat "] {
        assert!(!ran.err.contains(noise), "{}", ran.err);
    }
    assert!(ran.took < limit, "it took {:?}", ran.took);
    ran
}

/// A command that is refused before anything is submitted.
#[track_caller]
fn refused(command: &mut Command, text: &str) -> Ran {
    let before = Traces::now();
    let ran = fails_with(command, text, REFUSAL);
    assert_eq!(Traces::now(), before, "something was left:\n{}{}", ran.out, ran.err);
    ran
}

/// A job that is submitted, fails, and leaves nothing but YARN's record.
#[track_caller]
fn job_fails(arguments: &[&str], text: &str) -> Ran {
    let ran = fails_with(&mut submission(arguments), text, FAILURE);
    let id = ran.application();
    assert_eq!(ended(&id)["finalStatus"], "FAILED");
    nothing_left(&id);
    ran
}

fn wordcount() -> String {
    example("batch/WordCount.jar")
}

fn jar_of(bytes: &[u8]) -> NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".jar").tempfile().expect("no temporary file");
    file.write_all(bytes).expect("the temporary file cannot be written");
    file
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_missing_jar() {
    let expected = "JAR file does not exist: /nonexistent/job.jar";
    refused(&mut submission(&["/nonexistent/job.jar"]), expected);
}

#[test]
fn a_file_that_is_no_jar() {
    let jar = jar_of(b"this is no zip file");
    refused(&mut submission(&[&text(jar.path())]), &text(jar.path()));
}

#[test]
fn a_truncated_jar() {
    let whole = std::fs::read(wordcount()).expect("no example");
    let jar = jar_of(&whole[..whole.len() / 2]);
    refused(&mut submission(&[&text(jar.path())]), &text(jar.path()));
}

#[test]
fn a_jar_whose_program_was_damaged() {
    let mut bytes = std::fs::read(wordcount()).expect("no example");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    let jar = jar_of(&bytes);
    refused(&mut submission(&[&text(jar.path())]), &text(jar.path()));
}

#[test]
fn a_java_jar() {
    let jars = required("KVICK_HADOOP_CLASSPATH");
    let lib = jars.split(':').find_map(|path| path.strip_suffix("/*")).expect("no directory of jars");
    let files = std::fs::read_dir(lib).expect("no directory of jars").flatten().map(|entry| entry.path());
    let jar = files.into_iter().find(|path| path.extension().is_some_and(|e| e == "jar"));
    refused(&mut submission(&[&text(&jar.expect("no jar of Hadoop's"))]), "Java");
}

/// The example's jar with another manifest.
fn jar_with_manifest(change: impl Fn(&str) -> String) -> NamedTempFile {
    let file = std::fs::File::open(wordcount()).expect("no example");
    let mut from = zip::ZipArchive::new(file).expect("no zip");
    let jar = jar_of(b"");
    let mut to = zip::ZipWriter::new(jar.reopen().expect("no temporary file"));
    for index in 0..from.len() {
        let mut entry = from.by_index(index).expect("no entry");
        if entry.name().expect("no name") != "META-INF/MANIFEST.MF" {
            to.raw_copy_file(entry).expect("the copy fails");
            continue;
        }
        let mut manifest = String::new();
        entry.read_to_string(&mut manifest).expect("no text");
        let options = zip::write::SimpleFileOptions::default();
        to.start_file("META-INF/MANIFEST.MF", options).expect("the copy fails");
        to.write_all(change(&manifest).as_bytes()).expect("the copy fails");
    }
    to.finish().expect("the copy fails");
    jar
}

#[test]
fn a_jar_for_another_machine() {
    let foreign = |manifest: &str| manifest.replace("x86_64-unknown-linux", "riscv64gc-unknown-linux");
    let jar = jar_with_manifest(foreign);
    refused(&mut submission(&[&text(jar.path())]), "riscv64gc-unknown-linux");
}

#[test]
fn an_entry_point_that_is_not_in_the_jar() {
    refused(&mut submission(&["-c", "no.such.Main", &wordcount()]), "no.such.Main");
}

#[test]
fn a_queue_that_does_not_exist() {
    let ran = refused(&mut submission(&["-yqu", "nosuch", &wordcount()]), "nosuch");
    ran.says("Available queues").says("default").says("other");
}

#[test]
fn more_memory_than_the_cluster_can_give() {
    refused(&mut submission(&["-yjm", "900000", &wordcount()]), "JobManager");
    refused(&mut submission(&["-ytm", "900000", &wordcount()]), "TaskManager");
}

#[test]
fn more_cores_than_a_node_has() {
    refused(&mut submission(&["-ys", "1000", &wordcount()]), "virtual cores");
}

#[test]
fn a_mistyped_option_gets_a_suggestion() {
    refused(command("flink").args(["run", "--detatched", &wordcount()]), "--detached");
}

#[test]
fn an_input_that_does_not_exist_fails_the_job_and_is_named() {
    let dir = HdfsDir::new("no-input");
    let (input, output) = (dir.path("nothing-here"), dir.path("counts"));
    let ran = job_fails(&[&wordcount(), "--input", &input, "--output", &output], "/nothing-here");
    ran.says("yarn logs -applicationId application_");
}

#[test]
fn an_output_that_exists_is_not_overwritten() {
    let dir = HdfsDir::new("output-exists");
    let output = dir.put("out", "precious");
    job_fails(&[&wordcount(), "--output", &output], &output);
    assert_eq!(dir.read("out"), "precious");
}

#[test]
fn no_hadoop_configuration() {
    let mut command = submission(&[&wordcount()]);
    for name in ["HADOOP_CONF_DIR", "YARN_CONF_DIR", "HADOOP_HOME"] {
        command.env_remove(name);
    }
    refused(&mut command, "HADOOP_CONF_DIR");
}

/// A copy of the cluster's configuration with a property changed.
fn changed_conf(file: &str, property: &str, value: &str) -> TempDir {
    let copy = TempDir::new().expect("no temporary directory");
    let files = std::fs::read_dir(required("HADOOP_CONF_DIR")).expect("no configuration").flatten();
    for entry in files {
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("the copy fails");
    }
    let path = copy.path().join(file);
    let text = std::fs::read_to_string(&path).expect("no such file");
    // The later of two values is the one that counts.
    let last = format!("<property><name>{property}</name><value>{value}</value></property></configuration>");
    std::fs::write(&path, text.replace("</configuration>", &last)).expect("the copy fails");
    copy
}

fn with_conf(conf: &TempDir) -> Command {
    let mut command = submission(&[&wordcount()]);
    command.env("HADOOP_CONF_DIR", conf.path()).env("YARN_CONF_DIR", conf.path());
    command
}

#[test]
fn a_resource_manager_that_is_down() {
    let conf = changed_conf("yarn-site.xml", "yarn.resourcemanager.address", "127.0.0.1:1");
    refused(&mut with_conf(&conf), "127.0.0.1:1");
}

#[test]
fn an_hdfs_that_is_down() {
    let conf = changed_conf("core-site.xml", "fs.defaultFS", "hdfs://127.0.0.1:1");
    refused(&mut with_conf(&conf), "127.0.0.1:1");
}

#[test]
fn a_staging_directory_that_cannot_be_written() {
    let dir = uri(&format!("/kvick-test-locked-{}", std::process::id()));
    fs(&["mkdir", &dir]).ok();
    fs(&["chmod", "555", &dir]).ok();
    let staging = format!("yarn.staging-directory={dir}");
    let mut command = submission(&["-yD", &staging, &wordcount()]);
    let ran = refused(command.env("HADOOP_USER_NAME", "mallory"), &dir);
    fs(&["rm", &dir]).ok();
    ran.says("mallory");
}

/// HDFS in safe mode for as long as this lives.
struct SafeMode;

impl SafeMode {
    fn enter() -> SafeMode {
        SafeMode::set("enter");
        SafeMode
    }

    fn set(what: &str) {
        let cluster = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster.sh");
        run(Command::new(cluster).args(["hdfs", "dfsadmin", "-safemode", what])).ok();
    }
}

impl Drop for SafeMode {
    fn drop(&mut self) {
        SafeMode::set("leave");
    }
}

#[test]
fn an_hdfs_in_safe_mode() {
    let _safe_mode = SafeMode::enter();
    // A directory that no earlier run has filled: something has to be uploaded.
    let staging = format!("yarn.staging-directory=/kvick-test-safe-{}", std::process::id());
    refused(&mut submission(&["-yD", &staging, &wordcount()]), "safe mode");
}

#[test]
fn a_command_without_a_cluster_or_a_job() {
    let ran = flink(["list"]).fails(1);
    assert!(ran.took < REFUSAL, "it took {:?}", ran.took);
    flink(["cancel"]).fails(1).says("Missing JobID");
}
