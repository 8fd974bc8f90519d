//! Runs one command in each of N containers: `distributed_shell -n 8 -- true`. Client and master are this one program;
//! the nodes fetch it from this machine's disk, so it is for clusters on one machine.
//! As short as the protocol permits: what it takes from submission to end is the least that anything on YARN takes.

use anyhow::{Context, bail, ensure};
use clap::Parser;
use kvick_yarn::am::{AmClient, AmConfig, AmEvent, AmEvents, NodeHint, Wanted};
use kvick_yarn::client::YarnClient;
use kvick_yarn::conf::HadoopConf;
use kvick_yarn::credentials::Credentials;
use kvick_yarn::ids::ContainerId;
use kvick_yarn::nm::NmClients;
use kvick_yarn::records::{
    ApplicationReport, Container, FinalStatus, LaunchContext, LocalResource, LocalResourceType, NodeState,
    Resource, SubmissionContext, Visibility,
};
use kvick_yarn::rpc::current_user;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

#[derive(Parser)]
struct Options {
    /// How many containers.
    #[arg(short, long, default_value_t = 1)]
    n: u32,
    /// Memory of each container and of the master, MB.
    #[arg(long, default_value_t = 256)]
    memory: u64,
    /// Queue.
    #[arg(long, default_value = "default")]
    queue: String,
    /// Ask for "anywhere" only, without naming nodes.
    #[arg(long)]
    anywhere: bool,
    /// Let containers live when the master dies.
    #[arg(long)]
    keep: bool,
    /// Be the master (set by the client).
    #[arg(long, hide = true)]
    master: bool,
    /// The command.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let options = Options::parse();
    if options.master { master(&options).await } else { client(&options).await }
}

// ---- client ----

async fn client(options: &Options) -> anyhow::Result<()> {
    let conf = HadoopConf::load_default()?;
    let yarn = YarnClient::connect(&conf, &current_user(), Duration::from_secs(15))?;
    let begun = Instant::now();
    let (id, _) = yarn.new_application().await?;
    let mut context = SubmissionContext::new(id, "distributed shell", master_launch(options)?);
    context.queue = options.queue.clone();
    context.resource = Resource::new(options.memory, 1);
    context.keep_containers = options.keep;
    yarn.submit(&context).await?;
    let submitted = Instant::now();
    println!("{id}: submitted after {} ms", begun.elapsed().as_millis());
    let report = watch(&yarn, id, submitted).await?;
    println!(
        "{id}: {} {} {} ms after submission",
        report.state,
        report.final_status,
        submitted.elapsed().as_millis()
    );
    ensure!(report.final_status == FinalStatus::Succeeded, "{}", report.diagnostics);
    println!("{}", report.diagnostics);
    Ok(())
}

async fn watch(
    yarn: &YarnClient,
    id: kvick_yarn::ids::ApplicationId,
    submitted: Instant,
) -> anyhow::Result<ApplicationReport> {
    let mut last = None;
    loop {
        let report = yarn.report(id).await?;
        if last != Some(report.state) {
            println!("{id}: {} at {} ms", report.state, submitted.elapsed().as_millis());
            last = Some(report.state);
        }
        if report.state.is_terminal() {
            return Ok(report);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A word in single quotes for the shell inside the double quotes of the launch script.
fn quoted(word: &str) -> anyhow::Result<String> {
    let bad = |c: char| matches!(c, '"' | '\'' | '$' | '`' | '\\');
    ensure!(
        !word.contains(bad),
        "'{word}': quotes, dollars and backslashes cannot pass through YARN's launch script"
    );
    Ok(format!("'{word}'"))
}

fn master_launch(options: &Options) -> anyhow::Result<LaunchContext> {
    let binary = std::env::current_exe()?;
    let mut command =
        vec![format!("exec ./distributed_shell --master -n {} --memory {}", options.n, options.memory)];
    command.extend(options.anywhere.then(|| "--anywhere".to_owned()));
    command.push("--".to_owned());
    for word in &options.command {
        command.push(quoted(word)?);
    }
    command.push("1><LOG_DIR>/stdout 2><LOG_DIR>/stderr".to_owned());
    let mut env = BTreeMap::new();
    env.insert("HADOOP_USER_NAME".to_owned(), current_user());
    env.extend(std::env::var("RUST_LOG").map(|level| ("RUST_LOG".to_owned(), level)));
    let resources = BTreeMap::from([("distributed_shell".to_owned(), local_file(&binary)?)]);
    Ok(LaunchContext { resources, env, command, ..LaunchContext::default() })
}

fn local_file(path: &Path) -> anyhow::Result<LocalResource> {
    let metadata = std::fs::metadata(path)?;
    let path = path.to_str().context("the program's path is not UTF-8")?;
    let milliseconds = metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000;
    Ok(LocalResource {
        url: format!("file://{path}"),
        size: metadata.len(),
        timestamp: u64::try_from(milliseconds)?,
        kind: LocalResourceType::File,
        visibility: Visibility::Private,
    })
}

// ---- master ----

/// The priority of the one shape that is asked for.
const PRIORITY: i32 = 1;

struct Work {
    master: AmClient,
    nodes: NmClients,
    launch: LaunchContext,
    wanted: Wanted,
    total: u32,
    running: BTreeSet<ContainerId>,
    ended: u32,
    failed: Vec<String>,
}

async fn master(options: &Options) -> anyhow::Result<()> {
    let conf = HadoopConf::load_default()?;
    let credentials = Credentials::from_environment()?;
    let config = AmConfig { idle_interval: Duration::from_millis(50), ..AmConfig::default() };
    let (registered, nodes) =
        tokio::join!(AmClient::register(&conf, &credentials, config), hints(&conf, options));
    let (master, mut events) = registered?;
    let wanted = Wanted {
        priority: PRIORITY,
        resource: Resource::new(options.memory, 1),
        count: options.n,
        nodes: nodes?,
        label: None,
    };
    master.set_wanted(wanted.clone());
    let nodes = NmClients::new(master.nm_tokens().clone(), Duration::from_secs(30));
    let words: Vec<String> = options.command.iter().map(|word| quoted(word)).collect::<Result<_, _>>()?;
    let command =
        vec!["exec".to_owned(), words.join(" "), "1><LOG_DIR>/stdout 2><LOG_DIR>/stderr".to_owned()];
    let launch = LaunchContext { command, ..LaunchContext::default() };
    let mut work = Work {
        master,
        nodes,
        launch,
        wanted,
        total: options.n,
        running: BTreeSet::new(),
        ended: 0,
        failed: Vec::new(),
    };
    work.run(&mut events).await?;
    let status = if work.failed.is_empty() { FinalStatus::Succeeded } else { FinalStatus::Failed };
    let diagnostics =
        format!("{} containers, {} failed {}", work.ended, work.failed.len(), work.failed.join("; "));
    Ok(work.master.finish(status, &diagnostics, "").await?)
}

/// The nodes to name in requests.
async fn hints(conf: &HadoopConf, options: &Options) -> anyhow::Result<Vec<NodeHint>> {
    if options.anywhere {
        return Ok(Vec::new());
    }
    let yarn = YarnClient::connect(conf, &current_user(), Duration::from_secs(10))?;
    let nodes = yarn.nodes(&[NodeState::Running]).await?;
    Ok(nodes.into_iter().map(|node| NodeHint { host: node.id.host, rack: node.rack }).collect())
}

impl Work {
    async fn run(&mut self, events: &mut AmEvents) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.ended < self.total {
            let mut granted = Vec::new();
            let mut event = Some(events.recv().await.context("the heartbeats ended")?);
            // All that came together is started together.
            while let Some(next) = event {
                self.take(next, &mut granted)?;
                event = events.try_recv().ok();
            }
            if !granted.is_empty() {
                eprintln!("{} containers granted after {} ms", granted.len(), begun.elapsed().as_millis());
                self.start(granted).await;
                eprintln!("started after {} ms", begun.elapsed().as_millis());
            }
        }
        Ok(())
    }

    fn take(&mut self, event: AmEvent, granted: &mut Vec<Container>) -> anyhow::Result<()> {
        match event {
            AmEvent::Allocated(container) if self.running.len() as u32 + self.ended < self.total => {
                self.running.insert(container.id);
                granted.push(container);
            }
            AmEvent::Allocated(container) => self.master.release(container.id),
            AmEvent::Completed(status) if self.running.remove(&status.id) => {
                let failed = (status.exit_status != 0)
                    .then(|| format!("{}: {} {}", status.id, status.exit_status, status.diagnostics));
                self.end(failed);
            }
            AmEvent::RequestRejected { reason, .. } | AmEvent::ShutdownRequested { reason } => {
                bail!(reason)
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, failed: Option<String>) {
        self.failed.extend(failed);
        self.ended += 1;
        self.wanted.count = self.total - self.ended;
        self.master.set_wanted(self.wanted.clone());
    }

    async fn start(&mut self, granted: Vec<Container>) {
        let all = granted.into_iter().map(|container| (container, self.launch.clone())).collect();
        for (id, outcome) in self.nodes.start(all).await {
            if let Err(error) = outcome {
                self.running.remove(&id);
                self.master.release(id);
                self.end(Some(error.to_string()));
            }
        }
    }
}
