//! A Flink cluster of the benchmark's own on this machine, and SQL scripts run on it.
//!
//! One JobManager and one TaskManager with a slot for each reader, started in the foreground, so that they can be ended by
//! their process ids. Ports are free ones of 127.0.0.1.

use anyhow::{Context, Result, bail, ensure};
use kvick_integration::http;
use nexmark::query::{Query, named};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than starting has ever taken, on a machine that was busy with much else.
const START_LIMIT: Duration = Duration::from_secs(300);

/// What the SQL scripts are begun with.
const SETTINGS: &str = "SET 'execution.runtime-mode' = 'streaming';
SET 'table.dml-sync' = 'true';
SET 'table.local-time-zone' = 'UTC';
";

/// Where results go.
pub enum Target<'a> {
    /// Every change to the TaskManager's standard output, with the query's name before it.
    Print,
    /// Nowhere; but query 10 is about writing files, and writes them under this directory.
    Discard(&'a Path),
}

/// A job that has ended.
pub struct Ended {
    /// The name that the script gave it.
    pub name: String,
    /// From its start to its end, as Flink tells it, ms.
    pub millis: f64,
}

/// The cluster; it is ended when this goes out of scope.
pub struct Cluster {
    home: PathBuf,
    scripts: PathBuf,
    work: PathBuf,
    address: String,
    processes: Vec<Child>,
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

impl Cluster {
    /// Starts the distribution in `home` with its files under `work`, and waits for its slots.
    pub fn start(home: &Path, scripts: &Path, work: &Path, slots: usize) -> Result<Cluster> {
        let (conf, rest) = (work.join("conf"), free_port()?);
        for directory in [&conf, &work.join("log"), &work.join("tmp")] {
            std::fs::create_dir_all(directory)?;
        }
        for file in std::fs::read_dir(home.join("conf"))?.flatten() {
            std::fs::copy(file.path(), conf.join(file.file_name()))?;
        }
        configure(&conf.join("config.yaml"), work, rest, slots)?;
        let mut cluster = Cluster {
            home: home.to_path_buf(),
            scripts: scripts.to_path_buf(),
            work: work.to_path_buf(),
            address: format!("http://127.0.0.1:{rest}"),
            processes: Vec::new(),
        };
        for name in ["jobmanager", "taskmanager"] {
            let out = File::create(work.join(format!("{name}.out")))?;
            let mut command = cluster.command(&format!("{name}.sh"));
            command.arg("start-foreground").stderr(out.try_clone()?).stdout(out);
            cluster.processes.push(command.spawn()?);
        }
        cluster.wait_for(slots)?;
        Ok(cluster)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.home.join("bin").join(program));
        command.stdin(Stdio::null()).env("FLINK_CONF_DIR", self.work.join("conf"));
        command.env("FLINK_LOG_DIR", self.work.join("log")).env("FLINK_PID_DIR", &self.work);
        command.env_remove("FLINK_HOME").env_remove("HADOOP_CONF_DIR").env_remove("HADOOP_CLASSPATH");
        command
    }

    fn wait_for(&mut self, slots: usize) -> Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < START_LIMIT {
            for process in &mut self.processes {
                ensure!(process.try_wait()?.is_none(), "Flink ended at once: see {}", self.work.display());
            }
            if self.get("/overview").is_ok_and(|answer| answer["slots-total"] == slots) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("Flink had no {slots} slots within {START_LIMIT:?}: see {}", self.work.display())
    }

    fn get(&self, path: &str) -> Result<Value> {
        let (status, body) = http::request("GET", &format!("{}{path}", self.address), None)?;
        ensure!(status == 200, "{path}: {status}: {body}");
        Ok(serde_json::from_str(&body)?)
    }

    /// Runs queries over the tables of a directory, one after the other; job `i` gets the name of query `i` and `suffix`.
    pub fn run(&self, tables: &Path, queries: &[&Query], suffix: &str, target: &Target) -> Result<()> {
        let mut script = SETTINGS.to_string() + &self.read("tables")?;
        for query in queries {
            script += &format!("SET 'pipeline.name' = '{}{suffix}';\n", query.name);
            script += &self.statement(query, target)?;
            script += &format!("DROP TEMPORARY TABLE {};\n", query.name);
        }
        let path = self.work.join("script.sql");
        std::fs::write(&path, script.replace("${DIR}", &tables.display().to_string()))?;
        let output = self.command("sql-client.sh").arg("-f").arg(&path).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let failed = text.lines().skip_while(|line| !line.contains("[ERROR]")).take(12);
        let failed = failed.collect::<Vec<_>>().join("\n");
        ensure!(output.status.success() && failed.is_empty(), "the SQL client failed: {failed}");
        Ok(())
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = self.scripts.join(format!("{name}.sql"));
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    fn statement(&self, query: &Query, target: &Target) -> Result<String> {
        let (sink, partitioned) = match target {
            Target::Print => (format!("'connector' = 'print', 'print-identifier' = '{}'", query.name), ""),
            Target::Discard(files) if query.name == "q10" => {
                let path = files.display();
                let sink = format!("'connector' = 'filesystem', 'path' = 'file://{path}', 'format' = 'csv'");
                (sink, "PARTITIONED BY (dt, hm)")
            }
            Target::Discard(_) => ("'connector' = 'blackhole'".to_string(), ""),
        };
        Ok(self.read(query.name)?.replace("${SINK}", &sink).replace("${PARTITIONED}", partitioned))
    }

    /// The jobs that have ended well; an error if one has not.
    pub fn ended(&self) -> Result<Vec<Ended>> {
        let overview = self.get("/jobs/overview")?;
        let jobs = overview["jobs"].as_array().context("Flink tells no jobs")?;
        let ended = |job: &Value| {
            let name = job["name"].as_str().context("a job without a name")?.to_string();
            ensure!(job["state"] == "FINISHED", "{name} is {} on Flink", job["state"]);
            Ok(Ended { name, millis: job["duration"].as_f64().context("a job without a duration")? })
        };
        jobs.iter().map(ended).collect()
    }

    /// What was printed for each query: logs of changes, to be read by [`nexmark::check::rows_of_changes`].
    pub fn printed(&self) -> Result<BTreeMap<String, Vec<String>>> {
        let mut printed: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let output = BufReader::new(File::open(self.work.join("taskmanager.out"))?);
        for line in output.lines() {
            let line = line?;
            // `q4> +I[…]` of a single subtask, `q4:2> +I[…]` of one of several; all else is Flink's log.
            let query = line.split_once("> ").map(|(who, _)| who.split(':').next().unwrap_or(who));
            if let Some(query) = query.filter(|query| named(query).is_some()) {
                printed.entry(query.to_string()).or_default().push(line);
            }
        }
        Ok(printed)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Keeps what the distribution says of the JVM, and says the rest itself.
fn configure(path: &Path, work: &Path, rest: u16, slots: usize) -> Result<()> {
    let shipped = std::fs::read_to_string(path)?;
    let jvm = shipped.split_once("\njobmanager:").map_or("", |(jvm, _)| jvm);
    let own = format!(
        "
jobmanager.rpc.address: 127.0.0.1
jobmanager.rpc.port: {}
jobmanager.bind-host: 127.0.0.1
jobmanager.memory.process.size: 1600m
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.numberOfTaskSlots: {slots}
taskmanager.memory.process.size: 6144m
parallelism.default: {slots}
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: {rest}
web.history-size: 1000
io.tmp.dirs: {}
",
        free_port()?,
        work.join("tmp").display()
    );
    Ok(std::fs::write(path, format!("{jvm}{own}"))?)
}
