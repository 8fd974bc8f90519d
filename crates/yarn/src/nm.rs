//! NodeManagers for masters (`ContainerManagementProtocol`): start, stop and look at containers.
//! Owns one client per node and the nodes' tokens; knows nothing of why a container is started.

mod changes;

use crate::credentials::Token;
use crate::ids::{ContainerId, NodeId};
use crate::proto::yarn as pb;
use crate::records::{Container, ContainerStatus, LaunchContext, LocalResourceError};
use crate::rpc::{Address, Identity, Options, RemoteException, RpcClient, RpcError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;

/// Java name of the protocol.
const PROTOCOL: &str = "org.apache.hadoop.yarn.api.ContainerManagementProtocolPB";
/// Most containers in one call: a request must stay far below `ipc.maximum.data.length`.
const BATCH: usize = 100;

/// Why a NodeManager did not do what was asked of one container.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NmError {
    /// No token for the node has come.
    #[error("there is no token for the NodeManager {0}: it comes with the first container there")]
    NoToken(NodeId),
    /// The container was granted without a token.
    #[error("container {0} has no token and cannot be started")]
    NoContainerToken(ContainerId),
    /// A local resource has no usable URL.
    #[error(transparent)]
    Resource(#[from] LocalResourceError),
    /// The call failed.
    #[error("NodeManager {node}: {source}")]
    Call {
        /// The node.
        node: NodeId,
        /// Why.
        source: Box<RpcError>,
    },
    /// The NodeManager refused this container.
    #[error("NodeManager {node} refused container {container}: {exception}")]
    Refused {
        /// The node.
        node: NodeId,
        /// The container.
        container: ContainerId,
        /// Its words.
        exception: Box<RemoteException>,
    },
    /// The NodeManager said nothing about this container.
    #[error("NodeManager {node} did not say what became of container {container}")]
    Unanswered {
        /// The node.
        node: NodeId,
        /// The container.
        container: ContainerId,
    },
}

/// The newest token of every node.
#[derive(Debug, Default)]
pub struct NmTokens {
    tokens: RwLock<HashMap<NodeId, Token>>,
}

impl NmTokens {
    /// Keeps a token in place of the node's former one.
    pub fn put(&self, node: NodeId, token: Token) {
        self.tokens.write().unwrap_or_else(PoisonError::into_inner).insert(node, token);
    }

    /// The node's token.
    pub fn get(&self, node: &NodeId) -> Option<Token> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).get(node).cloned()
    }
}

/// A client of one node, and the token that its next connection uses.
struct Node {
    rpc: Arc<RpcClient>,
    token: Token,
}

/// What became of each container, in the order asked.
pub type Outcomes<T> = Vec<(ContainerId, Result<T, NmError>)>;

/// Clients of all the nodes that a master has containers on. Calls to one node share a connection.
pub struct NmClients {
    tokens: Arc<NmTokens>,
    patience: Duration,
    options: Options,
    nodes: Mutex<HashMap<NodeId, Node>>,
}

impl NmClients {
    /// Clients that use these tokens; every call may take `patience` including retries.
    pub fn new(tokens: Arc<NmTokens>, patience: Duration) -> Self {
        let options =
            Options { connect_timeout: patience.min(Duration::from_secs(20)), ..Options::default() };
        Self { tokens, patience, options, nodes: Mutex::default() }
    }

    /// The same with other times and limits of connections ([`HadoopConf::rpc_options`](crate::conf::HadoopConf::rpc_options)).
    #[must_use]
    pub fn with_options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    fn client(&self, node: &NodeId) -> Result<Arc<RpcClient>, NmError> {
        let token = self.tokens.get(node).ok_or_else(|| NmError::NoToken(node.clone()))?;
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = nodes.entry(node.clone()).or_insert_with(|| {
            let target = Address::new(node.host.clone(), node.port);
            let rpc =
                RpcClient::new(PROTOCOL, vec![target], Identity::token(token.clone()), self.options.clone());
            Node { rpc: Arc::new(rpc), token: token.clone() }
        });
        if known.token != token {
            known.rpc.set_identity(Identity::token(token.clone()));
            known.token = token;
        }
        Ok(known.rpc.clone())
    }

    /// Forgets a node that has no more containers; its connection closes.
    pub fn forget(&self, node: &NodeId) {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).remove(node);
    }

    async fn call<Q: prost::Message, R: prost::Message + Default>(
        &self,
        node: &NodeId,
        method: &str,
        request: &Q,
    ) -> Result<R, NmError> {
        let answer = self.client(node)?.call(method, request, Instant::now() + self.patience).await;
        answer.map_err(|source| NmError::Call { node: node.clone(), source: Box::new(source) })
    }

    /// Starts containers, all those of one node in one call and all nodes at once. One that runs already (a call was
    /// repeated after its answer was lost) counts as started.
    pub async fn start(&self, containers: Vec<(Container, LaunchContext)>) -> Outcomes<()> {
        let mut by_node: HashMap<NodeId, Vec<(Container, LaunchContext)>> = HashMap::new();
        for (container, context) in containers {
            by_node.entry(container.node_id.clone()).or_default().push((container, context));
        }
        let batches = by_node
            .iter()
            .flat_map(|(node, all)| all.chunks(BATCH).map(move |batch| self.start_batch(node, batch)));
        futures::future::join_all(batches).await.into_iter().flatten().collect()
    }

    async fn start_batch(&self, node: &NodeId, batch: &[(Container, LaunchContext)]) -> Outcomes<()> {
        let mut outcomes = Vec::new();
        let mut request = pb::StartContainersRequest::default();
        let mut asked = Vec::new();
        for (container, context) in batch {
            match start_request(container, context) {
                Ok(one) => {
                    request.start_container_request.push(one);
                    asked.push(container.id);
                }
                Err(error) => outcomes.push((container.id, Err(error))),
            }
        }
        if !asked.is_empty() {
            let answer: Result<pb::StartContainersResponse, NmError> =
                self.call(node, "startContainers", &request).await;
            let answer = answer.map(|answer| (answer.succeeded_requests, answer.failed_requests));
            outcomes.extend(settle(node, &asked, answer));
        }
        outcomes
    }

    /// Stops containers of one node: SIGTERM, then SIGKILL; they end with exit status -105.
    pub async fn stop(&self, node: &NodeId, ids: &[ContainerId]) -> Outcomes<()> {
        let request = pb::StopContainersRequest { container_id: ids.iter().map(|id| (*id).into()).collect() };
        let answer: Result<pb::StopContainersResponse, NmError> =
            self.call(node, "stopContainers", &request).await;
        settle(node, ids, answer.map(|answer| (answer.succeeded_requests, answer.failed_requests)))
    }

    /// How containers of one node are.
    pub async fn statuses(&self, node: &NodeId, ids: &[ContainerId]) -> Outcomes<ContainerStatus> {
        let request =
            pb::GetContainerStatusesRequest { container_id: ids.iter().map(|id| (*id).into()).collect() };
        let answer: Result<pb::GetContainerStatusesResponse, NmError> =
            self.call(node, "getContainerStatuses", &request).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return ids.iter().map(|id| (*id, Err(error.clone()))).collect(),
        };
        let found: HashMap<ContainerId, ContainerStatus> = answer
            .status
            .iter()
            .filter_map(ContainerStatus::from_wire)
            .map(|status| (status.id, status))
            .collect();
        let refused = refusals(&answer.failed_requests);
        ids.iter()
            .map(|id| (*id, found.get(id).cloned().ok_or_else(|| missing(node, *id, &refused))))
            .collect()
    }
}

fn start_request(
    container: &Container,
    context: &LaunchContext,
) -> Result<pb::StartContainerRequest, NmError> {
    let token = container.token.as_ref().ok_or(NmError::NoContainerToken(container.id))?;
    Ok(pb::StartContainerRequest {
        container_launch_context: Some(context.to_wire()?),
        container_token: Some(token.into()),
    })
}

type Answer = (Vec<pb::ContainerId>, Vec<pb::ContainerException>);

/// The answer to a batch as one outcome per container: the call succeeds even if every container was refused.
fn settle(node: &NodeId, asked: &[ContainerId], answer: Result<Answer, NmError>) -> Outcomes<()> {
    let (succeeded, failed) = match answer {
        Ok(answer) => answer,
        Err(error) => return asked.iter().map(|id| (*id, Err(error.clone()))).collect(),
    };
    let succeeded: Vec<ContainerId> = succeeded.iter().map(ContainerId::from).collect();
    let refused = refusals(&failed);
    let outcome = |id: &ContainerId| {
        let relaunched = refused.get(id).is_some_and(RemoteException::is_relaunch);
        if succeeded.contains(id) || relaunched { Ok(()) } else { Err(missing(node, *id, &refused)) }
    };
    asked.iter().map(|id| (*id, outcome(id))).collect()
}

fn refusals(failed: &[pb::ContainerException]) -> HashMap<ContainerId, RemoteException> {
    let refusal = |one: &pb::ContainerException| {
        let exception = one.exception.clone().unwrap_or_default();
        let exception = RemoteException::new(exception.class_name(), exception.message(), false, 0);
        Some((one.container_id.as_ref()?.into(), exception))
    };
    failed.iter().filter_map(refusal).collect()
}

fn missing(
    node: &NodeId,
    container: ContainerId,
    refused: &HashMap<ContainerId, RemoteException>,
) -> NmError {
    match refused.get(&container) {
        Some(exception) => {
            NmError::Refused { node: node.clone(), container, exception: Box::new(exception.clone()) }
        }
        None => NmError::Unanswered { node: node.clone(), container },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: i64) -> ContainerId {
        let attempt_id = "appattempt_1_0001_000001".parse().unwrap();
        ContainerId { attempt_id, id: number }
    }

    fn refusal(number: i64, message: &str) -> pb::ContainerException {
        let exception = pb::SerializedException { message: Some(message.into()), ..Default::default() };
        pb::ContainerException { container_id: Some(id(number).into()), exception: Some(exception) }
    }

    #[test]
    fn each_container_has_its_own_outcome_and_a_relaunch_is_success() {
        let node: NodeId = "h:1".parse().unwrap();
        let failed = vec![
            refusal(2, "This token is expired\n\tat x"),
            refusal(3, "Attempt to relaunch the same container with id c"),
        ];
        let outcomes = settle(&node, &[id(1), id(2), id(3), id(4)], Ok((vec![id(1).into()], failed)));
        let texts: Vec<_> =
            outcomes.iter().map(|(_, outcome)| outcome.as_ref().err().map(ToString::to_string)).collect();
        assert!(texts[0].is_none() && texts[2].is_none());
        assert!(texts[1].as_ref().unwrap().contains("This token is expired"), "{texts:?}");
        assert!(texts[3].as_ref().unwrap().contains("did not say"), "{texts:?}");
    }
}
