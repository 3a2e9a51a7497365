//! Access tokens: JWTs (RFC 7519) signed with Ed25519 (RFC 8037).
//!
//! The api signs with the first key of its file and publishes all public keys; every node
//! verifies by itself. A verified token is remembered until it expires, since an Ed25519 check
//! costs some 50 µs that a send must not pay each time.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use domain::{Caller, LoginId, Timestamp, UserId};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error as JwtError, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use parking_lot::RwLock;
use ring::rand::SecureRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

/// Verified tokens that are remembered.
const VERIFIED_MAX: usize = 100_000;
/// Public keys that are held.
const KEYS_MAX: usize = 16;

/// The issuer and the audience of our tokens. Tokens without either are accepted, since older
/// versions signed such; tokens that name others are refused.
const OURS: &str = "chatboard";
/// Seconds by which a token may begin in the future: two nodes' clocks may differ as much.
const CLOCK_LEEWAY_SECONDS: i64 = 60;
/// What stands before the 32 bytes of an Ed25519 key in PKCS#8 (RFC 8410, section 7). Version 1, without
/// the public key: OpenSSL 3.0 reads no other.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// What an access token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Claims {
    user_id: i64,
    sub: String,
    sid: LoginId,
    jti: String,
    iat: i64,
    exp: i64,
    token_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aud: Option<Audience>,
}

/// RFC 7519, section 4.1.3: one, or several.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Claims {
    /// Whether the token is for us and from us, and has begun to be valid. When it was issued says
    /// nothing: the clock of the node that signed it may be wrong.
    fn is_ours(&self, now: Timestamp) -> bool {
        let is_for_us = match &self.aud {
            None => true,
            Some(Audience::One(one)) => one == OURS,
            Some(Audience::Several(all)) => all.iter().any(|one| one == OURS),
        };
        let latest_begin = now.unix_seconds().saturating_add(CLOCK_LEEWAY_SECONDS);
        is_for_us
            && self.iss.as_deref().is_none_or(|issuer| issuer == OURS)
            && self.nbf.is_none_or(|begin| begin <= latest_begin)
    }
}

/// A verified access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose it is.
    pub caller: Caller,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// Why a token is no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was good once.
    #[error("the token has expired")]
    Expired,
    /// Its `kid` names no key that we hold: fetch the keys and try again.
    #[error("the token's key is unknown")]
    UnknownKey,
    /// It is no access token of ours.
    #[error("the token is invalid")]
    Invalid,
}

/// The keys that sign: PKCS#8 (RFC 8410), PEM. The first signs, the others only verify what they
/// signed before a rotation.
pub struct SigningKeys {
    kid: String,
    encoding: EncodingKey,
    public: PublicKeys,
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKeys({})", self.kid)
    }
}

impl SigningKeys {
    /// A new key as the text of a key file.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> anyhow::Result<String> {
        let mut seed = [0; 32];
        ring::rand::SystemRandom::new()
            .fill(&mut seed)
            .map_err(|_| anyhow::anyhow!("the system gives no randomness"))?;
        let text = STANDARD.encode([&PKCS8_PREFIX[..], &seed].concat());
        let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
        for line in text.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok(pem)
    }

    /// Reads the text of a key file: one or more PEM blocks.
    ///
    /// # Errors
    /// When there is no key in it, or one that is no Ed25519 key.
    pub fn parse(pem: &str) -> anyhow::Result<Self> {
        let mut keys = Vec::new();
        for block in pem.split("-----BEGIN PRIVATE KEY-----").skip(1) {
            let body = block.split("-----END PRIVATE KEY-----").next().unwrap_or_default();
            let text: String = body.split_whitespace().collect();
            let der = STANDARD.decode(text)?;
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der)
                .map_err(|_| anyhow::anyhow!("a key in the file is no Ed25519 key in PKCS#8"))?;
            keys.push((der, Jwk::of(pair.public_key().as_ref())));
        }
        let Some((der, jwk)) = keys.first() else {
            anyhow::bail!("the file holds no PEM block of a private key");
        };
        Ok(Self {
            kid: jwk.kid.clone(),
            encoding: EncodingKey::from_ed_der(der),
            public: PublicKeys { keys: keys.iter().map(|(_, jwk)| jwk.clone()).collect() },
        })
    }

    /// Signs an access token for `lifetime` from `now`; `id` is its `jti`.
    ///
    /// # Errors
    /// When the key cannot sign, which a parsed key always can.
    pub fn sign(
        &self,
        caller: Caller,
        id: String,
        now: Timestamp,
        lifetime: Duration,
    ) -> anyhow::Result<String> {
        install_crypto();
        let claims = Claims {
            user_id: caller.user.0,
            sub: caller.user.to_string(),
            sid: caller.login,
            jti: id,
            iat: now.unix_seconds(),
            exp: (now + lifetime).unix_seconds(),
            token_type: "access".to_owned(),
            nbf: None,
            iss: Some(OURS.to_owned()),
            aud: Some(Audience::One(OURS.to_owned())),
        };
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        Ok(jsonwebtoken::encode(&header, &claims, &self.encoding)?)
    }

    /// The public halves.
    pub fn public(&self) -> &PublicKeys {
        &self.public
    }
}

/// A JWK set (RFC 7517) of Ed25519 keys (RFC 8037).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeys {
    keys: Vec<Jwk>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    #[serde(rename = "use")]
    usage: String,
    alg: String,
    kid: String,
    x: String,
}

impl Jwk {
    /// The `kid` is the key's thumbprint (RFC 7638).
    fn of(public: &[u8]) -> Self {
        let x = URL_SAFE_NO_PAD.encode(public);
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let digest = ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes());
        Self {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            usage: "sig".to_owned(),
            alg: "EdDSA".to_owned(),
            kid: URL_SAFE_NO_PAD.encode(digest.as_ref()),
            x,
        }
    }
}

/// Verifies access tokens. Clones share keys and memory.
#[derive(Clone)]
pub struct Verifier {
    keys: Arc<RwLock<PublicKeys>>,
    verified: Arc<quick_cache::sync::Cache<String, Verified>>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier")
    }
}

impl Verifier {
    /// A verifier that trusts these keys.
    pub fn new(keys: PublicKeys) -> Self {
        Self {
            keys: Arc::new(RwLock::new(keys)),
            verified: Arc::new(quick_cache::sync::Cache::new(VERIFIED_MAX)),
        }
    }

    /// Trusts these keys from now on, and no others.
    pub fn trust(&self, mut keys: PublicKeys) {
        keys.keys.truncate(KEYS_MAX);
        let mut held = self.keys.write();
        if *held != keys {
            *held = keys;
            self.verified.clear();
        }
    }

    /// Verifies an access token. Whether its login was revoked is asked elsewhere.
    ///
    /// # Errors
    /// `Expired`, `UnknownKey`, `Invalid`.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, TokenError> {
        if let Some(verified) = self.verified.get(token) {
            if now < verified.expires_at {
                return Ok(verified);
            }
            self.verified.remove(token);
            return Err(TokenError::Expired);
        }
        let verified = self.verify_signature(token, now)?;
        if now >= verified.expires_at {
            return Err(TokenError::Expired);
        }
        self.verified.insert(token.to_owned(), verified);
        Ok(verified)
    }

    fn verify_signature(&self, token: &str, now: Timestamp) -> Result<Verified, TokenError> {
        install_crypto();
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        let is_jwt = header.typ.as_deref().is_none_or(|typ| {
            ["JWT", "at+jwt", "application/at+jwt"]
                .iter()
                .any(|ours| typ.eq_ignore_ascii_case(ours))
        });
        if header.alg != Algorithm::EdDSA || !is_jwt {
            return Err(TokenError::Invalid);
        }
        let kid = header.kid.ok_or(TokenError::Invalid)?;
        let x = {
            let keys = self.keys.read();
            let key = keys.keys.iter().find(|key| key.kid == kid).ok_or(TokenError::UnknownKey)?;
            key.x.clone()
        };
        let key = DecodingKey::from_ed_components(&x).map_err(|_| TokenError::Invalid)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_required_spec_claims(&["exp", "sub"]);
        // The clock is ours, so that tests can move it; `is_ours` looks at the rest.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation)
            .map_err(|_| TokenError::Invalid)?
            .claims;
        let user = UserId::from_client(claims.user_id).ok_or(TokenError::Invalid)?;
        let is_access = claims.token_type == "access" && claims.sub == user.to_string();
        if !is_access || !claims.is_ours(now) {
            return Err(TokenError::Invalid);
        }
        let expires_at = Timestamp::from_unix_seconds(claims.exp).ok_or(TokenError::Invalid)?;
        Ok(Verified { caller: Caller { user, login: claims.sid }, expires_at })
    }
}

/// Ed25519 by ring, which the process holds for TLS anyway; every other algorithm is refused.
static CRYPTO: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| match algorithm {
        Algorithm::EdDSA => Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.as_bytes())
            .map(|pair| Box::new(Signer(pair)) as Box<dyn JwtSigner>)
            .map_err(|_| JwtError::from(ErrorKind::InvalidEddsaKey)),
        _ => Err(JwtError::from(ErrorKind::InvalidAlgorithm)),
    },
    verifier_factory: |algorithm, key| match algorithm {
        Algorithm::EdDSA => {
            let public = key.try_get_as_bytes()?.to_vec();
            Ok(Box::new(SignatureVerifier(UnparsedPublicKey::new(&ED25519, public))))
        }
        _ => Err(JwtError::from(ErrorKind::InvalidAlgorithm)),
    },
    key_utils: KeyUtils::new_unimplemented(),
};

fn install_crypto() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let _ = CRYPTO.install_default();
    });
}

struct Signer(Ed25519KeyPair);

impl signature::Signer<Vec<u8>> for Signer {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct SignatureVerifier(UnparsedPublicKey<Vec<u8>>);

impl signature::Verifier<Vec<u8>> for SignatureVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.0.verify(message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for SignatureVerifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{Caller, LoginId, Timestamp, UserId};
    use jsonwebtoken::{Algorithm, Header};

    use super::{Audience, Claims, SigningKeys, TokenError, Verifier, install_crypto};

    const NOW: i64 = 1_800_000_000;

    fn now() -> Timestamp {
        Timestamp::from_unix_seconds(NOW).unwrap()
    }

    fn keys() -> SigningKeys {
        SigningKeys::parse(&SigningKeys::generate().unwrap()).unwrap()
    }

    /// A token as the first version signed it, with a change.
    fn signed(keys: &SigningKeys, typ: Option<&str>, change: impl FnOnce(&mut Claims)) -> String {
        install_crypto();
        let mut claims = Claims {
            user_id: 7,
            sub: "7".to_owned(),
            sid: LoginId(9),
            jti: "x".to_owned(),
            iat: NOW,
            exp: NOW + 900,
            token_type: "access".to_owned(),
            nbf: None,
            iss: None,
            aud: None,
        };
        change(&mut claims);
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(keys.kid.clone());
        header.typ = typ.map(str::to_owned);
        jsonwebtoken::encode(&header, &claims, &keys.encoding).unwrap()
    }

    #[test]
    fn tokens_of_before_are_good_and_those_for_others_are_not() {
        let keys = keys();
        let verifier = Verifier::new(keys.public().clone());
        let one = |text: &str| Some(Audience::One(text.to_owned()));
        let good = [
            signed(&keys, Some("JWT"), |_| {}),
            signed(&keys, None, |_| {}),
            signed(&keys, Some("at+jwt"), |claims| claims.nbf = Some(NOW)),
            signed(&keys, Some("jwt"), |claims| claims.iss = Some("chatboard".to_owned())),
            signed(&keys, Some("JWT"), |claims| {
                let both = ["other", "chatboard"].map(str::to_owned).to_vec();
                claims.aud = Some(Audience::Several(both));
            }),
            // Signed by a node whose clock is ahead.
            signed(&keys, Some("JWT"), |claims| claims.iat = NOW + 7_200),
        ];
        for token in &good {
            assert!(verifier.verify(token, now()).is_ok(), "{token}");
        }
        let bad = [
            signed(&keys, Some("secevent+jwt"), |_| {}),
            signed(&keys, Some("JWT"), |claims| claims.iss = Some("other".to_owned())),
            signed(&keys, Some("JWT"), |claims| claims.aud = one("other")),
            signed(&keys, Some("JWT"), |claims| claims.aud = Some(Audience::Several(vec![]))),
            signed(&keys, Some("JWT"), |claims| claims.nbf = Some(NOW + 3_600)),
            signed(&keys, Some("JWT"), |claims| claims.nbf = Some(i64::MAX)),
        ];
        for token in &bad {
            assert_eq!(verifier.verify(token, now()), Err(TokenError::Invalid), "{token}");
        }
    }

    #[test]
    fn what_is_signed_now_says_by_whom_and_for_whom() {
        let keys = keys();
        let caller = Caller { user: UserId(7), login: LoginId(9) };
        let token = keys.sign(caller, "x".to_owned(), now(), Duration::from_secs(900)).unwrap();
        let verifier = Verifier::new(keys.public().clone());
        assert_eq!(verifier.verify(&token, now()).unwrap().caller, caller);
        let claims = jsonwebtoken::dangerous::insecure_decode::<Claims>(&token).unwrap().claims;
        assert_eq!(claims.iss.as_deref(), Some("chatboard"));
        assert!(matches!(claims.aud, Some(Audience::One(aud)) if aud == "chatboard"));
    }
}
