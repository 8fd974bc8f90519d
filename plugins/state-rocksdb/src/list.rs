//! Lists as values, and how RocksDB adds to one without reading it: what is added lies beside the list until somebody reads it, or
//! a compaction comes by.
//!
//! A list is the number of its elements as a varint (groups of seven bits, the lowest first) and then the elements. Where one
//! element ends is not known here, and need not be.

/// The name by which RocksDB knows this way of adding: it is written into its files.
pub const NAME: &str = "kvick.list";

/// The number at the front, and what follows it.
fn split(list: &[u8]) -> Option<(u64, &[u8])> {
    let mut count = 0_u64;
    for (index, byte) in list.iter().enumerate().take(10) {
        count |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((count, &list[index + 1..]));
        }
    }
    None
}

fn put_count(out: &mut Vec<u8>, mut count: u64) {
    while count >= 0x80 {
        out.push(count as u8 | 0x80);
        count >>= 7;
    }
    out.push(count as u8);
}

/// One list of several, in order; none if one of them is no list.
pub fn join(lists: &[&[u8]]) -> Option<Vec<u8>> {
    let (mut count, mut length) = (0_u64, 10);
    for list in lists {
        let (elements, rest) = split(list)?;
        count = count.checked_add(elements)?;
        length += rest.len();
    }
    let mut joined = Vec::with_capacity(length);
    put_count(&mut joined, count);
    for list in lists {
        joined.extend_from_slice(split(list)?.1);
    }
    Some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_elements_keep_their_order() {
        let many: Vec<u8> = [vec![0xc8, 0x01], vec![7; 200]].concat();
        let lists: [&[u8]; 3] = [&[2, b'a', b'b'], &[0], &many];
        let joined = join(&lists).expect("these are lists");
        assert_eq!(joined[..4], [0xca, 0x01, b'a', b'b']);
        assert_eq!(joined.len(), 2 + 202);
        assert_eq!(join(&[&[0xff; 11]]), None);
        assert_eq!(join(&[&[]]), None);
    }
}
