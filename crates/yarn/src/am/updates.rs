//! Changes of held containers' resources that the master asks for.
//! Owns which are asked for and not answered yet; a container has at most one such change at a time.

use crate::ids::ContainerId;
use crate::proto::yarn as pb;
use crate::records::{Container, Resource};
use std::collections::BTreeMap;

/// How a container's resource is to change. The ResourceManager refuses one that goes the other way in any respect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerUpdate {
    /// It is to have this much, which is more: granted once its node has room.
    Increase(Resource),
    /// It is to have this much, which is less.
    Decrease(Resource),
}

/// Why a container was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("container {container} cannot be changed: {reason}")]
pub struct UpdateRefused {
    /// Which.
    pub container: ContainerId,
    /// The ResourceManager's words, as `INCORRECT_CONTAINER_VERSION_ERROR`, or what happened meanwhile.
    pub reason: String,
}

/// What became of a change: the container as it now is, with the token for its NodeManager.
pub(crate) type Updated = Result<Container, UpdateRefused>;

/// Changes asked for and not answered.
#[derive(Debug, Default)]
pub(super) struct Updates {
    pending: BTreeMap<ContainerId, (pb::UpdateContainerRequest, bool)>,
}

impl Updates {
    /// Asks for a change; one that was asked for before is replaced, and gives its refusal.
    pub fn ask(&mut self, container: &Container, update: &ContainerUpdate) -> Option<UpdateRefused> {
        let (kind, resource) = match update {
            ContainerUpdate::Increase(resource) => (pb::ContainerUpdateType::IncreaseResource, resource),
            ContainerUpdate::Decrease(resource) => (pb::ContainerUpdateType::DecreaseResource, resource),
        };
        let request = pb::UpdateContainerRequest {
            container_version: container.version,
            container_id: container.id.into(),
            update_type: kind as i32,
            capability: Some(resource.into()),
        };
        let former = self.pending.insert(container.id, (request, false));
        former.map(|_| refused(container.id, "another change was asked for instead"))
    }

    /// Whether there is something to say.
    pub fn has_unsent(&self) -> bool {
        self.pending.values().any(|(_, sent)| !sent)
    }

    /// What is to be said, and is then said.
    pub fn take_unsent(&mut self) -> Vec<pb::UpdateContainerRequest> {
        let unsent = self.pending.values_mut().filter(|(_, sent)| !sent);
        unsent
            .map(|(request, sent)| {
                *sent = true;
                request.clone()
            })
            .collect()
    }

    /// Whatever is not answered is to be said again.
    pub fn resend(&mut self) {
        self.pending.values_mut().for_each(|(_, sent)| *sent = false);
    }

    /// The ResourceManager's answers to changes that are still asked for.
    pub fn answered(&mut self, response: &pb::AllocateResponse) -> Vec<(ContainerId, Updated)> {
        let changed =
            response.updated_containers.iter().filter_map(|one| Container::from_wire(&one.container));
        let changed = changed.map(|container| (container.id, Ok(container)));
        let refusal = |one: &pb::UpdateContainerError| {
            let id = ContainerId::from(&one.update_request.as_ref()?.container_id);
            Some((id, Err(refused(id, one.reason()))))
        };
        let failed = response.update_errors.iter().filter_map(refusal);
        let answers: Vec<_> = changed.chain(failed).collect();
        answers.into_iter().filter(|(id, _)| self.pending.remove(id).is_some()).collect()
    }

    /// The container is no more; gives the refusal of a change that was asked for.
    pub fn ended(&mut self, id: ContainerId) -> Option<UpdateRefused> {
        self.pending.remove(&id).map(|_| refused(id, "it has ended"))
    }
}

fn refused(container: ContainerId, reason: &str) -> UpdateRefused {
    UpdateRefused { container, reason: reason.to_owned() }
}
