//! Answers of real daemons (Hadoop 3.4.3), byte for byte, and what is made of them.

use crate::credentials::Token;
use crate::proto::{common, yarn as pb};
use crate::records::{
    ApplicationReport, AttemptReport, Container, ContainerStatus, NodeReport, NodeState, QueueInfo,
    QueueState, Resource,
};
use crate::rpc::{RemoteException, frame};
use bytes::Bytes;
use prost::Message;

/// The message in a recorded successful response, all of which must be understood.
fn answer<M: Message + Default>(recorded: &'static [u8]) -> M {
    let (call, header, mut body) = frame::response(Bytes::from_static(recorded)).unwrap();
    assert!(call >= 0 && header.status == common::RpcStatus::Success as i32);
    let message = frame::take(&mut body).unwrap();
    assert!(body.is_empty());
    message
}

/// The bytes of a file of `tests/golden`.
macro_rules! golden {
    ($name:literal) => {
        include_bytes!(concat!("../tests/golden/", $name, ".bin"))
    };
}

#[test]
fn a_new_application() {
    let answer: pb::GetNewApplicationResponse = answer(golden!("getNewApplication"));
    let id = crate::ids::ApplicationId::from(&answer.application_id.unwrap());
    assert!(id.to_string().starts_with("application_1795253201014_00"), "{id}");
    assert_eq!(Resource::from(&answer.maximum_capability.unwrap()), Resource::new(8192, 8));
}

#[test]
fn nodes() {
    let answer: pb::GetClusterNodesResponse = answer(golden!("getClusterNodes"));
    let nodes: Vec<_> = answer.node_reports.iter().filter_map(NodeReport::from_wire).collect();
    assert_eq!(nodes.len(), 2);
    assert!(nodes.iter().all(|node| node.state == NodeState::Running && node.rack == "/default-rack"));
    assert!(nodes.iter().all(|node| node.capability == Resource::new(8192, 8)));
}

#[test]
fn queues() {
    let answer: pb::GetQueueInfoResponse = answer(golden!("getQueueInfo"));
    let root = QueueInfo::from(&answer.queue_info.unwrap());
    let mut names: Vec<_> = root.children.iter().map(|queue| queue.path.as_str()).collect();
    names.sort_unstable();
    assert_eq!((root.name.as_str(), names), ("root", vec!["root.default", "root.other"]));
    assert!(root.children.iter().all(|queue| queue.state == QueueState::Running));
}

#[test]
fn a_failed_applications_report() {
    let answer: pb::GetApplicationReportResponse = answer(golden!("getApplicationReport"));
    let report = ApplicationReport::from_wire(&answer.application_report.unwrap()).unwrap();
    assert!(report.state.is_terminal() && report.queue == "root.default");
    assert!(report.diagnostics.contains("changed on src filesystem"), "{}", report.diagnostics);
}

#[test]
fn attempts() {
    let answer: pb::GetApplicationAttemptsResponse = answer(golden!("getApplicationAttempts"));
    let attempts: Vec<_> = answer.attempts.iter().filter_map(AttemptReport::from_wire).collect();
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].id.attempt, 1);
}

#[test]
fn a_registration() {
    let answer: pb::RegisterApplicationMasterResponse = answer(golden!("registerApplicationMaster"));
    assert_eq!(answer.queue(), "root.default");
    assert_eq!(Resource::from(&answer.maximum_capability.unwrap()), Resource::new(8192, 8));
}

#[test]
fn grants_come_with_their_nodes_tokens() {
    let answer: pb::AllocateResponse = answer(golden!("allocate"));
    let granted: Vec<_> = answer.allocated_containers.iter().filter_map(Container::from_wire).collect();
    assert!(!granted.is_empty());
    for container in &granted {
        let token = container.token.as_ref().unwrap();
        assert_eq!(
            (token.kind.as_str(), token.password.len(), container.priority),
            ("ContainerToken", 20, 3)
        );
        assert_eq!(container.resource, Resource::new(256, 1));
    }
    let tokens: Vec<Token> =
        answer.nm_tokens.iter().filter_map(|token| token.token.as_ref()).map(Token::from).collect();
    assert!(tokens.iter().all(|token| token.kind == "NMToken"));
    assert!(
        answer.completed_container_statuses.iter().all(|status| ContainerStatus::from_wire(status).is_some())
    );
}

#[test]
fn the_end_of_a_killed_attempt() {
    let (_, header, body) = frame::response(Bytes::from_static(golden!("allocate.error"))).unwrap();
    assert_eq!((header.status, body.len()), (common::RpcStatus::Error as i32, 0));
    let exception =
        RemoteException::new(header.exception_class(), header.error_message(), false, header.error_code());
    assert!(exception.is_attempt_over() || exception.is_invalid_resource_request(), "{exception}");
    assert!(exception.stack.starts_with("\tat ") && !exception.message.contains("\tat "));
}

#[test]
fn a_delegation_token() {
    let answer: common::GetDelegationTokenResponse = answer(golden!("getDelegationToken"));
    let token = answer.token.unwrap();
    assert_eq!(
        (token.kind.as_str(), token.service.as_str(), token.password.len()),
        ("RM_DELEGATION_TOKEN", "", 20)
    );
}

#[test]
fn finishing() {
    let answer: pb::FinishApplicationMasterResponse = answer(golden!("finishApplicationMaster"));
    assert!(answer.is_unregistered());
}
