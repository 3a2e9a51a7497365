//! The object store: the only place that knows S3.
//!
//! Bytes of files never pass through ChatBoard. A client puts them under an address that
//! [`Objects::presign_put`] signs for exactly one type, one length and one object that is not
//! there yet, and fetches them under one that [`Objects::presign_get`] signs: the store itself
//! refuses all else. **Invariants:** every call ends in time; no key or signed address is logged.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_smithy_http_client::tls;
use bytes::Bytes;

/// How long a connection to the store may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long one call may take, with its repeats.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// The region that a bucket is in unless another is named.
const FIRST_REGION: &str = "us-east-1";
/// How often a call is tried.
const TRIES: u32 = 2;

/// Where the store is and how it is reached.
#[derive(Clone)]
pub struct Config {
    /// Its address; `None` for Amazon's own in the region.
    pub endpoint: Option<String>,
    /// Its address as clients reach it, where that is another one.
    pub public_endpoint: Option<String>,
    /// The bucket.
    pub bucket: String,
    /// The region.
    pub region: String,
    /// The id of the key.
    pub access_key: String,
    /// The key. Never logged.
    pub secret_key: String,
    /// Whether the bucket stands in the path, not in the host.
    pub has_path_style: bool,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("endpoint", &self.endpoint)
            .field("public_endpoint", &self.public_endpoint)
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

/// Why the store did not do what it was asked for.
#[derive(Clone, Debug)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// What the store tells of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes.
    pub size: i64,
    /// The type that it was put with.
    pub content_type: String,
}

/// An address under which a client may put one object.
#[derive(Clone, Debug)]
pub struct Put {
    /// The address.
    pub url: String,
    /// Headers that the client must send, besides the length that every client sends by itself.
    pub headers: Vec<(String, String)>,
}

/// Headers of a download, which are part of its signed address.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHeaders<'a> {
    /// `Content-Disposition`.
    pub content_disposition: &'a str,
    /// `Content-Type`; `None` for the type that the object was put with.
    pub content_type: Option<&'a str>,
}

impl Default for ResponseHeaders<'_> {
    fn default() -> Self {
        Self { content_disposition: "attachment", content_type: None }
    }
}

/// The way to one bucket. Clones share it.
#[derive(Clone)]
pub struct Objects(Arc<Inner>);

struct Inner {
    client: Client,
    /// Signs addresses for clients.
    signer: Client,
    bucket: String,
    region: String,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Objects").field(&self.0.bucket).finish()
    }
}

impl Objects {
    /// Makes the way to a bucket. Nothing is asked of the store yet: it may be away, now and later.
    pub fn connect(config: &Config) -> Self {
        let client = client(config, config.endpoint.as_deref());
        let signer = match &config.public_endpoint {
            Some(url) => self::client(config, Some(url)),
            None => client.clone(),
        };
        let (bucket, region) = (config.bucket.clone(), config.region.clone());
        Self(Arc::new(Inner { client, signer, bucket, region }))
    }

    /// Signs an address under which an object of exactly this type and length can be put, once.
    ///
    /// # Errors
    /// When the signature cannot be made.
    pub async fn presign_put(
        &self,
        key: &str,
        (content_type, size): (&str, i64),
        (from, lives): (SystemTime, Duration),
    ) -> anyhow::Result<Put> {
        let request = self
            .0
            .signer
            .put_object()
            .bucket(&self.0.bucket)
            .key(key)
            .content_type(content_type)
            .content_length(size)
            .if_none_match("*")
            .presigned(during(from, lives)?)
            .await
            .context("an address to put under cannot be signed")?;
        let headers = request
            .headers()
            .filter(|(name, _)| !is_sent_by_itself(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Ok(Put { url: request.uri().to_owned(), headers })
    }

    /// Signs an address under which an object can be fetched; the store answers with these
    /// headers.
    ///
    /// # Errors
    /// When the signature cannot be made.
    pub async fn presign_get(
        &self,
        key: &str,
        headers: ResponseHeaders<'_>,
        (from, lives): (SystemTime, Duration),
    ) -> anyhow::Result<String> {
        let request: PresignedRequest = self
            .0
            .signer
            .get_object()
            .bucket(&self.0.bucket)
            .key(key)
            .response_content_disposition(headers.content_disposition)
            .set_response_content_type(headers.content_type.map(str::to_owned))
            .presigned(during(from, lives)?)
            .await
            .context("an address to fetch from cannot be signed")?;
        Ok(request.uri().to_owned())
    }

    /// Scheme, host and port of the addresses that are signed for clients.
    ///
    /// # Errors
    /// When the configured address is no good.
    pub async fn origin(&self) -> anyhow::Result<String> {
        let during = (SystemTime::UNIX_EPOCH, Duration::from_secs(1));
        let url = url::Url::parse(
            &self.presign_get("origin", ResponseHeaders::default(), during).await?,
        )?;
        Ok(url.origin().ascii_serialization())
    }

    /// What the store tells of an object; `None` when it is not there.
    ///
    /// # Errors
    /// When the store does not answer, or refuses.
    pub async fn head(&self, key: &str) -> Result<Option<Head>, Error> {
        let answer = self.0.client.head_object().bucket(&self.0.bucket).key(key).send().await;
        match answer {
            Ok(head) => Ok(Some(Head {
                size: head.content_length().unwrap_or(-1),
                content_type: head.content_type().unwrap_or_default().to_owned(),
            })),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(failed("look at an object", &error)),
        }
    }

    /// The first bytes of an object, at most `max`; none when it is not there.
    ///
    /// # Errors
    /// When the store does not answer, or refuses.
    pub async fn start_of(&self, key: &str, max: usize) -> Result<Bytes, Error> {
        let range = format!("bytes=0-{}", max.saturating_sub(1));
        let request = self.0.client.get_object().bucket(&self.0.bucket).key(key).range(range);
        self.read(request, max).await
    }

    /// An object, if it has at most `max` bytes.
    ///
    /// # Errors
    /// When the store does not answer, or refuses, or the object is larger.
    pub async fn get(&self, key: &str, max: usize) -> Result<Bytes, Error> {
        self.read(self.0.client.get_object().bucket(&self.0.bucket).key(key), max).await
    }

    async fn read(
        &self,
        request: aws_sdk_s3::operation::get_object::builders::GetObjectFluentBuilder,
        max: usize,
    ) -> Result<Bytes, Error> {
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if status(&error) == Some(404) => return Ok(Bytes::new()),
            Err(error) => return Err(failed("read an object", &error)),
        };
        let reading = async {
            let mut bytes = Vec::new();
            while let Some(chunk) = answer.body.next().await {
                let chunk =
                    chunk.map_err(|error| Error(format!("an object broke off: {error}")))?;
                if bytes.len() + chunk.len() > max {
                    return Err(Error(format!("an object has more than {max} bytes")));
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(Bytes::from(bytes))
        };
        let read = tokio::time::timeout(CALL_TIMEOUT, reading).await;
        read.unwrap_or_else(|_| Err(Error("an object was not read in time".to_owned())))
    }

    /// Puts a small object of our own making.
    ///
    /// # Errors
    /// When the store does not answer, or refuses.
    pub async fn put(&self, key: &str, content_type: &str, bytes: Bytes) -> Result<(), Error> {
        self.0
            .client
            .put_object()
            .bucket(&self.0.bucket)
            .key(key)
            .content_type(content_type)
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map(drop)
            .map_err(|error| failed("put an object", &error))
    }

    /// Removes an object. One that is not there is removed already.
    ///
    /// # Errors
    /// When the store does not answer, or refuses.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        match self.0.client.delete_object().bucket(&self.0.bucket).key(key).send().await {
            Ok(_) => Ok(()),
            Err(error) if status(&error) == Some(404) => Ok(()),
            Err(error) => Err(failed("remove an object", &error)),
        }
    }

    /// Makes the bucket unless it is there, and checks that it can be reached with our key.
    ///
    /// # Errors
    /// When the store does not answer, or refuses.
    pub async fn ensure_bucket(&self) -> Result<(), Error> {
        let bucket = &self.0.bucket;
        match self.0.client.head_bucket().bucket(bucket).send().await {
            Ok(_) => return Ok(()),
            Err(error) if status(&error) == Some(404) => {}
            Err(error) => return Err(failed("look at the bucket", &error)),
        }
        let mut request = self.0.client.create_bucket().bucket(bucket);
        // Amazon's first region is named by saying nothing.
        if self.0.region != FIRST_REGION {
            let place = BucketLocationConstraint::from(self.0.region.as_str());
            let place = CreateBucketConfiguration::builder().location_constraint(place).build();
            request = request.create_bucket_configuration(place);
        }
        match request.send().await {
            Ok(_) => Ok(()),
            // Another node was first.
            Err(error) if status(&error) == Some(409) => Ok(()),
            Err(error) => Err(failed("make the bucket", &error)),
        }
    }
}

fn client(config: &Config, endpoint: Option<&str>) -> Client {
    let key = Credentials::new(&config.access_key, &config.secret_key, None, None, "settings");
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    let mut builder = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new(config.region.clone()))
        .credentials_provider(key)
        .force_path_style(config.has_path_style)
        // Stores other than Amazon's do not know the newer checksums.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::standard().with_max_attempts(TRIES))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .operation_timeout(CALL_TIMEOUT)
                .build(),
        );
    if let Some(endpoint) = endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    Client::from_conf(builder.build())
}

fn during(from: SystemTime, lives: Duration) -> anyhow::Result<PresigningConfig> {
    Ok(PresigningConfig::builder().start_time(from).expires_in(lives).build()?)
}

/// Browsers let no page set these; every client sends them.
fn is_sent_by_itself(name: &str) -> bool {
    name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("host")
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// What went wrong, without what the store says beyond a code: its words hold keys, and what was
/// signed.
fn failed<E>(what: &str, error: &SdkError<E>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let why = match (status(error), error.code()) {
        (Some(status), Some(code)) => format!("it answered {status}, {code}"),
        (Some(status), None) => format!("it answered {status}"),
        (None, _) => {
            let first = std::error::Error::source(error);
            let chain = std::iter::successors(first, |error| error.source());
            let words: Vec<String> = chain.map(ToString::to_string).collect();
            format!("{error}: {}", words.join(": "))
        }
    };
    Error(format!("the object store did not {what}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(endpoint: Option<&str>, public: Option<&str>, has_path_style: bool) -> Objects {
        Objects::connect(&Config {
            endpoint: endpoint.map(str::to_owned),
            public_endpoint: public.map(str::to_owned),
            bucket: "files".to_owned(),
            region: "eu-central-1".to_owned(),
            access_key: "id".to_owned(),
            secret_key: "a secret word".to_owned(),
            has_path_style,
        })
    }

    async fn put(objects: &Objects) -> Put {
        let during = (SystemTime::UNIX_EPOCH, Duration::from_secs(60));
        objects.presign_put("a/b", ("image/png", 7), during).await.unwrap()
    }

    #[tokio::test]
    async fn the_signature_covers_type_length_and_that_nothing_was_there() {
        let put = put(&objects(Some("http://127.0.0.1:9000"), None, true)).await;
        let signed = "X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bif-none-match";
        assert!(put.url.contains(signed), "{}", put.url);
        assert!(put.url.contains("X-Amz-Expires=60&"), "{}", put.url);
        assert!(put.url.contains("X-Amz-Date=19700101T000000Z&"), "{}", put.url);
        assert!(!put.url.contains("secret"), "{}", put.url);
        let mut headers = put.headers.clone();
        headers.sort();
        let wanted = [("content-type", "image/png"), ("if-none-match", "*")];
        assert_eq!(headers, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[tokio::test]
    async fn addresses_are_those_that_clients_reach() {
        let inside = Some("http://objects:9000");
        for (objects, start) in [
            (objects(inside, None, true), "http://objects:9000/files/a/b?"),
            (objects(inside, None, false), "http://files.objects:9000/a/b?"),
            (objects(inside, Some("https://s3.example"), true), "https://s3.example/files/a/b?"),
            (objects(inside, Some("https://s3.example"), false), "https://files.s3.example/a/b?"),
            (objects(None, None, false), "https://files.s3.eu-central-1.amazonaws.com/a/b?"),
        ] {
            let url = put(&objects).await.url;
            assert!(url.starts_with(start), "{url}");
            let origin = objects.origin().await.unwrap();
            assert!(start.starts_with(&format!("{origin}/")), "{origin}");
        }
    }
}
