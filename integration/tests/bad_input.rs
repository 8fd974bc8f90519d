//! Bad input: one clear error each, the right exit code, and nothing left behind on HDFS or YARN.

use kvick_integration::cluster::{applications, ended, nothing_left};
use kvick_integration::command::{Ran, command, example, flink, fs, run};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Runs `flink run -m yarn-cluster` and checks that it fails with this text, quickly, and leaves nothing.
#[track_caller]
fn refused(arguments: &[&str], text: &str) -> Ran {
    let before = all_applications();
    let ran = flink(["run", "-m", "yarn-cluster"].iter().chain(arguments)).fails(1).says(text);
    let lines = ran.err.lines().count() + ran.out.lines().count();
    assert!(lines < 40, "more than a screen: {lines} lines\n{}{}", ran.out, ran.err);
    for noise in ["panicked", "RUST_BACKTRACE", "\tat "] {
        assert!(!ran.err.contains(noise), "{}", ran.err);
    }
    assert!(ran.took < Duration::from_secs(20), "it took {:?}", ran.took);
    let after = all_applications();
    assert!(after.iter().filter(|id| !before.contains(id)).all(|id| ended_and_clean(id)));
    ran
}

fn all_applications() -> Vec<String> {
    applications("NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING,FINISHED,FAILED,KILLED")
}

fn ended_and_clean(id: &str) -> bool {
    ended(id);
    nothing_left(id);
    true
}

fn wordcount() -> String {
    example("batch/WordCount.jar")
}

#[test]
fn a_missing_jar() {
    refused(&["/nonexistent/job.jar"], "JAR file does not exist: /nonexistent/job.jar");
}

#[test]
fn a_file_that_is_no_jar() {
    let mut file = tempfile::Builder::new().suffix(".jar").tempfile().unwrap();
    file.write_all(b"this is no zip file").unwrap();
    refused(&[&file.path().display().to_string()], "not a");
}

#[test]
fn a_truncated_jar() {
    let whole = std::fs::read(wordcount()).unwrap();
    let mut file = tempfile::Builder::new().suffix(".jar").tempfile().unwrap();
    file.write_all(&whole[..whole.len() / 2]).unwrap();
    refused(&[&file.path().display().to_string()], &file.path().display().to_string());
}

#[test]
fn a_java_jar() {
    let jars = std::env::var("KVICK_HADOOP_CLASSPATH").unwrap();
    let lib = jars.split(':').find(|p| p.ends_with("/*")).unwrap().trim_end_matches('*').to_string();
    let jar = std::fs::read_dir(lib).unwrap().flatten().map(|e| e.path()).find(|p| is_jar(p)).unwrap();
    refused(&[&jar.display().to_string()], "Java");
}

fn is_jar(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "jar")
}

#[test]
fn an_entry_point_that_is_not_in_the_jar() {
    refused(&["-c", "no.such.Main", &wordcount()], "no.such.Main");
}

#[test]
fn a_queue_that_does_not_exist() {
    refused(&["-yqu", "nosuch", &wordcount()], "nosuch");
}

#[test]
fn more_memory_than_the_cluster_can_give() {
    refused(&["-yjm", "900000", &wordcount()], "JobManager");
    refused(&["-ytm", "900000", &wordcount()], "TaskManager");
}

#[test]
fn more_cores_than_a_node_has() {
    refused(&["-ys", "1000", &wordcount()], "virtual cores");
}

#[test]
fn an_input_that_does_not_exist_fails_the_job_and_is_named() {
    let ran = refused(
        &[&wordcount(), "--input", "hdfs:///nonexistent/input", "--output", "hdfs:///tmp/x"],
        "/nonexistent/input",
    );
    assert!(ran.err.contains("yarn logs -applicationId application_"), "{}", ran.err);
}

#[test]
fn an_output_that_exists_is_not_overwritten() {
    let dir = fs(&["uri", &format!("kvick-test-exists-{}", std::process::id())]).ok().out.trim().to_string();
    let local = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(local.path(), "precious").unwrap();
    let output = format!("{dir}/out");
    fs(&["put", &local.path().display().to_string(), &output]).ok();
    refused(&[&wordcount(), "--output", &output], &output);
    assert_eq!(fs(&["cat", &output]).ok().out, "precious");
    fs(&["rm", &dir]).ok();
}

#[test]
fn no_hadoop_configuration() {
    let ran = run(command("flink")
        .args(["run", "-m", "yarn-cluster", &wordcount()])
        .env_remove("HADOOP_CONF_DIR")
        .env_remove("YARN_CONF_DIR")
        .env_remove("HADOOP_HOME"));
    ran.fails(1).says("HADOOP_CONF_DIR");
}

/// A copy of the cluster's configuration with one property changed.
fn changed_conf(file: &str, key: &str, value: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let conf = kvick_integration::command::required("HADOOP_CONF_DIR");
    for entry in std::fs::read_dir(conf).unwrap().flatten() {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    let path = copy.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let property = format!("<property><name>{key}</name><value>{value}</value></property></configuration>");
    std::fs::write(&path, text.replace("</configuration>", &property)).unwrap();
    copy
}

#[track_caller]
fn with_conf(conf: &tempfile::TempDir) -> Ran {
    let ran = run(command("flink")
        .args(["run", "-m", "yarn-cluster", &wordcount()])
        .env("HADOOP_CONF_DIR", conf.path())
        .env("YARN_CONF_DIR", conf.path()));
    let ran = ran.fails(1);
    assert!(ran.took < Duration::from_secs(30), "it took {:?}", ran.took);
    ran
}

#[test]
fn a_resource_manager_that_is_down() {
    with_conf(&changed_conf("yarn-site.xml", "yarn.resourcemanager.address", "127.0.0.1:1"))
        .says("127.0.0.1:1");
}

#[test]
fn an_hdfs_that_is_down() {
    with_conf(&changed_conf("core-site.xml", "fs.defaultFS", "hdfs://127.0.0.1:1")).says("127.0.0.1:1");
}

#[test]
fn a_mistyped_option_gets_a_suggestion() {
    flink(["run", "--detatched", &wordcount()]).fails(1).says("detached");
}

#[test]
fn a_staging_directory_that_cannot_be_written() {
    let dir = fs(&["uri", &format!("/kvick-test-locked-{}", std::process::id())]).ok().out.trim().to_string();
    fs(&["mkdir", &dir]).ok();
    fs(&["chmod", "555", &dir]).ok();
    let staging = format!("yarn.staging-directory={dir}");
    let ran = run(command("flink").env("HADOOP_USER_NAME", "mallory").args([
        "run",
        "-m",
        "yarn-cluster",
        "-yD",
        &staging,
        &wordcount(),
    ]));
    fs(&["rm", &dir]).ok();
    ran.fails(1).says(&dir);
}

#[test]
fn an_hdfs_in_safe_mode() {
    let cluster = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster.sh");
    let safemode = |what: &str| {
        run(std::process::Command::new(&cluster).args(["hdfs", "dfsadmin", "-safemode", what])).ok()
    };
    safemode("enter");
    // A directory that no earlier run has filled: something has to be uploaded.
    let staging = format!("yarn.staging-directory=/kvick-test-safe-{}", std::process::id());
    let ran = flink(["run", "-m", "yarn-cluster", "-yD", &staging, &wordcount()]);
    safemode("leave");
    ran.fails(1).says("safe mode");
}
