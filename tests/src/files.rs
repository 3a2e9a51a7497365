//! Where a board's files are: the object store of `chatboard dev`, in this process.

use std::path::PathBuf;

use devstack::ObjectStore;
use objects::{Config, Objects};
use runtime::{Clock, Lifecycle};

use crate::wait::DEADLINE;

/// An object store that can be stopped and started again. Dropping it removes its objects.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    clock: Clock,
    store: ObjectStore,
    running: tokio::sync::Mutex<Lifecycle>,
    objects: Objects,
}

impl Files {
    /// Starts one by itself; a board has its own.
    pub async fn start(clock: &Clock) -> Self {
        let name = format!("chatboard-files-{}-{}", std::process::id(), rand::random::<u64>());
        let folder = std::env::temp_dir().join(name);
        let life = Lifecycle::new();
        let store = ObjectStore::start(&folder, None, clock.clone(), &life);
        let store = store.await.expect("the object store starts");
        let objects = Objects::connect(&config(&store));
        Self { folder, clock: clock.clone(), store, running: life.into(), objects }
    }

    /// The way to it that the roles take.
    pub fn objects(&self) -> Objects {
        self.objects.clone()
    }

    /// The store itself: its address, its key, its folder.
    pub fn store(&self) -> &ObjectStore {
        &self.store
    }

    /// The keys of the objects that are there.
    pub fn keys(&self) -> Vec<String> {
        self.store.keys()
    }

    /// Stops it at once, connections and all.
    pub async fn goes_away(&self) {
        let running = self.running.lock().await;
        running.abort();
        running.stop(DEADLINE).await;
    }

    /// Starts it again, on the same port.
    pub async fn comes_back(&self) {
        let life = Lifecycle::new();
        let port = self.store.port();
        let again = ObjectStore::start(&self.folder, Some(port), self.clock.clone(), &life);
        assert_eq!(again.await.expect("it starts").port(), port, "somebody took the port");
        *self.running.lock().await = life;
    }

    /// The settings by which a process finds it.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let (access_key, secret_key) = self.store.key();
        vec![
            ("CHATBOARD_S3_ENDPOINT", self.store.url()),
            ("CHATBOARD_S3_BUCKET", self.store.bucket().to_owned()),
            ("CHATBOARD_S3_REGION", self.store.region().to_owned()),
            ("CHATBOARD_S3_ACCESS_KEY", access_key.to_owned()),
            ("CHATBOARD_S3_SECRET_KEY", secret_key.to_owned()),
        ]
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.running.get_mut().abort();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn config(store: &ObjectStore) -> Config {
    let (access_key, secret_key) = store.key();
    Config {
        endpoint: Some(store.url()),
        public_endpoint: None,
        bucket: store.bucket().to_owned(),
        region: store.region().to_owned(),
        access_key: access_key.to_owned(),
        secret_key: secret_key.to_owned(),
        has_path_style: true,
    }
}
