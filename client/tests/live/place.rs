//! A user's surroundings, the commands that he runs there, and what YARN and HDFS say of them.

use kvick_filesystem::{Context, FileSystem, FileSystems, FsPath};
use kvick_yarn::client::YarnClient;
use kvick_yarn::conf::HadoopConf;
use kvick_yarn::ids::ApplicationId;
use kvick_yarn::records::ApplicationReport;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// As whom the tests act.
const USER: &str = "root";

/// A configuration, and a directory where the session's properties file is left.
pub struct Place {
    pub dir: TempDir,
}

impl Place {
    pub fn new() -> Place {
        assert!(std::env::var_os("HADOOP_CONF_DIR").is_some(), "KVICK_LIVE is set, HADOOP_CONF_DIR is not");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let config = "jobmanager.memory.process.size: 256m\ntaskmanager.memory.process.size: 512m\n";
        fs::write(dir.path().join("config.yaml"), config).expect("a configuration");
        Place { dir }
    }

    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flink"));
        command.args(line.split_whitespace()).stdin(Stdio::null());
        command.env("FLINK_CONF_DIR", self.dir.path()).env("TMPDIR", self.dir.path());
        command.env("HADOOP_USER_NAME", USER);
        if let Some(dist) = std::env::var_os("KVICK_DIST") {
            command.env("FLINK_LIB_DIR", Path::new(&dist).join("lib"));
        }
        command
    }

    pub fn run(&self, line: &str) -> Ended {
        Ended::of(self.command(line).output().expect("flink starts"))
    }

    pub fn attached(&self, line: &str) -> Child {
        let mut command = self.command(line);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("flink starts")
    }

    pub fn properties(&self) -> Option<PathBuf> {
        let entries = fs::read_dir(self.dir.path()).expect("a directory");
        let mut paths = entries.map(|entry| entry.expect("an entry").path());
        paths.find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".yarn-properties-"))
        })
    }

    /// Writes a local file and answers its path.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(&path, content).expect("a file");
        path
    }
}

pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn of(output: Output) -> Ended {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    #[track_caller]
    pub fn ok(self) -> Ended {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// The first application id that was printed.
    pub fn application(&self) -> &str {
        application_in(&self.stdout).expect("an application id")
    }
}

/// The first application id in a text.
pub fn application_in(text: &str) -> Option<&str> {
    let found = &text[text.find("application_")?..];
    let end = found.find(|c: char| !c.is_alphanumeric() && c != '_');
    Some(&found[..end.unwrap_or(found.len())])
}

/// The distribution whose examples are run.
pub fn dist() -> PathBuf {
    PathBuf::from(std::env::var_os("KVICK_DIST").expect("KVICK_DIST: the directory of a built distribution"))
}

/// An example's jar.
pub fn example(name: &str) -> String {
    dist().join("examples").join(name).display().to_string()
}

/// Runs a future.
pub fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}

/// A client of YARN for the time of one question.
async fn yarn() -> YarnClient {
    let conf = HadoopConf::load_default().expect("Hadoop's configuration");
    YarnClient::connect(&conf, USER, Duration::from_secs(5)).expect("a ResourceManager")
}

/// What YARN says of an application.
pub fn report(id: &str) -> ApplicationReport {
    let id: ApplicationId = id.parse().expect("an application id");
    wait(async { yarn().await.report(id).await.expect("a report") })
}

/// Kills an application from outside.
fn kill(id: &str) {
    let id: ApplicationId = id.parse().expect("an application id");
    wait(async { yarn().await.kill(id, "killed by a test").await.expect("it is killed") });
}

/// Kills an application's master as a failing machine would; it runs on this one.
pub fn kill_master(id: &str) {
    let directories = containers(id);
    let is_master = |process: &Path| {
        let cwd = fs::read_link(process.join("cwd")).ok();
        let program = fs::read_to_string(process.join("comm")).unwrap_or_default();
        cwd.is_some_and(|cwd| directories.contains(&cwd)) && program.trim() == "kvick-appmaster"
    };
    let process =
        entries(Path::new("/proc")).into_iter().find(|process| is_master(process)).expect("a master");
    let process = process.file_name().expect("a process id").to_owned();
    assert!(Command::new("kill").arg("-9").arg(process).status().expect("kill").success());
}

/// A session that ends with the test, however that ends.
pub struct Session<'a> {
    pub place: &'a Place,
    pub id: String,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let mut stopping = self.place.attached(&format!("yarn-session -id {}", self.id));
        let told = stopping.stdin.take().is_some_and(|mut stdin| stdin.write_all(b"stop\n").is_ok());
        let ended = stopping.wait_with_output();
        if !told || !ended.is_ok_and(|output| output.status.success()) {
            kill(&self.id);
        }
    }
}

/// A directory on HDFS of a test's own, removed at its end.
pub struct HdfsDir {
    pub fs: Arc<dyn FileSystem>,
    pub root: FsPath,
}

impl HdfsDir {
    pub fn new(name: &str) -> HdfsDir {
        let conf = HadoopConf::load_default().expect("Hadoop's configuration");
        let files = FileSystems::new(Context::new(conf.iter()).with_user(USER));
        let path = format!("/tmp/kvick-client-{name}-{}", std::process::id());
        let root = conf.get_or("fs.defaultFS", "file:///");
        let (fs, root) = files.locate(&format!("{}{path}", root.trim_end_matches('/'))).expect("HDFS");
        wait(fs.mkdirs(&root, 0o755)).expect("a directory");
        HdfsDir { fs, root }
    }

    /// Writes a file that everybody may read and answers its path.
    pub fn put(&self, name: &str, content: Vec<u8>) -> String {
        let path = self.root.join(name);
        let options = kvick_filesystem::CreateOptions::overwriting();
        wait(self.fs.write(&path, content.into(), &options)).expect("it is written");
        path.to_string()
    }

    /// Every file below `name`, by its path from there, with its number of copies.
    pub fn files(&self, name: &str) -> Vec<(String, Option<u32>)> {
        wait(async {
            let (mut found, mut next) = (Vec::new(), vec![self.root.join(name)]);
            let start = self.root.join(name).to_string();
            while let Some(directory) = next.pop() {
                for entry in self.fs.list(&directory).await.unwrap_or_default() {
                    match entry.is_directory {
                        true => next.push(entry.path),
                        false => found
                            .push((entry.path.to_string()[start.len() + 1..].to_string(), entry.replication)),
                    }
                }
            }
            found
        })
    }
}

impl Drop for HdfsDir {
    fn drop(&mut self) {
        let removed = wait(self.fs.delete(&self.root, true));
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}

/// The working directories of an application's containers on the nodes, which run on this machine.
pub fn containers(id: &str) -> Vec<PathBuf> {
    let cluster = std::env::var_os("KVICK_CLUSTER_DIR").expect("KVICK_CLUSTER_DIR; see cluster.sh env");
    let mut found = Vec::new();
    for node in entries(Path::new(&cluster)) {
        let directory = node.join("local/usercache").join(USER).join("appcache").join(id);
        found.extend(entries(&directory).into_iter().filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("container_"))
        }));
    }
    found
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect()
}

/// Looks again until there is something to see.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(40);
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < end, "not within 40 seconds: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
