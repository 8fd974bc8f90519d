//! The protobuf messages of Hadoop RPC and YARN, generated from `proto/*.proto` (see `examples/codegen.rs`).
//! Owns the generated code and nothing else; nothing outside this crate sees these types.

#![allow(missing_docs, dead_code, clippy::all, clippy::pedantic)]

/// RPC envelope and security messages (package `hadoop.common`).
pub mod common {
    include!("hadoop.common.rs");
}

/// Records and protocols of YARN (package `hadoop.yarn`).
pub mod yarn {
    include!("hadoop.yarn.rs");
}

#[cfg(test)]
mod tests {
    use super::yarn as pb;
    use crate::records::{ApplicationReport, Container, ContainerStatus, NodeReport, QueueInfo};
    use proptest::prelude::*;
    use prost::Message;

    /// Everything that is made of an answer, from bytes that claim to be one.
    fn decode(bytes: &[u8]) {
        if let Ok(answer) = pb::AllocateResponse::decode(bytes) {
            let _: Vec<_> = answer.allocated_containers.iter().filter_map(Container::from_wire).collect();
            let _: Vec<_> =
                answer.completed_container_statuses.iter().filter_map(ContainerStatus::from_wire).collect();
            let _: Vec<_> = answer.updated_nodes.iter().filter_map(NodeReport::from_wire).collect();
        }
        if let Ok(report) = pb::ApplicationReport::decode(bytes) {
            let _ = ApplicationReport::from_wire(&report);
        }
        if let Ok(queue) = pb::QueueInfo::decode(bytes) {
            let _ = QueueInfo::from(&queue);
        }
    }

    /// A queue in a queue, `depth` times, as a hostile server might send it.
    fn nested(depth: usize) -> Vec<u8> {
        (0..depth).fold(Vec::new(), |inner, _| pb_field(6, &inner))
    }

    fn pb_field(number: u8, inner: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        prost::encode_length_delimiter(inner.len(), &mut out).unwrap();
        out.extend(inner);
        out
    }

    #[test]
    fn endless_nesting_is_refused() {
        assert!(pb::QueueInfo::decode(&nested(2000)[..]).is_err());
        decode(&nested(50));
    }

    #[test]
    fn unknown_enum_values_and_fields_are_let_through() {
        let report =
            pb::NodeReport { state: Some(77), node_id: Some(pb::NodeId::default()), ..Default::default() };
        let mut bytes = report.encode_to_vec();
        bytes.extend([0xf8, 0x07, 0x01]);
        let report = NodeReport::from_wire(&pb::NodeReport::decode(&bytes[..]).unwrap()).unwrap();
        assert_eq!(report.state, crate::records::NodeState::Other(77));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            decode(&bytes);
        }

        #[test]
        fn no_damaged_answer_panics(at: prop::sample::Index, value: u8, cut: prop::sample::Index) {
            let container = pb::Container {
                id: Some(pb::ContainerId { id: Some(5), ..Default::default() }),
                node_id: Some(pb::NodeId { host: Some("a".into()), port: Some(-1) }),
                resource: Some(pb::Resource { memory: Some(-1), virtual_cores: Some(-1), ..Default::default() }),
                ..Default::default()
            };
            let answer = pb::AllocateResponse { allocated_containers: vec![container], response_id: Some(3), ..Default::default() };
            let mut bytes = answer.encode_to_vec();
            let index = at.index(bytes.len());
            bytes[index] = value;
            bytes.truncate(cut.index(bytes.len() + 1));
            decode(&bytes);
        }
    }
}
