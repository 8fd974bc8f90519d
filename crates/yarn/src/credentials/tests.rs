//! Token files byte for byte, and hostile ones.

use super::*;
use proptest::prelude::*;

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

/// A master's token file as a ResourceManager 3.4.3 wrote it: AMRM token, then what the client had put in.
fn masters_file() -> Vec<u8> {
    let mut file = b"HDTS\x00\x02\x00\x1a".to_vec();
    file.extend(unhex("0a0d0a09080410deef83e89f34100110c8afc983fdffffffff01"));
    file.push(20);
    file.extend(unhex("c5bcdd168e31241dc5eb46f1831f2ccf906d237a"));
    file.extend(b"\x10YARN_AM_RM_TOKEN\x00\x07myalias\x02id\x02pw\x06MYKIND\x091.2.3.4:5\x01\x03sec\x03xyz");
    file
}

#[test]
fn reads_and_rewrites_a_masters_file_byte_for_byte() {
    let credentials = Credentials::decode(&masters_file()).unwrap();
    let token = credentials.token_of_kind(AM_RM_TOKEN).unwrap();
    assert_eq!((token.service.as_str(), token.password.len()), ("", 20));
    assert_eq!(credentials.token_for("MYKIND", "1.2.3.4:5").unwrap().identifier, "id");
    assert_eq!(credentials.secret("sec"), Some(b"xyz".as_slice()));
    assert_eq!(credentials.encode(), masters_file());
}

#[test]
fn an_empty_set_is_seven_bytes() {
    assert_eq!(Credentials::new().encode(), unhex("48 44 54 53 00 00 00"));
}

#[test]
fn protobuf_format_says_the_same() {
    let credentials = Credentials::decode(&masters_file()).unwrap();
    assert_eq!(Credentials::decode(&credentials.encode_protobuf()).unwrap(), credentials);
}

#[test]
fn the_amrm_token_can_be_taken_out() {
    let mut credentials = Credentials::decode(&masters_file()).unwrap();
    credentials.remove_kind(AM_RM_TOKEN);
    assert!(credentials.token_of_kind(AM_RM_TOKEN).is_none());
    assert_eq!(credentials.tokens().count(), 1);
}

#[test]
fn malformed_files_are_refused_with_the_place() {
    for (bytes, expected) in [
        (b"".to_vec(), "byte 0"),
        (b"HDTS\x07".to_vec(), "format 7 is unknown"),
        (masters_file()[..40].to_vec(), "are left"),
        (b"HDTS\x00\xff".to_vec(), "is no length"),
    ] {
        let error = Credentials::decode(&bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn files_are_private_and_read_back() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokens");
    let credentials = Credentials::decode(&masters_file()).unwrap();
    credentials.write_file(&path).unwrap();
    assert_eq!(Credentials::read_file(&path).unwrap(), credentials);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_token_for_several_resource_managers_fits_each() {
    let mut credentials = Credentials::new();
    let token = Token {
        identifier: Bytes::new(),
        password: Bytes::new(),
        kind: RM_DELEGATION_TOKEN.into(),
        service: "10.0.0.1:8032,10.0.0.2:8032".into(),
    };
    credentials.add_token("rm", token);
    assert!(credentials.token_for(RM_DELEGATION_TOKEN, "10.0.0.2:8032").is_some());
    assert!(credentials.token_for(RM_DELEGATION_TOKEN, "10.0.0.2:80").is_none());
}

proptest! {
    #[test]
    fn no_input_panics(mut bytes: Vec<u8>, known: bool, format in 0u8..3) {
        if known {
            bytes.splice(0..0, [MAGIC.as_slice(), &[format]].concat());
        }
        let _ = Credentials::decode(&bytes);
    }

    #[test]
    fn no_truncation_or_flip_panics(cut in 0usize..140, at in 0usize..140, value: u8) {
        let mut bytes = masters_file();
        let at = at.min(bytes.len() - 1);
        bytes[at] = value;
        bytes.truncate(cut);
        let _ = Credentials::decode(&bytes);
    }
}
