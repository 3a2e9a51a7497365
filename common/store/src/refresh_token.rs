//! Refresh tokens: opaque, random, kept as hashes alone.
//!
//! A token's successor is HMAC-SHA256(token, salt), the salt being kept: so the same successor
//! can be given again to whoever still holds the token, and to nobody else, not even to someone
//! who reads the database.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// A refresh token as its holder has it.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(String);

/// What a token's successor is derived with, besides the token.
pub type Salt = [u8; 32];

impl RefreshToken {
    /// A new token of 32 random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(random))
    }

    /// A text that a client presents as one.
    pub fn presented(text: String) -> Self {
        Self(text)
    }

    /// The text to hand to its holder.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }

    pub(crate) fn successor(&self, salt: &[u8]) -> Result<Self> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes())
            .map_err(|error| Error::Bug(error.to_string()))?;
        mac.update(salt);
        Ok(Self(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())))
    }
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::RefreshToken;

    #[test]
    fn a_successor_follows_from_token_and_salt_alone() {
        let token = RefreshToken::new([7; 32]);
        let successor = token.successor(&[1; 32]).unwrap();
        assert_eq!(successor, token.successor(&[1; 32]).unwrap());
        assert_ne!(successor, token.successor(&[2; 32]).unwrap());
        assert_ne!(successor, RefreshToken::new([8; 32]).successor(&[1; 32]).unwrap());
        assert_eq!(successor.reveal().len(), 43);
    }
}
