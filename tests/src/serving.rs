//! How the listeners of a board bound their clients.

use runtime::serve::{Gate, Limits};

use crate::builder::Builder;

impl Builder {
    /// Listeners bound their clients so; not those of processes.
    #[must_use]
    pub fn serving(mut self, limits: Limits) -> Self {
        self.serving = Some(limits);
        self
    }

    /// So many requests of one user may be open at once on an api node of this process; any number
    /// unless said otherwise.
    #[must_use]
    pub fn open_requests_per_user(mut self, open_requests_per_user: u32) -> Self {
        self.open_requests_per_user = open_requests_per_user;
        self
    }

    /// The gate of one listener.
    pub(crate) fn gate(&self) -> Gate {
        let unlimited = Limits {
            connections_per_client: 0,
            heads_per_client: 0,
            requests_per_client: 0,
            ..Limits::default()
        };
        let usual = if self.has_limits { Limits::default() } else { unlimited };
        Gate::new(self.serving.unwrap_or(usual), self.proxies())
    }
}
