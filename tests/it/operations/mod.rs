//! What an operator meets: logs that cannot be written, servers that are away or refuse, and
//! whether alerts and readiness say so.

mod alerts;
mod jetstream;
mod logs;
mod nats;
mod quorum;

use devstack::{NatsServer, Options};
use testkit::Process;

/// Settings with some of them changed.
fn with(settings: &[(String, String)], changed: &[(&str, &str)]) -> Vec<(String, String)> {
    let changed = changed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    settings.iter().cloned().chain(changed).collect()
}

/// A nats-server with its own `authorization` block.
async fn nats_server(authorization: &str) -> NatsServer {
    let nats_authorization = Some(authorization.to_owned());
    let options = Options { nats_authorization, ..Options::temporary(testkit::binary()) };
    NatsServer::start(options).await.unwrap()
}

/// Waits until readiness has a status and its check names some words.
async fn says(process: &Process, (status, check): (u16, &str), words: &[&str]) {
    let http = testkit::http::client(testkit::DEADLINE);
    let what = format!("{} is {status} for {check}: {words:?}", process.role());
    testkit::eventually(&what, std::time::Duration::from_secs(60), || async {
        let (found, body) = process.readiness(&http).await?;
        let detail = body["checks"][check]["detail"].as_str().unwrap_or_default().to_owned();
        let is_said = found == status && words.iter().all(|word| detail.contains(word));
        is_said.then_some(())
    })
    .await;
}
