//! What the cluster offers and to whom: resource types and profiles, node labels, queue permissions.
//! Owns these calls alone; changes nothing.

use super::{ClientError, Result, YarnClient};
use crate::ids::NodeId;
use crate::proto::yarn as pb;
use crate::records::{NodeLabel, QueueAcls, Resource, ResourceType};
use std::collections::BTreeMap;

impl YarnClient {
    /// The resource types that containers can have: `memory-mb`, `vcores` and the cluster's own.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn resource_types(&self) -> Result<Vec<ResourceType>> {
        let request = pb::GetResourceTypesRequest {};
        let answer: pb::GetResourceTypesResponse =
            self.call("cannot list the resource types", "getResourceTypeInfo", &request).await?;
        Ok(answer.resource_types.into_iter().map(ResourceType::from).collect())
    }

    /// The cluster's named resource profiles; `None` if it has them switched off (`yarn.resourcemanager.resource-profiles.enabled`).
    ///
    /// # Errors
    /// When the call fails.
    pub async fn resource_profiles(&self) -> Result<Option<BTreeMap<String, Resource>>> {
        let request = pb::GetResourceProfilesRequest {};
        let answer: Result<pb::GetResourceProfilesResponse> =
            self.call("cannot list the resource profiles", "getResourceProfiles", &request).await;
        match answer {
            Ok(answer) => {
                let profiles = answer.resource_profiles.resource_profiles_map.into_iter();
                Ok(Some(profiles.map(|one| (one.name, Resource::from(&one.resources))).collect()))
            }
            Err(error) if is_thrown(&error, "YARNFeatureNotEnabledException") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What one named profile stands for.
    ///
    /// # Errors
    /// When there is no such profile, profiles are switched off, or the call fails.
    pub async fn resource_profile(&self, name: &str) -> Result<Resource> {
        let request = pb::GetResourceProfileRequest { profile: name.to_owned() };
        let answer: pb::GetResourceProfileResponse =
            self.call("cannot look at the resource profile", "getResourceProfile", &request).await?;
        Ok((&answer.resources).into())
    }

    /// What this client's user may do in each queue.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn queue_acls(&self) -> Result<BTreeMap<String, QueueAcls>> {
        let request = pb::GetQueueUserAclsRequest {};
        let answer: pb::GetQueueUserAclsResponse =
            self.call("cannot list the queues' permissions", "getQueueUserAcls", &request).await?;
        let queues = answer.queue_user_acls.iter();
        Ok(queues.map(|one| (one.queue_name().to_owned(), QueueAcls::from(one))).collect())
    }

    /// The labels that the cluster's nodes can have; empty where labels are switched off.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn node_labels(&self) -> Result<Vec<NodeLabel>> {
        let request = pb::GetClusterNodeLabelsRequest {};
        let answer: pb::GetClusterNodeLabelsResponse =
            self.call("cannot list the node labels", "getClusterNodeLabels", &request).await?;
        Ok(answer.node_labels.iter().map(NodeLabel::from).collect())
    }

    /// The labels of every node that has any. A port of 0 stands for all NodeManagers of the host.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn labels_of_nodes(&self) -> Result<BTreeMap<NodeId, Vec<String>>> {
        let request = pb::GetNodesToLabelsRequest {};
        let answer: pb::GetNodesToLabelsResponse =
            self.call("cannot list the nodes' labels", "getNodeToLabels", &request).await?;
        let labels = |one: &pb::NodeIdToLabels| Some((one.node_id.as_ref()?.into(), one.node_labels.clone()));
        Ok(answer.nodes_to_labels.iter().filter_map(labels).collect())
    }

    /// The nodes of these labels; of all labels if none is named. A label without nodes is left out.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn nodes_of_labels(&self, labels: &[String]) -> Result<BTreeMap<String, Vec<NodeId>>> {
        let request = pb::GetLabelsToNodesRequest { node_labels: labels.to_vec() };
        let answer: pb::GetLabelsToNodesResponse =
            self.call("cannot list the labels' nodes", "getLabelsToNodes", &request).await?;
        let nodes = |one: &pb::LabelToNodeIds| {
            (one.node_label().to_owned(), one.node_id.iter().map(NodeId::from).collect())
        };
        Ok(answer.labels_to_nodes.iter().map(nodes).collect())
    }
}

/// Whether the ResourceManager threw an exception of this class.
fn is_thrown(error: &ClientError, class: &str) -> bool {
    let exception = error.rpc().and_then(crate::rpc::RpcError::remote);
    exception.is_some_and(|exception| exception.simple_name() == class)
}
