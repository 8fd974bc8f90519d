//! Containers from YARN: asks for as many as the master wants, starts a task executor in each, tells how they end.
//!
//! One task owns the bookkeeping; starting a container happens beside it. What it learns goes to the driver's inbox.

use crate::driver::ResourceDriver;
use crate::handle::ClusterHandle;
use crate::input::Input;
use crate::launch::executor_context;
use crate::settings::Settings;
use crate::{container_end, previous};
use anyhow::{Context, Result};
use kvick_core::config::options;
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ha::HaKind;
use kvick_core::ids::ExecutorId;
use kvick_core::master::{Effect, FinalStatus, Master};
use kvick_core::resources::WantedBack;
use kvick_core::time::Millis;
use kvick_yarn::am::{AmClient, AmConfig, AmEvent, AmEvents, NodeHint, Wanted};
use kvick_yarn::client::YarnClient;
use kvick_yarn::conf::HadoopConf;
use kvick_yarn::ids::ContainerId;
use kvick_yarn::nm::NmClients;
use kvick_yarn::records::{
    Container, ContainerStatus, LaunchContext, NodeReport, NodeState, Preemption, Resource,
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

/// How long a node that is being decommissioned stays, in milliseconds, where YARN does not say
/// (`yarn.resourcemanager.nodemanager-graceful-decommission-timeout-secs`).
const DECOMMISSIONING: u32 = 3_600_000;

/// How long a NodeManager may refuse connections before a container there counts as lost.
const NODE_PATIENCE: Duration = Duration::from_secs(20);

/// What the driver asks of the bookkeeping.
enum Order {
    Want(u32),
    Release(ExecutorId),
    Exclude(BTreeSet<String>),
    Hurry,
    Nodes(Vec<NodeReport>),
    StartFailed(ContainerId, String),
    Ended(ContainerStatus),
    /// A container of an earlier attempt that YARN named late, and whether it is of use.
    Late(Box<Container>, bool),
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

    fn exclude(&mut self, hosts: &BTreeSet<String>) {
        let _ = self.0.send(Order::Exclude(hosts.clone()));
    }

    fn hurry(&mut self) {
        let _ = self.0.send(Order::Hurry);
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
        probes: Arc::new(NmClients::new(am.nm_tokens().clone(), previous::PATIENCE)),
        am: am.clone(),
        context: executor_context(settings, port),
        settings: settings.clone(),
        cluster,
        orders: orders.clone(),
        expected: previous.iter().copied().collect(),
        hints: Vec::new(),
        excluded: BTreeSet::new(),
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
        client.nodes(&[NodeState::Running, NodeState::Decommissioning]).await
    };
    match found.await {
        Ok(nodes) => drop(orders.send(Order::Nodes(nodes))),
        Err(error) => {
            warn!("the nodes of the cluster are not known, containers are asked for anywhere: {error}")
        }
    }
}

/// The bookkeeping.
struct Keeper {
    am: AmClient,
    nodes: Arc<NmClients>,
    /// For questions that are not worth much waiting.
    probes: Arc<NmClients>,
    settings: Arc<Settings>,
    context: LaunchContext,
    cluster: ClusterHandle,
    orders: mpsc::UnboundedSender<Order>,
    hints: Vec<NodeHint>,
    excluded: BTreeSet<String>,
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
            Order::Exclude(hosts) => self.exclude(hosts),
            Order::Hurry => self.am.hurry(),
            Order::Nodes(nodes) => {
                self.nodes_updated(&nodes);
                self.ask();
            }
            Order::Ended(status) => {
                self.am.release(status.id);
                self.completed(&status);
            }
            Order::Late(container, true) => self.keep(*container),
            Order::Late(container, false) => self.am.release(container.id),
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
            AmEvent::Preemption(wanted) => self.preemption(&wanted),
            AmEvent::NmToken { .. } => {}
        }
    }

    /// A container of an earlier attempt is kept if its task executor may come forward, else given back.
    fn previous(&mut self, container: Container) {
        if self.expected.contains(&container.id) {
            return self.keep(container);
        }
        let (orders, cluster) = (self.orders.clone(), self.cluster.clone());
        tokio::spawn(async move {
            let kept = previous::is_of_use(&cluster, container.id).await;
            let _ = orders.send(Order::Late(Box::new(container), kept));
        });
    }

    fn keep(&mut self, container: Container) {
        info!("container {} of an earlier attempt still runs on {}", container.id, container.node_id);
        self.look_after(&container);
        self.held.insert(container.id, container);
        self.ask();
    }

    /// Has the node asked whether a container of an earlier attempt still runs: it knows before the ResourceManager does.
    fn look_after(&self, container: &Container) {
        let (id, node) = (container.id, container.node_id.clone());
        let (executor, host) = (ExecutorId(id.to_string()), node.host.clone());
        self.master(move |master, _, _| master.found_on(&executor, &host));
        let (nodes, orders, cluster) = (self.probes.clone(), self.orders.clone(), self.cluster.clone());
        tokio::spawn(async move {
            if let Some(status) = previous::look_after(&nodes, &node, id, &cluster).await {
                let _ = orders.send(Order::Ended(status));
            }
        });
    }

    /// Gives the master an input.
    fn master(&self, input: impl FnOnce(&mut Master, Millis, &mut Vec<Effect>) + Send + 'static) {
        self.cluster.send(Input::Request(Box::new(move |cluster, now| {
            cluster.with_master(|master, fx| input(master, now, fx));
        })));
    }

    fn preemption(&self, wanted: &Preemption) {
        let executors =
            |ids: &[ContainerId]| ids.iter().map(|id| ExecutorId(id.to_string())).collect::<Vec<_>>();
        let wanted =
            WantedBack { strict: executors(&wanted.strict), negotiable: executors(&wanted.negotiable) };
        debug!("YARN wants containers back: {wanted:?}");
        self.master(move |master, now, fx| master.wanted_back(now, &wanted, fx));
    }

    fn nodes_updated(&mut self, nodes: &[NodeReport]) {
        for node in nodes {
            let host = node.id.host.clone();
            self.hints.retain(|hint| hint.host != host);
            match node.state {
                NodeState::Running => {
                    self.hints.push(NodeHint { host: host.clone(), rack: node.rack.clone() });
                    self.master(move |master, now, fx| master.node_stays(now, &host, fx));
                }
                NodeState::Decommissioning => {
                    let within =
                        node.decommissioning_timeout.map_or(DECOMMISSIONING, |s| s.saturating_mul(1_000));
                    info!("node {host} is being taken out of the cluster, within {within} ms: leaving it");
                    let within = Millis(u64::from(within));
                    self.master(move |master, now, fx| master.node_leaves(now, &host, within, fx));
                }
                _ => {}
            }
        }
        let size = self.hints.len() as u32;
        self.master(move |master, now, fx| master.cluster_size(now, size, fx));
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
        let host = container.node_id.host.clone();
        self.cluster.send(Input::ContainerStarting(ExecutorId(id.to_string()), host));
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
        let failure = container_end::failure(status);
        self.cluster.send(Input::ContainerEnded(ExecutorId(status.id.to_string()), failure));
    }

    /// No containers are taken on these nodes from now on, and on no others that were excluded before.
    fn exclude(&mut self, hosts: BTreeSet<String>) {
        let additions = hosts.difference(&self.excluded).cloned().collect();
        let removals = self.excluded.difference(&hosts).cloned().collect();
        self.am.blacklist(additions, removals);
        self.excluded = hosts;
    }
}
