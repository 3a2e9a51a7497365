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
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

/// Verified tokens that are remembered.
const VERIFIED_MAX: usize = 100_000;
/// Public keys that are held.
const KEYS_MAX: usize = 16;

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
        let random = ring::rand::SystemRandom::new();
        let document = Ed25519KeyPair::generate_pkcs8(&random)
            .map_err(|_| anyhow::anyhow!("the system gives no randomness"))?;
        let text = STANDARD.encode(document.as_ref());
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
        let verified = self.verify_signature(token)?;
        if now >= verified.expires_at {
            return Err(TokenError::Expired);
        }
        self.verified.insert(token.to_owned(), verified);
        Ok(verified)
    }

    fn verify_signature(&self, token: &str) -> Result<Verified, TokenError> {
        install_crypto();
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        if header.alg != Algorithm::EdDSA {
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
        // The clock is ours, so that tests can move it.
        validation.validate_exp = false;
        validation.validate_aud = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation)
            .map_err(|_| TokenError::Invalid)?
            .claims;
        let user = UserId::from_client(claims.user_id).ok_or(TokenError::Invalid)?;
        if claims.token_type != "access" || claims.sub != user.to_string() {
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
