//! Containers from YARN: asks for as many as the master wants, starts a task executor in each, tells how they end.
//!
//! One task owns the bookkeeping; starting a container happens beside it. What it learns goes to the driver's inbox.

use crate::driver::ResourceDriver;
use crate::handle::ClusterHandle;
use crate::input::Input;
use crate::launch::executor_context;
use crate::settings::Settings;
use anyhow::{Context, Result};
use kvick_core::config::options;
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ha::HaKind;
use kvick_core::ids::ExecutorId;
use kvick_core::master::FinalStatus;
use kvick_yarn::am::{AmClient, AmConfig, AmEvent, AmEvents, NodeHint, Wanted};
use kvick_yarn::client::YarnClient;
use kvick_yarn::conf::HadoopConf;
use kvick_yarn::ids::ContainerId;
use kvick_yarn::nm::NmClients;
use kvick_yarn::records::{
    Container, ContainerStatus, LaunchContext, NodeReport, NodeState, Resource, exit_status,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

/// The priority of task executors' containers; there is one shape of them.
const PRIORITY: i32 = 1;

/// How long asking for the cluster's nodes may take; without an answer containers are asked for anywhere.
const NODES_PATIENCE: Duration = Duration::from_secs(2);

/// How long a NodeManager may refuse connections before a container there counts as lost.
const NODE_PATIENCE: Duration = Duration::from_secs(20);

/// What the driver asks of the bookkeeping.
enum Order {
    Want(u32),
    Release(ExecutorId),
    Nodes(Vec<NodeHint>),
    StartFailed(ContainerId, String),
}

/// The connection of this application to YARN.
pub struct Yarn {
    am: AmClient,
    orders: mpsc::UnboundedSender<Order>,
    previous: Vec<ContainerId>,
}

impl Yarn {
    /// The task executors of earlier attempts whose containers still run.
    pub fn previous_executors(&self) -> Vec<ExecutorId> {
        self.previous.iter().map(|id| ExecutorId(id.to_string())).collect()
    }

    /// The driver's end.
    pub fn driver(&self) -> Box<dyn ResourceDriver> {
        Box::new(Orders(self.orders.clone()))
    }

    /// Tells YARN that the application is over.
    ///
    /// # Errors
    /// If YARN does not want to know, for this attempt is over.
    pub async fn finish(&self, status: FinalStatus, diagnostics: &str, tracking_url: &str) -> Result<()> {
        let status = match status {
            FinalStatus::Succeeded => kvick_yarn::records::FinalStatus::Succeeded,
            FinalStatus::Failed => kvick_yarn::records::FinalStatus::Failed,
            FinalStatus::Killed => kvick_yarn::records::FinalStatus::Killed,
        };
        self.am.finish(status, diagnostics, tracking_url).await.context("unregistering from YARN")
    }
}

struct Orders(mpsc::UnboundedSender<Order>);

impl ResourceDriver for Orders {
    fn want(&mut self, count: u32) {
        let _ = self.0.send(Order::Want(count));
    }

    fn release(&mut self, executor: &ExecutorId, _reason: &str) {
        let _ = self.0.send(Order::Release(executor.clone()));
    }
}

/// Registers this attempt, with the REST port as its RPC port, and begins the bookkeeping.
///
/// # Errors
/// If YARN does not take this attempt.
pub async fn register(settings: &Arc<Settings>, port: u16, cluster: ClusterHandle) -> Result<Yarn> {
    let conf = hadoop_conf(settings);
    let config = AmConfig {
        host: settings.host.clone(),
        rpc_port: i32::from(port),
        tracking_url: format!("http://{}:{port}", settings.host),
        waiting_interval: settings.config.get(&options::YARN_REQUEST_HEARTBEAT)?,
        idle_interval: Duration::from_secs(settings.config.get(&options::YARN_HEARTBEAT)?.max(1)),
        ..AmConfig::default()
    };
    let (am, events) =
        AmClient::register(&conf, &settings.credentials, config).await.context("registering with YARN")?;
    info!("registered with YARN, queue {}", am.registration().queue);
    let recovers = HaKind::from_config(&settings.config).is_ok_and(|kind| kind != HaKind::None);
    let previous = am.registration().previous_containers.clone();
    let previous = if recovers { previous } else { Vec::new() };
    let (orders, inbox) = mpsc::unbounded_channel();
    tokio::spawn(find_nodes(conf, settings.spec.user.clone(), orders.clone()));
    let keeper = Keeper {
        nodes: Arc::new(NmClients::new(am.nm_tokens().clone(), NODE_PATIENCE)),
        am: am.clone(),
        context: executor_context(settings, port),
        settings: settings.clone(),
        cluster,
        orders: orders.clone(),
        expected: previous.iter().copied().collect(),
        hints: Vec::new(),
        held: BTreeMap::new(),
        outstanding: 0,
    };
    tokio::spawn(keeper.run(inbox, events));
    Ok(Yarn { am, orders, previous })
}

/// The client's Hadoop properties over the defaults.
fn hadoop_conf(settings: &Settings) -> HadoopConf {
    let mut conf = HadoopConf::with_defaults();
    for (key, value) in &settings.hadoop {
        conf.set(key, value.clone());
    }
    conf
}

/// Asks the ResourceManager for its nodes, so that containers can be asked for by name.
async fn find_nodes(conf: HadoopConf, user: String, orders: mpsc::UnboundedSender<Order>) {
    let found = async {
        let client = YarnClient::connect(&conf, &user, NODES_PATIENCE)?;
        client.nodes(&[NodeState::Running]).await
    };
    match found.await {
        Ok(nodes) => {
            let hint = |node: &NodeReport| NodeHint { host: node.id.host.clone(), rack: node.rack.clone() };
            let _ = orders.send(Order::Nodes(nodes.iter().map(hint).collect()));
        }
        Err(error) => {
            warn!("the nodes of the cluster are not known, containers are asked for anywhere: {error}")
        }
    }
}

/// The bookkeeping.
struct Keeper {
    am: AmClient,
    nodes: Arc<NmClients>,
    settings: Arc<Settings>,
    context: LaunchContext,
    cluster: ClusterHandle,
    orders: mpsc::UnboundedSender<Order>,
    hints: Vec<NodeHint>,
    /// Containers of earlier attempts whose task executors may come forward.
    expected: BTreeSet<ContainerId>,
    /// Containers that were granted and have not ended.
    held: BTreeMap<ContainerId, Container>,
    /// Containers that are wanted and were not granted yet.
    outstanding: u32,
}

impl Keeper {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>, mut events: AmEvents) {
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.order(order),
                    None => return,
                },
                event = events.recv() => match event {
                    Some(event) => self.event(event),
                    None => return,
                },
            }
        }
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Want(count) => {
                self.outstanding = count;
                self.ask();
            }
            Order::Release(executor) => {
                let found = self.held.keys().find(|id| id.to_string() == executor.0).copied();
                if let Some(id) = found {
                    self.give_back(id);
                }
            }
            Order::Nodes(hints) => {
                self.hints = hints;
                self.ask();
            }
            Order::StartFailed(id, why) => {
                let failure = Failure::new(
                    FailureKind::ExecutorLost,
                    format!("container {id} could not be started: {why}"),
                );
                self.give_back(id);
                self.cluster.send(Input::ContainerEnded(ExecutorId(id.to_string()), failure));
            }
        }
    }

    /// Tells YARN how many containers there shall be in all.
    fn ask(&self) {
        let profile = &self.settings.spec.executor;
        self.am.set_wanted(Wanted {
            priority: PRIORITY,
            resource: Resource {
                memory_mb: profile.memory_mb,
                vcores: profile.vcores,
                ..Resource::default()
            },
            count: self.held.len() as u32 + self.outstanding,
            nodes: self.hints.clone(),
            label: profile.node_label.clone(),
        });
    }

    fn give_back(&mut self, id: ContainerId) {
        if let Some(container) = self.held.remove(&id) {
            self.ask();
            self.am.release(id);
            let nodes = self.nodes.clone();
            // The ResourceManager has it stopped too, at the node's next heartbeat; this is quicker.
            tokio::spawn(async move {
                for (id, stopped) in nodes.stop(&container.node_id, &[id]).await {
                    if let Err(error) = stopped {
                        debug!("stopping container {id}: {error}");
                    }
                }
            });
        }
    }

    fn event(&mut self, event: AmEvent) {
        match event {
            AmEvent::Allocated(container) => self.allocated(container),
            AmEvent::Completed(status) => self.completed(&status),
            AmEvent::PreviousContainers(containers) => {
                for container in containers {
                    self.previous(container);
                }
            }
            AmEvent::RequestRejected { reason, .. } => {
                let text = format!("YARN refuses the task executors' containers: {reason}");
                self.cluster.send(Input::ShutdownRequested(text));
            }
            AmEvent::ShutdownRequested { reason } => self.cluster.send(Input::AttemptOver(reason)),
            AmEvent::Reregistered => info!("the ResourceManager had restarted; registered again"),
            AmEvent::NodesUpdated(nodes) => self.nodes_updated(&nodes),
            AmEvent::Preemption(_) | AmEvent::NmToken { .. } => {}
        }
    }

    /// A container of an earlier attempt is kept if its task executor may come forward, else given back.
    fn previous(&mut self, container: Container) {
        if self.expected.contains(&container.id) {
            info!("container {} of an earlier attempt still runs on {}", container.id, container.node_id);
            self.held.insert(container.id, container);
            self.ask();
        } else {
            self.am.release(container.id);
        }
    }

    fn nodes_updated(&mut self, nodes: &[NodeReport]) {
        for node in nodes {
            self.hints.retain(|hint| hint.host != node.id.host);
            if node.state == NodeState::Running {
                self.hints.push(NodeHint { host: node.id.host.clone(), rack: node.rack.clone() });
            }
        }
    }

    fn allocated(&mut self, container: Container) {
        let id = container.id;
        if self.outstanding == 0 {
            info!("container {id} is not needed any more");
            self.am.release(id);
            return;
        }
        self.outstanding -= 1;
        info!("starting a task executor in {id} on {}", container.node_id);
        self.held.insert(id, container.clone());
        self.cluster.send(Input::ContainerStarting(ExecutorId(id.to_string())));
        let (nodes, context, orders) = (self.nodes.clone(), self.context.clone(), self.orders.clone());
        tokio::spawn(async move {
            for (id, started) in nodes.start(vec![(container, context)]).await {
                if let Err(error) = started {
                    let _ = orders.send(Order::StartFailed(id, error.to_string()));
                }
            }
        });
    }

    fn completed(&mut self, status: &ContainerStatus) {
        if self.held.remove(&status.id).is_some() {
            self.ask();
        }
        let failure =
            Failure::new(FailureKind::ExecutorLost, cause(status)).with_detail(status.diagnostics.trim());
        self.cluster.send(Input::ContainerEnded(ExecutorId(status.id.to_string()), failure));
    }
}

/// The words of Flink's `YarnResourceManagerDriver` for a container's end.
fn cause(status: &ContainerStatus) -> String {
    let id = &status.id;
    match status.exit_status {
        0 => format!("Container {id} exited normally."),
        exit_status::PREEMPTED => format!("Container {id} was preempted by yarn."),
        exit_status::INVALID => format!("Container {id} was invalid."),
        exit_status::ABORTED => format!(
            "Container {id} killed by YARN, either due to being released by the application or being 'lost' due to node \
             failures etc."
        ),
        exit_status::DISKS_FAILED => format!(
            "Container {id} is failed because threshold number of the nodemanager-local-directories or threshold number \
             of the nodemanager-log-directories have become bad."
        ),
        code => format!("Container {id} marked as failed. Exit code: {code}."),
    }
}
