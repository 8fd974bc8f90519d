//! DIGEST-MD5 security layers (RFC 2831 2.3 and 2.4): integrity, and privacy by 3des or rc4.
//! Owns sequence numbers, MACs and cipher streams of the two directions; never sees a socket.

use super::SaslError;
use des::TdesEde2;
use des::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use hmac::{Hmac, Mac};
use md5::Md5;
use rc4::{Rc4, StreamCipher};

/// A cipher of the privacy layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    /// Two-key triple DES, encrypt-decrypt-encrypt, in CBC mode.
    TripleDes,
    /// RC4 with a 128-bit key.
    Rc4,
}

impl Cipher {
    /// Its name in a challenge.
    pub fn name(self) -> &'static str {
        match self {
            Self::TripleDes => "3des",
            Self::Rc4 => "rc4",
        }
    }
}

/// What messages are protected against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Nothing: only the beginning of the connection is authenticated.
    None,
    /// Alteration and replay.
    Integrity,
    /// These, and reading.
    Privacy(Cipher),
}

impl Protection {
    /// Its name in a challenge (`qop`).
    pub fn qop(self) -> &'static str {
        match self {
            Self::None => "auth",
            Self::Integrity => "auth-int",
            Self::Privacy(_) => "auth-conf",
        }
    }
}

/// Bytes of the (shortened) MAC.
const MAC_LENGTH: usize = 10;
/// Bytes after the MAC: message type 1 and the sequence number.
const TRAILER_LENGTH: usize = 6;
/// Block length of DES, bytes.
const BLOCK: usize = 8;

/// The state of one direction's cipher.
enum Stream {
    TripleDes { cipher: Box<TdesEde2>, chain: [u8; BLOCK] },
    Rc4(Box<Rc4>),
}

impl Stream {
    fn new(cipher: Cipher, key: [u8; 16]) -> Self {
        match cipher {
            Cipher::Rc4 => Self::Rc4(Box::new(rc4(&key))),
            Cipher::TripleDes => {
                let mut chain = [0; BLOCK];
                chain.copy_from_slice(&key[8..]);
                Self::TripleDes { cipher: Box::new(triple_des(&key)), chain }
            }
        }
    }

    /// Bytes of padding (each of that value) that `length` bytes and a MAC need; 0 for a stream cipher.
    fn padding(&self, length: usize) -> usize {
        match self {
            Self::Rc4(_) => 0,
            Self::TripleDes { .. } => BLOCK - (length + MAC_LENGTH) % BLOCK,
        }
    }

    fn encrypt(&mut self, data: &mut [u8]) {
        match self {
            Self::Rc4(cipher) => cipher.apply_keystream(data),
            Self::TripleDes { cipher, chain } => {
                for block in data.chunks_exact_mut(BLOCK) {
                    block.iter_mut().zip(&*chain).for_each(|(byte, mask)| *byte ^= mask);
                    let mut value = as_block(block);
                    cipher.encrypt_block(&mut value);
                    block.copy_from_slice(&value);
                    chain.copy_from_slice(&value);
                }
            }
        }
    }

    fn decrypt(&mut self, data: &mut [u8]) {
        match self {
            Self::Rc4(cipher) => cipher.apply_keystream(data),
            Self::TripleDes { cipher, chain } => {
                for block in data.chunks_exact_mut(BLOCK) {
                    let encrypted = as_block(block);
                    let mut value = encrypted;
                    cipher.decrypt_block(&mut value);
                    block
                        .iter_mut()
                        .zip(value.iter().zip(&*chain))
                        .for_each(|(byte, (plain, mask))| *byte = plain ^ mask);
                    chain.copy_from_slice(&encrypted);
                }
            }
        }
    }
}

fn as_block(bytes: &[u8]) -> Block<TdesEde2> {
    let mut block = Block::<TdesEde2>::default();
    block.copy_from_slice(bytes);
    block
}

fn rc4(key: &[u8; 16]) -> Rc4 {
    // Any key of 1 to 256 bytes is accepted, and this one has 16.
    Rc4::new_from_slice(key).unwrap_or_else(|_| Rc4::new(&Default::default()))
}

/// K1 and K2 are the first and second seven bytes of the key, each spread over eight with a parity bit.
fn triple_des(key: &[u8; 16]) -> TdesEde2 {
    let mut keys = [0; 16];
    keys[..8].copy_from_slice(&spread(&key[..7]));
    keys[8..].copy_from_slice(&spread(&key[7..14]));
    TdesEde2::new(&keys.into())
}

/// Seven bytes as eight of seven bits each, the lowest bit left for (odd) parity.
fn spread(seven: &[u8]) -> [u8; 8] {
    let bits = seven.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    std::array::from_fn(|at| {
        let byte = ((bits >> (7 * (7 - at))) as u8 & 0x7f) << 1;
        byte | u8::from(byte.count_ones().is_multiple_of(2))
    })
}

fn mac(key: &[u8; 16], sequence: u32, message: &[u8]) -> [u8; MAC_LENGTH] {
    // A 16-byte key is shorter than HMAC-MD5's block and so always accepted, padded with zeros.
    let mut block = [0; 64];
    block[..16].copy_from_slice(key);
    let mut mac = <Hmac<Md5> as hmac::KeyInit>::new(&block.into());
    mac.update(&sequence.to_be_bytes());
    mac.update(message);
    let digest = mac.finalize().into_bytes();
    std::array::from_fn(|at| digest[at])
}

/// Protects what is sent.
pub struct Sealer {
    key: [u8; 16],
    stream: Option<Stream>,
    sequence: u32,
}

impl Sealer {
    pub(super) fn new(key: [u8; 16], cipher: Option<(Cipher, [u8; 16])>) -> Self {
        Self { key, stream: cipher.map(|(cipher, key)| Stream::new(cipher, key)), sequence: 0 }
    }

    /// The protected form of `message`; the order of calls is the order of sending.
    pub fn seal(&mut self, message: &[u8]) -> Vec<u8> {
        let mac = mac(&self.key, self.sequence, message);
        let padding = self.stream.as_ref().map_or(0, |stream| stream.padding(message.len()));
        let mut out = message.to_vec();
        out.resize(message.len() + padding, padding as u8);
        out.extend_from_slice(&mac);
        if let Some(stream) = &mut self.stream {
            stream.encrypt(&mut out);
        }
        out.extend_from_slice(&[0, 1]);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        out
    }
}

/// Checks and opens what is received.
pub struct Opener {
    key: [u8; 16],
    stream: Option<Stream>,
    sequence: u32,
}

impl Opener {
    pub(super) fn new(key: [u8; 16], cipher: Option<(Cipher, [u8; 16])>) -> Self {
        Self { key, stream: cipher.map(|(cipher, key)| Stream::new(cipher, key)), sequence: 0 }
    }

    /// The message that `sealed` protects; messages must be opened in the order of their arrival.
    ///
    /// # Errors
    /// [`SaslError::Integrity`]: the connection must then be given up.
    pub fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, SaslError> {
        let body = sealed.len().checked_sub(TRAILER_LENGTH).ok_or(SaslError::Integrity("it is too short"))?;
        let (body, trailer) = sealed.split_at(body);
        if trailer[..2] != [0, 1] || trailer[2..] != self.sequence.to_be_bytes() {
            return Err(SaslError::Integrity("it is out of sequence"));
        }
        let mut body = body.to_vec();
        let message_length = self.uncover(&mut body)?;
        let received = body.len() - MAC_LENGTH;
        let expected = mac(&self.key, self.sequence, &body[..message_length]);
        let differences = expected.iter().zip(&body[received..]).fold(0, |sum, (a, b)| sum | (a ^ b));
        if differences != 0 {
            return Err(SaslError::Integrity("its authentication code is wrong"));
        }
        self.sequence = self.sequence.wrapping_add(1);
        body.truncate(message_length);
        Ok(body)
    }

    /// Decrypts in place and tells how long the message in it is.
    fn uncover(&mut self, body: &mut [u8]) -> Result<usize, SaslError> {
        let Some(stream) = &mut self.stream else {
            return body.len().checked_sub(MAC_LENGTH).ok_or(SaslError::Integrity("it is too short"));
        };
        stream.decrypt(body);
        let padded = body.len().checked_sub(MAC_LENGTH).ok_or(SaslError::Integrity("it is too short"))?;
        if matches!(stream, Stream::Rc4(_)) {
            return Ok(padded);
        }
        if !body.len().is_multiple_of(BLOCK) || padded == 0 {
            return Err(SaslError::Integrity("it is no whole number of blocks"));
        }
        let padding = usize::from(body[padded - 1]);
        let message = padded.checked_sub(padding).filter(|_| (1..=BLOCK).contains(&padding));
        message.ok_or(SaslError::Integrity("its padding is wrong"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(cipher: Option<Cipher>) -> (Sealer, Opener) {
        let keys = cipher.map(|cipher| (cipher, *b"0123456789abcdef"));
        (Sealer::new([7; 16], keys), Opener::new([7; 16], keys))
    }

    const ALL: [Option<Cipher>; 3] = [None, Some(Cipher::TripleDes), Some(Cipher::Rc4)];

    #[test]
    fn keys_are_spread_with_odd_parity() {
        let spread = spread(&[0xff, 0, 0xff, 0, 0xff, 0, 0xff]);
        assert!(spread.iter().all(|byte| byte.count_ones() % 2 == 1));
        assert_eq!(spread[0], 0xfe);
    }

    #[test]
    fn replays_and_alterations_are_refused() {
        for cipher in ALL {
            let (mut sealer, mut opener) = pair(cipher);
            let first = sealer.seal(b"first");
            assert_eq!(opener.open(&first).unwrap(), b"first");
            assert!(opener.open(&first).is_err(), "a replay");
            let mut altered = sealer.seal(b"second");
            altered[0] ^= 1;
            assert!(opener.open(&altered).is_err(), "an alteration");
        }
    }

    proptest! {
        #[test]
        fn messages_arrive_as_they_were(messages: Vec<Vec<u8>>, which in 0usize..3) {
            let (mut sealer, mut opener) = pair(ALL[which]);
            for message in messages {
                let sealed = sealer.seal(&message);
                prop_assert_eq!(opener.open(&sealed).unwrap(), message);
            }
        }

        #[test]
        fn no_input_panics(mut bytes: Vec<u8>, which in 0usize..3) {
            let _ = pair(ALL[which]).1.open(&bytes);
            bytes.extend([0, 1, 0, 0, 0, 0]);
            let _ = pair(ALL[which]).1.open(&bytes);
        }
    }
}
