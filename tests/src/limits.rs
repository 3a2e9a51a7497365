//! Limits of a board, and the clients that they tell apart.

use domain::registration::{AbuseLimits, RegistrationPolicy};
use runtime::address::TrustedProxies;

use crate::builder::{Builder, LOOPBACK};

impl Builder {
    /// This machine is a proxy whose `X-Forwarded-For` counts: clients may have any address.
    #[must_use]
    pub fn behind_a_proxy(mut self) -> Self {
        self.trusted_proxies = vec![LOOPBACK.parse().expect("a network")];
        self
    }

    /// Limits the replay of a user to so many KiB per second, with or without the other limits.
    #[must_use]
    pub fn replay_kib_per_second(mut self, kib: u32) -> Self {
        self.replay_kib_per_second = Some(kib);
        self
    }

    pub(crate) fn limit_edge(&self, config: &mut edge::Config) {
        if !self.has_limits {
            config.frames_per_second = 0;
            config.user_frames_per_second = 0;
            config.user_replay_kib_per_second = 0;
        }
        if let Some(kib) = self.replay_kib_per_second {
            config.user_replay_kib_per_second = kib;
        }
    }

    /// The settings of processes for their limits.
    pub(crate) fn limit_settings(&self) -> Vec<(&'static str, String)> {
        let limits = [
            ("CHATBOARD_REQUESTS_PER_MINUTE", "100"),
            ("CHATBOARD_SIGN_INS_PER_MINUTE", "10"),
            ("CHATBOARD_SOCKET_FRAMES_PER_SECOND", "20"),
            ("CHATBOARD_USER_FRAMES_PER_SECOND", "40"),
            ("CHATBOARD_USER_REPLAY_KIB_PER_SECOND", "2048"),
            ("CHATBOARD_CONNECTIONS_PER_ADDRESS", "1024"),
            ("CHATBOARD_OPEN_REQUESTS_PER_ADDRESS", "256"),
            ("CHATBOARD_OPEN_REQUESTS_PER_USER", "64"),
        ];
        let value = |limit: &str| if self.has_limits { limit } else { "0" }.to_owned();
        limits.into_iter().map(|(name, limit)| (name, value(limit))).collect()
    }

    /// The proxies that are trusted.
    pub(crate) fn proxies(&self) -> TrustedProxies {
        TrustedProxies::new(self.trusted_proxies.clone())
    }

    /// The settings of processes for [`Self::registration`] and [`Self::abuse_limits`].
    pub(crate) fn registration_settings(&self) -> Vec<(&'static str, String)> {
        let RegistrationPolicy { mode, domains, verification } = &self.registration;
        let domains: Vec<String> = domains.iter().map(ToString::to_string).collect();
        let AbuseLimits { invite_mails, invite_mails_per_address, mails_per_client, organizations } =
            self.abuse;
        vec![
            ("CHATBOARD_REGISTRATION", mode.as_str().to_owned()),
            ("CHATBOARD_REGISTRATION_DOMAINS", domains.join(",")),
            ("CHATBOARD_EMAIL_VERIFICATION", verification.as_str().to_owned()),
            ("CHATBOARD_INVITE_MAILS_PER_DAY", invite_mails.to_string()),
            ("CHATBOARD_INVITE_MAILS_PER_ADDRESS", invite_mails_per_address.to_string()),
            ("CHATBOARD_MAILS_PER_CLIENT", mails_per_client.to_string()),
            ("CHATBOARD_ORGANIZATIONS_PER_ACCOUNT", organizations.to_string()),
        ]
    }
}
