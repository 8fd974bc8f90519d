//! DIGEST-MD5 (RFC 2831) as Hadoop uses it for tokens: challenge in, response and session out.
//! Owns the computation of responses and keys; the protection of messages is [`layer`](super::layer)'s.

use super::SaslError;
use super::layer::{Cipher, Opener, Protection, Sealer};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest, Md5};
use std::collections::HashMap;

/// Longest challenge looked at, bytes; RFC 2831 2.1.1 allows 2048.
const MAX_CHALLENGE: usize = 4096;

/// What the password proves: base64 of a token's identifier and password (Hadoop `SaslRpcClient.SaslClientCallbackHandler`).
pub struct Secret {
    username: String,
    password: String,
}

impl Secret {
    /// The secret that a token is.
    pub fn from_token(identifier: &[u8], password: &[u8]) -> Self {
        Self { username: BASE64.encode(identifier), password: BASE64.encode(password) }
    }
}

/// The server's challenge (RFC 2831 2.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    realm: String,
    nonce: String,
    qop: String,
    cipher: String,
}

impl Challenge {
    /// Reads `name=value,name="value",…`.
    ///
    /// # Errors
    /// [`SaslError::Challenge`] when it is no such list, has no nonce or wants another algorithm.
    pub fn parse(bytes: &[u8]) -> Result<Self, SaslError> {
        if bytes.len() > MAX_CHALLENGE {
            return Err(SaslError::Challenge(format!("{} bytes are too many", bytes.len())));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| SaslError::Challenge("it is not UTF-8".into()))?;
        let mut directives = directives(text)?;
        let algorithm = directives.remove("algorithm").unwrap_or_default();
        if algorithm != "md5-sess" {
            return Err(SaslError::Challenge(format!("algorithm '{algorithm}' is not md5-sess")));
        }
        let nonce =
            directives.remove("nonce").ok_or_else(|| SaslError::Challenge("it has no nonce".into()))?;
        Ok(Self {
            realm: directives.remove("realm").unwrap_or_default(),
            nonce,
            qop: directives.remove("qop").unwrap_or_else(|| "auth".to_owned()),
            cipher: directives.remove("cipher").unwrap_or_default(),
        })
    }

    fn protection(&self) -> Result<Protection, SaslError> {
        let offers = |list: &str, name: &str| list.split(',').any(|offered| offered.trim() == name);
        if offers(&self.qop, "auth-conf") {
            let known = [("3des", Cipher::TripleDes), ("rc4", Cipher::Rc4)];
            let cipher = known.into_iter().find(|(name, _)| offers(&self.cipher, name));
            return cipher.map(|(_, cipher)| Protection::Privacy(cipher)).ok_or_else(|| {
                SaslError::NoCommonProtection {
                    what: "cipher",
                    offered: self.cipher.clone(),
                    known: "3des, rc4",
                }
            });
        }
        let known = [("auth-int", Protection::Integrity), ("auth", Protection::None)];
        let found =
            known.into_iter().find(|(name, _)| offers(&self.qop, name)).map(|(_, protection)| protection);
        found.ok_or_else(|| SaslError::NoCommonProtection {
            what: "qop",
            offered: self.qop.clone(),
            known: "auth, auth-int, auth-conf",
        })
    }
}

/// Splits the directives; a quoted value may hold commas and backslash-escaped characters.
fn directives(mut text: &str) -> Result<HashMap<String, String>, SaslError> {
    let mut found = HashMap::new();
    while !text.trim().is_empty() {
        let (name, rest) =
            text.split_once('=').ok_or_else(|| SaslError::Challenge(format!("no '=' in '{text}'")))?;
        let (value, rest) = value(rest)?;
        found.insert(name.trim_matches([',', ' ']).to_ascii_lowercase(), value);
        text = rest;
    }
    Ok(found)
}

/// The value that `text` begins with, and what follows.
fn value(text: &str) -> Result<(String, &str), SaslError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_once(',').unwrap_or((text, ""));
        return Ok((value.trim().to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, quoted[at + 1..].trim_start_matches([' ', ',']))),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    Err(SaslError::Challenge("a quoted value does not end".into()))
}

/// An answered challenge: what to check the server's last word against, and the keys of what follows.
pub struct Session {
    response: String,
    expected: String,
    session_key: [u8; 16],
    protection: Protection,
}

/// The md5 of the concatenation of `parts`.
fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Session {
    /// Answers a challenge with the strongest protection that it offers. `uri` is `<protocol>/<server id>` of the
    /// server's offer; `cnonce` must be fresh and random.
    ///
    /// # Errors
    /// [`SaslError::NoCommonProtection`].
    pub fn answer(
        challenge: &Challenge,
        secret: &Secret,
        uri: &str,
        cnonce: &str,
    ) -> Result<Self, SaslError> {
        let protection = challenge.protection()?;
        let Challenge { realm, nonce, .. } = challenge;
        let Secret { username, password } = secret;
        let user = md5(&[username.as_bytes(), b":", realm.as_bytes(), b":", password.as_bytes()]);
        let session_key = md5(&[&user, b":", nonce.as_bytes(), b":", cnonce.as_bytes()]);
        let qop = protection.qop();
        let tail = if qop == "auth" { String::new() } else { format!(":{}", "0".repeat(32)) };
        let proof = |method: &str| {
            let target = hex(&md5(&[format!("{method}:{uri}{tail}").as_bytes()]));
            let text = format!("{}:{nonce}:00000001:{cnonce}:{qop}:{target}", hex(&session_key));
            hex(&md5(&[text.as_bytes()]))
        };
        let mut response = format!(
            "charset=utf-8,username=\"{username}\",realm=\"{realm}\",nonce=\"{nonce}\",nc=00000001,cnonce=\"{cnonce}\",\
             digest-uri=\"{uri}\",maxbuf=65536,response={},qop={qop}",
            proof("AUTHENTICATE")
        );
        if let Protection::Privacy(cipher) = protection {
            response.push_str(&format!(",cipher=\"{}\"", cipher.name()));
        }
        Ok(Self { response, expected: format!("rspauth={}", proof("")), session_key, protection })
    }

    /// The response to send.
    pub fn response(&self) -> &str {
        &self.response
    }

    /// What the server has to prove itself with.
    #[cfg(test)]
    pub(crate) fn expected(&self) -> &str {
        &self.expected
    }

    /// Checks the server's proof and gives the layers for what follows; `None` when messages go unprotected.
    ///
    /// # Errors
    /// [`SaslError::ServerNotAuthenticated`].
    pub fn finish(self, server: &[u8]) -> Result<Option<(Sealer, Opener)>, SaslError> {
        if server != self.expected.as_bytes() {
            return Err(SaslError::ServerNotAuthenticated);
        }
        Ok(match self.protection {
            Protection::None => None,
            Protection::Integrity => Some(self.layers(None)),
            Protection::Privacy(cipher) => Some(self.layers(Some(cipher))),
        })
    }

    fn layers(&self, cipher: Option<Cipher>) -> (Sealer, Opener) {
        let signing =
            |direction| self.key(&format!("Digest session key to {direction} signing key magic constant"));
        let sealing =
            |direction| self.key(&format!("Digest H(A1) to {direction} sealing key magic constant"));
        let (out, back) = ("client-to-server", "server-to-client");
        (
            Sealer::new(signing(out), cipher.map(|cipher| (cipher, sealing(out)))),
            Opener::new(signing(back), cipher.map(|cipher| (cipher, sealing(back)))),
        )
    }

    /// RFC 2831 2.3 and 2.4; for the ciphers known here the whole session key goes into the sealing key.
    fn key(&self, constant: &str) -> [u8; 16] {
        md5(&[&self.session_key, constant.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IDENTIFIER: &str = "0a0d0a09080310deef83e89f34100110c8afc983fdffffffff01";
    const PASSWORD: &str = "c5bcdd168e31241dc5eb46f1831f2ccf906d237a";
    const NONCE: &str = "pUhdDy6JwcNDafOsqNqnr1fNtGfthw5cuM5f7mJ1";

    fn unhex(text: &str) -> Vec<u8> {
        let pair = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(pair).collect()
    }

    fn secret() -> Secret {
        Secret::from_token(&unhex(IDENTIFIER), &unhex(PASSWORD))
    }

    fn challenge(qop: &str) -> String {
        format!(
            "realm=\"default\",nonce=\"{NONCE}\",qop=\"{qop}\",charset=utf-8,algorithm=md5-sess,cipher=\"3des,rc4,des\""
        )
    }

    /// A registration with a ResourceManager 3.4.3, as it went over the wire.
    #[test]
    fn response_and_server_proof_are_the_recorded_ones() {
        let text =
            format!("realm=\"default\",nonce=\"{NONCE}\",qop=\"auth\",charset=utf-8,algorithm=md5-sess");
        let challenge = Challenge::parse(text.as_bytes()).unwrap();
        let session = Session::answer(&challenge, &secret(), "/default", "KTVAviW8zfobzNNMpRa1cQ==").unwrap();
        let expected = format!(
            "charset=utf-8,username=\"Cg0KCQgDEN7vg+ifNBABEMivyYP9/////wE=\",realm=\"default\",nonce=\"{NONCE}\",nc=00000001,\
             cnonce=\"KTVAviW8zfobzNNMpRa1cQ==\",digest-uri=\"/default\",maxbuf=65536,response=fcfb40520146513d5306a9d4b581c38a,qop=auth"
        );
        assert_eq!(session.response(), expected);
        assert!(session.finish(b"rspauth=019b0552ab14957048578f89ab90116c").unwrap().is_none());
    }

    #[test]
    fn a_server_without_the_password_is_refused() {
        let challenge = Challenge::parse(challenge("auth").as_bytes()).unwrap();
        let session = Session::answer(&challenge, &secret(), "/default", "c").unwrap();
        let refused = session.finish(b"rspauth=00000000000000000000000000000000").err();
        assert_eq!(refused, Some(SaslError::ServerNotAuthenticated));
    }

    #[test]
    fn the_strongest_offered_protection_is_taken() {
        for (offered, taken) in [
            ("auth,auth-int,auth-conf", Protection::Privacy(Cipher::TripleDes)),
            ("auth-int,auth", Protection::Integrity),
            ("auth", Protection::None),
        ] {
            assert_eq!(Challenge::parse(challenge(offered).as_bytes()).unwrap().protection().unwrap(), taken);
        }
        let weak = challenge("auth-conf").replace("3des,rc4,des", "des,rc4-40");
        let error = Challenge::parse(weak.as_bytes()).unwrap().protection().unwrap_err().to_string();
        assert!(error.contains("'des,rc4-40'"), "{error}");
    }

    #[test]
    fn quoted_values_may_hold_commas_and_escapes() {
        let parsed = Challenge::parse(br#"nonce="a,\"b\\",realm="r",algorithm=md5-sess"#).unwrap();
        assert_eq!((parsed.nonce.as_str(), parsed.realm.as_str()), ("a,\"b\\", "r"));
    }

    proptest! {
        #[test]
        fn no_challenge_panics(text in "[a-z=\",\\\\ é]{0,60}") {
            let _ = Challenge::parse(text.as_bytes());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Challenge::parse(&bytes);
        }
    }
}
