//! An object store in this process, for `chatboard dev` and the tests: S3 over a folder.
//!
//! **Invariants:** it listens on loopback alone; every request must be signed with its one key,
//! which is random and kept beside the objects; any page may ask, since the signature is what
//! allows. Signatures are checked by `s3s`, bytes are kept by `s3s-fs`; what both leave open is
//! refused by the [`gate`].

mod gate;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use runtime::serve::Gate;
use runtime::{Clock, Lifecycle};
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tower_http::cors::{Any, CorsLayer};

use crate::system;

/// The bucket that ours are in.
const BUCKET: &str = "chatboard";
/// What the store calls its region.
const REGION: &str = "us-east-1";
/// How long browsers remember what they may send.
const PREFLIGHT_MAX_AGE: std::time::Duration = std::time::Duration::from_secs(600);

/// The store, listening. Clones are the same one; it ends with the life that it was given.
#[derive(Clone, Debug)]
pub struct ObjectStore {
    folder: PathBuf,
    port: u16,
    access_key: String,
    secret_key: String,
}

impl ObjectStore {
    /// Starts it over a folder, which is made if need be, on this port if it is free. Addresses
    /// that were signed for a time live by `clock`.
    ///
    /// # Errors
    /// When the folder cannot be made, or no port is free.
    pub async fn start(
        folder: &Path,
        port: Option<u16>,
        clock: Clock,
        life: &Lifecycle,
    ) -> anyhow::Result<Self> {
        system::make_private_folder(folder)?;
        let root = folder.join("buckets");
        system::make_private_folder(&root)?;
        system::make_private_folder(&root.join(BUCKET))?;
        let (access_key, secret_key) = key(&folder.join("key"))?;
        let files = FileSystem::new(&root).map_err(|error| {
            anyhow::anyhow!("the object store cannot use {}: {error:?}", root.display())
        })?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(access_key.clone(), secret_key.clone()));
        // The gate compares times: by a clock that tests can move.
        let mut config = S3Config::default();
        config.presigned_url_max_skew_time_secs = u32::MAX;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        let store = Store { root: root.clone(), s3: builder.build(), clock, puts: Puts::default() };
        let (listener, port) = crate::mail_sink::listen(port, "the object store").await?;
        runtime::serve::serve(listener, router(store), &Gate::unbounded(), life);
        Ok(Self { folder: root, port, access_key, secret_key })
    }

    /// Where it is: `http://…`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The bucket.
    pub fn bucket(&self) -> &'static str {
        BUCKET
    }

    /// The region.
    pub fn region(&self) -> &'static str {
        REGION
    }

    /// The id of its key, and the key.
    pub fn key(&self) -> (&str, &str) {
        (&self.access_key, &self.secret_key)
    }

    /// The folder with all that it keeps: objects, each a file by its key in the folder of the
    /// bucket, and beside that folder what is told of them.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The keys of the objects that are there, in order.
    pub fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        keys_below(&self.folder.join(BUCKET), "", &mut keys);
        keys.sort();
        keys
    }
}

fn keys_below(folder: &Path, prefix: &str, keys: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok) {
        let key = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            keys_below(&entry.path(), &format!("{key}/"), keys);
        } else {
            keys.push(key);
        }
    }
}

/// Keys that are being put at this moment: whoever comes second must not replace what the first
/// has meanwhile been told is there.
#[derive(Clone, Default)]
struct Puts(Arc<Mutex<HashSet<String>>>);

/// A key that is being put; others may once this is dropped.
struct Putting(Puts, String);

impl Puts {
    fn begin(&self, key: &str) -> Option<Putting> {
        let is_first = self.0.lock().insert(key.to_owned());
        is_first.then(|| Putting(self.clone(), key.to_owned()))
    }
}

impl Drop for Putting {
    fn drop(&mut self) {
        self.0.0.lock().remove(&self.1);
    }
}

/// What answers.
#[derive(Clone)]
struct Store {
    root: PathBuf,
    s3: S3Service,
    clock: Clock,
    puts: Puts,
}

fn router(store: Store) -> Router {
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::PUT])
        .allow_headers(Any)
        .expose_headers([header::ETAG, header::CONTENT_RANGE, header::ACCEPT_RANGES])
        .max_age(PREFLIGHT_MAX_AGE);
    let answer = move |request: Request| {
        let store = store.clone();
        async move { store.answer(request).await }
    };
    Router::new().fallback(answer).layer(cors)
}

impl Store {
    async fn answer(&self, request: Request) -> Response {
        let (now, system) = (self.clock.now(), Clock::system().now());
        let asked = match gate::check(&request, (now, system)) {
            Ok(asked) => asked,
            Err(refusal) => return refusal.into_response(),
        };
        let is_put = request.method() == Method::PUT;
        let is_delete = request.method() == Method::DELETE;
        let _putting = match asked.key.as_deref().filter(|_| is_put) {
            None => None,
            Some(key) => match self.puts.begin(key) {
                Some(putting) => Some(putting),
                None => return gate::IS_BEING_PUT.into_response(),
            },
        };
        let mut response = self.ask(request).await;
        if let Some(key) = asked.key.filter(|_| is_delete && response.status().is_success()) {
            self.forget(&key);
        }
        // A browser must not guess a type that would run something.
        let nosniff = header::HeaderValue::from_static("nosniff");
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        if response.status().is_success() && !is_put {
            let bytes = header::HeaderValue::from_static("bytes");
            response.headers_mut().insert(header::ACCEPT_RANGES, bytes);
        }
        response
    }

    async fn ask(&self, request: Request) -> Response {
        match self.s3.call(request.map(s3s::Body::http_body_unsync)).await {
            Ok(response) => response.map(Body::new),
            Err(error) => {
                tracing::warn!("the object store failed: {error:?}");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    /// Removes what is told of an object, which `s3s-fs` keeps when the object goes.
    fn forget(&self, key: &str) {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let stem = format!(".bucket-{}.object-{}", encode(BUCKET), encode(key));
        for ending in ["metadata.json", "internal.json"] {
            let _ = std::fs::remove_file(self.root.join(format!("{stem}.{ending}")));
        }
    }
}

/// The key of the last start, or a new one.
fn key(path: &Path) -> anyhow::Result<(String, String)> {
    if let Ok(text) = std::fs::read_to_string(path)
        && let Some((id, secret)) = text.trim().split_once(':')
    {
        return Ok((id.to_owned(), secret.to_owned()));
    }
    let (id, secret) = (
        format!("dev{}", &system::random_word()?[..12]),
        format!("{}{}", system::random_word()?, system::random_word()?),
    );
    write_private(path, &format!("{id}:{secret}\n"))?;
    Ok((id, secret))
}

/// Whole or not at all.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let new = path.with_extension("new");
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| std::fs::rename(&new, path))
        .with_context(|| format!("cannot write {}", path.display()))
}
