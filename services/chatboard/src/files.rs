//! The object store of the settings.

use std::time::Duration;

use anyhow::{Context, bail};
use domain::upload::UploadRules;
use objects::{Config, Objects};
use runtime::Lifecycle;
use runtime::config::Settings;
use runtime::meter::{Counter, Gauge};

/// How often it is asked whether the bucket is there.
const WATCH: Duration = Duration::from_secs(15);
/// The pause before that is asked again when it was not.
const PAUSE: Duration = Duration::from_secs(2);
/// Bytes of a MiB.
const MIB: i64 = 1024 * 1024;

/// Where files are; `None` when no setting says so.
pub(crate) fn config(settings: &Settings) -> anyhow::Result<Option<Config>> {
    let endpoint = settings.s3_endpoint.as_ref().map(|url| url.as_str().to_owned());
    let bucket = settings.s3_bucket.clone();
    if bucket.is_empty() {
        if endpoint.is_some() {
            bail!(
                "CHATBOARD_S3_BUCKET is missing: CHATBOARD_S3_ENDPOINT names a store without one"
            );
        }
        return Ok(None);
    }
    if settings.s3_access_key.is_empty() {
        bail!("CHATBOARD_S3_ACCESS_KEY is missing: CHATBOARD_S3_BUCKET names a bucket");
    }
    let secret_key = settings
        .s3_secret_key
        .as_ref()
        .context("CHATBOARD_S3_SECRET_KEY is missing: CHATBOARD_S3_BUCKET names a bucket")?;
    Ok(Some(Config {
        endpoint,
        public_endpoint: settings.s3_public_endpoint.as_ref().map(|url| url.as_str().to_owned()),
        bucket,
        region: settings.s3_region.clone(),
        access_key: settings.s3_access_key.clone(),
        secret_key: secret_key.expose().to_owned(),
        has_path_style: settings.s3_path_style,
    }))
}

/// What the settings let people upload.
pub(crate) fn rules(settings: &Settings) -> UploadRules {
    UploadRules {
        bytes_max: i64::from(settings.upload_max_mib) * MIB,
        types: settings.upload_types.iter().map(|one| one.as_str().to_owned()).collect(),
        user_quota: i64::from(settings.user_quota_mib) * MIB,
        org_quota: i64::from(settings.org_quota_mib) * MIB,
    }
}

/// The way to the store. It may be away, now and later: chat goes on without it.
pub(crate) fn connect(settings: &Settings) -> anyhow::Result<Option<Objects>> {
    Ok(config(settings)?.map(|config| Objects::connect(&config)))
}

/// Makes the bucket unless it is there, and goes on telling Prometheus whether it is.
pub(crate) async fn watch(objects: Objects, life: Lifecycle) {
    let mut was_there = true;
    while !life.is_draining() {
        let there = objects.ensure_bucket().await;
        match &there {
            Ok(()) if !was_there => tracing::info!("the object store is there"),
            Err(error) => {
                Counter::ObjectStoreFailures.add(1);
                if was_there {
                    let what = "the object store is away, and uploads fail";
                    tracing::warn!(error = %error, "{what}: {error}");
                }
            }
            Ok(()) => {}
        }
        was_there = there.is_ok();
        Gauge::ObjectStoreUp.set(if was_there { 1.0 } else { 0.0 });
        life.pause(if was_there { WATCH } else { PAUSE }).await;
    }
}
