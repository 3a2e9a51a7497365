//! Roles as processes of the real binary.

use crate::board::Host;
use crate::builder::{Builder, Ground, LOOPBACK};
use crate::nats_process::urls_of;
use crate::process::{Process, free_address};
use crate::proxied::Front;

impl Builder {
    /// Starts them; returns the addresses of the apis and of the edges too.
    pub(crate) async fn start_processes(
        &self,
        ground: &Ground,
        front: Option<&Front>,
    ) -> (Host, Vec<String>, Vec<String>) {
        let settings = self.settings(ground, front);
        let start = |role: &'static str, variable: &str, address: &str| {
            let mut environment: Vec<_> =
                settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            environment.push((variable.to_owned(), address.to_owned()));
            if !ground.shipped_nats.is_empty() {
                let urls = urls_of(&ground.shipped_nats, role);
                environment.push(("CHATBOARD_NATS_URL".to_owned(), urls));
                let replicas = ground.shipped_nats.len().to_string();
                environment.push(("CHATBOARD_NATS_REPLICAS".to_owned(), replicas));
            }
            Process::start(role, &free_address(), environment)
        };
        let (api, mut edges) = (free_address(), Vec::new());
        let mut apis = vec![format!("http://{api}")];
        let mut processes = Vec::new();
        if self.shipped_nats == Some("all.conf") {
            processes.push(start("all", "CHATBOARD_HTTP_ADDR", &api));
            edges.push(format!("ws://{api}"));
        } else {
            processes.push(start("api", "CHATBOARD_HTTP_ADDR", &api));
            processes.push(start("relay", "CHATBOARD_HTTP_ADDR", "127.0.0.1:0"));
            for _ in 0..self.edges {
                let address = free_address();
                processes.push(start("edge", "CHATBOARD_WS_ADDR", &address));
                edges.push(format!("ws://{address}"));
            }
            let webhooks = self.webhooks.iter().map(|_| "webhooks");
            let notifier = ground.mailbox.iter().map(|_| "notifier");
            let janitors = (0..self.janitors).map(|_| "janitor");
            for role in webhooks.chain(notifier).chain(janitors) {
                processes.push(start(role, "CHATBOARD_HTTP_ADDR", "127.0.0.1:0"));
            }
            for _ in 1..self.apis {
                let address = free_address();
                processes.push(start("api", "CHATBOARD_HTTP_ADDR", &address));
                apis.push(format!("http://{address}"));
            }
        }
        let http = crate::http::client(crate::wait::DEADLINE);
        for process in &mut processes {
            process.ready(&http).await;
        }
        (Host::Processes(tokio::sync::Mutex::new(processes)), apis, edges)
    }

    /// What every process is told; it takes no notice of what is another role's.
    fn settings(&self, ground: &Ground, front: Option<&Front>) -> Vec<(&'static str, String)> {
        let key_file = std::env::temp_dir().join(format!(
            "chatboard-test-{}-{}.pem",
            std::process::id(),
            ground.number
        ));
        std::fs::write(&key_file, &ground.pem).expect("the key can be written");
        let schedule = self.webhooks.as_ref().map(|config| {
            let pauses = config.retry_schedule.iter();
            pauses.map(|pause| format!("{}ms", pause.as_millis())).collect::<Vec<_>>().join(",")
        });
        let mut shared = vec![
            ("CHATBOARD_WEBHOOK_ALLOWED_NETWORKS", LOOPBACK.to_owned()),
            ("CHATBOARD_WEBHOOK_RETRY_SCHEDULE", schedule.unwrap_or("5s".to_owned())),
            ("CHATBOARD_DATABASE_URL", ground.database_url.clone()),
            ("CHATBOARD_DATABASE_CONNECTIONS", self.api_connections.to_string()),
            ("CHATBOARD_NATS_URL", ground.nats_url.clone()),
            ("CHATBOARD_NATS_PREFIX", ground.prefix.clone()),
            // A bound is reserved, and many boards share one nats-server.
            ("CHATBOARD_NATS_ROOMS_MIB", "0".to_owned()),
            ("CHATBOARD_SIGNING_KEY_FILE", key_file.display().to_string()),
            ("CHATBOARD_ACCESS_TOKEN_TTL", format!("{}s", self.access_ttl.as_secs())),
        ];
        shared.extend(self.limit_settings());
        shared.extend(self.registration_settings());
        let mail = ground.mailbox.as_ref().zip(self.mail_delay);
        shared.extend(ground.files.settings());
        if let Some((mailbox, delay)) = mail {
            shared.push(("CHATBOARD_SMTP_URL", mailbox.smtp_url()));
            shared.push(("CHATBOARD_MAIL_DELAY", format!("{}ms", delay.as_millis())));
        }
        match front {
            Some(front) => shared.extend(front.settings()),
            None => shared.push(("CHATBOARD_DRAIN_DELAY", "0s".to_owned())),
        }
        shared
    }
}
