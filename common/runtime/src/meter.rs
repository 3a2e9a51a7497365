//! The names of all metrics. A raw `metrics::counter!("…")` elsewhere is a lint error, so this
//! file is the list that operators can trust.
//!
//! Names are `chatboard_<what>_<unit>`, counters end in `_total`.

pub use metrics::Label;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

pub use record::Held;

macro_rules! meters {
    ($kind:ident, $describe:ident, $($(#[$doc:meta])* $variant:ident = $name:literal, $help:literal;)*) => {
        /// The names of one kind of metric.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $kind {
            $(#[doc = $help] $variant,)*
        }

        impl $kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name under which Prometheus knows it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            fn describe_all() {
                $($describe!($name, $help);)*
            }
        }
    };
}

meters! { Counter, describe_counter,
    HttpRequests = "chatboard_http_requests_total", "REST requests by method, route and status";
    RateLimited = "chatboard_rate_limited_total", "Requests and frames refused by a limit, by limit";
    LimitCountsHeard = "chatboard_limit_counts_heard_total", "Messages of other nodes with what they let through";
    PasswordsRejected = "chatboard_password_hashes_rejected_total", "Password hashes refused because the queue was full or the wait too long";
    ReplaysPaused = "chatboard_replays_paused_total", "Pages of replays that waited for their user's budget";
    MessagesPosted = "chatboard_messages_posted_total", "Messages committed";
    PostsRefused = "chatboard_posts_refused_total", "Sends turned away because the queue was full";
    EventsPublished = "chatboard_events_published_total", "Events handed to NATS";
    EventsDropped = "chatboard_events_dropped_total", "Events not published at once: the sweep repeats them";
    Pushes = "chatboard_pushes_total", "Frames published for the sockets of one user, by route: edge (to the edges that hold them), all (to every edge)";
    AnnouncementsLate = "chatboard_presence_announcements_late_total", "Sockets served before NATS had passed on that their user is online";
    EventsPlanned = "chatboard_events_planned_total", "Events whose effects were recorded";
    DeliveriesPlanned = "chatboard_deliveries_planned_total", "Deliveries to webhooks recorded";
    NotificationsMade = "chatboard_notifications_made_total", "Notifications recorded";
    EventsSwept = "chatboard_events_swept_total", "Events published again by the sweep";
    EventsDead = "chatboard_events_dead_total", "Events set aside because they cannot be planned";
    WebhookJobs = "chatboard_webhook_jobs_total", "Deliveries put on the queue by the schedule";
    WebhookJobsPutBack = "chatboard_webhook_jobs_put_back_total", "Deliveries left on the schedule because too many wait";
    WebhookAttempts = "chatboard_webhook_attempts_total", "Attempts to deliver, by outcome: sent, retrying, failed";
    NameLookups = "chatboard_name_lookups_total", "Lookups of webhook hosts, by outcome: found, missing, timeout, refused (too many in flight)";
    WebhooksDisabled = "chatboard_webhooks_disabled_total", "Webhooks disabled because they answered 410 or only fail";
    RpcAnswered = "chatboard_rpc_answered_total", "Questions of edges answered, by verb and outcome: ok, refused, unavailable, internal";
    RpcAskedAgain = "chatboard_rpc_asked_again_total", "Questions asked of another api because the first did not answer";
    EpochChanges = "chatboard_epoch_changes_total", "Changes of the epoch that this node has seen";
    ReadsDelayed = "chatboard_reads_delayed_total", "Reads that waited because as many of the same user ran as may at once";
    RpcDropped = "chatboard_rpc_dropped_total", "Questions of edges turned away because too many were open";
    FramesRefused = "chatboard_frames_refused_total", "Error frames sent to clients, by code";
    SocketsOpened = "chatboard_sockets_opened_total", "WebSockets accepted";
    SocketsClosed = "chatboard_sockets_closed_total", "WebSockets closed, by close code";
    FramesIn = "chatboard_frames_in_total", "Frames received from clients";
    FramesOut = "chatboard_frames_out_total", "Frames written to clients";
    FramesShed = "chatboard_frames_shed_total", "Frames without seq not sent to sockets that lag";
    GapsFound = "chatboard_gaps_found_total", "Gaps found in a room's events";
    GapsHealed = "chatboard_gaps_healed_total", "Gaps filled";
    Resyncs = "chatboard_resyncs_total", "Subscriptions told to load a room anew";
    ReplayedFrames = "chatboard_replayed_frames_total", "Frames replayed, by source";
    SlowReaders = "chatboard_slow_readers_total", "Sockets closed with 4008";
    ConnectionsRefused = "chatboard_connections_refused_total", "Connections and requests refused, by the bound they exceeded";
    ResponsesAborted = "chatboard_responses_aborted_total", "Answers cut off because the client did not read them";
    MailAttempts = "chatboard_mail_attempts_total", "Attempts to mail something, by kind and outcome";
    JanitorRemoved = "chatboard_janitor_removed_total", "Rows and objects removed because their time was over, by kind";
    JanitorFailures = "chatboard_janitor_failures_total", "Rounds of the janitor that failed and are repeated";
    WorkFailed = "chatboard_work_failed_total", "Items of a consumer or schedule that failed alone, by work";
    WorkDead = "chatboard_work_dead_total", "Items given up because they failed too often, by work";
    Previews = "chatboard_previews_total", "Attempts to make a small picture of an upload, by outcome: made, failed, late";
    ObjectStoreFailures = "chatboard_object_store_failures_total", "Times the object store was asked whether it is there, and was not";
    LogLinesDropped = "chatboard_log_lines_dropped_total", "Log lines that could not be written";
    NatsErrors = "chatboard_nats_errors_total", "Errors that nats-server reported, by kind: authorization, permissions, other";
    JetStreamPublishFailures = "chatboard_jetstream_publish_failures_total", "Messages that JetStream did not store, by stream and reason";
    NatsReconnects = "chatboard_nats_reconnects_total", "Times the connection to NATS came back";
}

meters! { Gauge, describe_gauge,
    BuildInfo = "chatboard_build_info", "1, by version of this process";
    Connections = "chatboard_connections", "TCP connections being served, until they upgrade";
    OpenRequests = "chatboard_open_requests", "Requests not answered yet, or whose answer the client has not taken";
    ResponseBytes = "chatboard_response_bytes", "Bytes of answers that clients have not taken yet";
    OpenFilesMax = "chatboard_open_files_max", "Files, sockets included, that the process may have open";
    Sockets = "chatboard_sockets", "WebSockets open";
    ActiveRooms = "chatboard_active_rooms", "Rooms that the edge follows";
    Subscriptions = "chatboard_subscriptions", "Subscriptions of sockets to rooms";
    OnlineUsers = "chatboard_online_users", "Users online on all edges, as this edge knows";
    PostQueue = "chatboard_post_queue_messages", "Sends waiting for the next group commit";
    IndexQueue = "chatboard_index_queue_messages", "Long messages whose words wait to be indexed for search";
    PublishQueue = "chatboard_publish_queue_events", "Events waiting to be published";
    RelayQueue = "chatboard_relay_queue_events", "Events held by this relay that wait for their organization's turn";
    OutboxRows = "chatboard_outbox_rows", "Events whose effects are not recorded yet (at most 10,000 counted)";
    OutboxAge = "chatboard_outbox_oldest_seconds", "Time since the oldest such event was committed";
    WebhooksDue = "chatboard_webhook_due_deliveries", "Deliveries that are due and not on the queue (at most 10,000 counted)";
    WebhooksDueAge = "chatboard_webhook_due_oldest_seconds", "How long the first of them has been due";
    WebhooksBroken = "chatboard_webhook_broken_endpoints", "Endpoints to which only probes go through";
    WebhookQueue = "chatboard_webhook_queue_jobs", "Deliveries waiting in this worker";
    NameLookups = "chatboard_name_lookups", "Lookups of webhook hosts in flight";
    WebhookAttempts = "chatboard_webhook_attempts_in_flight", "Attempts being made, by lane: fast, unproven, slow";
    MailsWaiting = "chatboard_mails_waiting", "Mails that are due or put off (at most 10,000 counted)";
    MailOldest = "chatboard_mail_oldest_seconds", "How long the oldest thing has waited to be mailed";
    MailConfigured = "chatboard_mail_configured", "1 where a mail server is set, 0 where mails wait for that";
    JanitorRound = "chatboard_janitor_round_at_seconds", "When the janitor last finished a round, by work, in seconds since 1970";
    JanitorBacklog = "chatboard_janitor_backlog_rows", "Stretches of logs and deleted rooms, organizations and webhooks that still have to be removed (at most 10,000 counted)";
    JanitorRemovalBlocked = "chatboard_janitor_removal_blocked", "1 while the janitor removes nothing, by reason: clock (it differs from Postgres'), share (a round would remove too much at once)";
    FilesRemoving = "chatboard_janitor_files", "Uploads whose objects still have to be removed (at most 10,000 counted)";
    PreviewsDue = "chatboard_previews_due", "Uploads of which a small picture is still to be made (at most 10,000 counted)";
    ObjectStoreUp = "chatboard_object_store_up", "1 while the bucket can be reached, where an object store is set";
    WorkParked = "chatboard_work_parked", "Items of a consumer or schedule that failed repeatedly and are retried with a growing delay, by work";
    ClockSkew = "chatboard_clock_skew_seconds", "How far this process's clock is ahead of Postgres'";
    RpcReady = "chatboard_rpc_ready", "1 while this api answers questions of edges";
    Ready = "chatboard_ready", "1 while the process can do its work, as /health/ready says";
    DependencyUp = "chatboard_dependency_up", "1 while something that the process needs works, by dependency: postgres, nats, consumer";
    ConsumerUp = "chatboard_consumer_up", "1 while a worker's consumer hands out messages and what it publishes is stored, by consumer";
    ConsumerPending = "chatboard_consumer_pending_messages", "Messages that the consumer has not handed out yet, by consumer";
    ConsumerAckPending = "chatboard_consumer_ack_pending_messages", "Messages handed out and not acknowledged yet, by consumer";
    ConsumerRedelivered = "chatboard_consumer_redelivered_messages", "Messages handed out more than once and not acknowledged yet, by consumer";
    StreamMessages = "chatboard_stream_messages", "Messages that a stream holds, by stream";
    StreamMessagesMax = "chatboard_stream_max_messages", "Messages that a stream may hold, by stream; +Inf without a bound";
    StreamBytes = "chatboard_stream_bytes", "Bytes that a stream holds, by stream";
    StreamBytesMax = "chatboard_stream_max_bytes", "Bytes that a stream may hold, by stream; +Inf without a bound";
    NatsConnected = "chatboard_nats_connected", "1 while connected to NATS";
    PoolConnections = "chatboard_postgres_connections", "Connections to Postgres, by state";
    PresenceEdges = "chatboard_presence_edges", "Edges whose heartbeats are received, by listener: api, relay, notifier";
    PresenceUsers = "chatboard_presence_users", "Users online, counted on each edge, by listener: api, relay, notifier";
    PresenceSilence = "chatboard_presence_silence_seconds", "Time since the last heartbeat of the edge that has been silent longest, by listener: api, relay, notifier";
    PresenceComplete = "chatboard_presence_complete", "1 while the full list of every edge is known, by listener: api, relay, notifier";
    SocketQueueBytes = "chatboard_socket_queues_bytes", "Bytes queued for all sockets";
    RateLimiterKeys = "chatboard_rate_limiter_keys", "Keys held by rate limiters, by role";
    PasswordQueue = "chatboard_password_queue_requests", "Requests waiting to hash a password";
}

meters! { Histogram, describe_histogram,
    HttpSeconds = "chatboard_http_request_duration_seconds", "Time to answer a REST request, by route";
    CommitSeconds = "chatboard_post_commit_duration_seconds", "Time of one group commit";
    CommitMessages = "chatboard_post_commit_messages", "Messages in one group commit";
    RpcSeconds = "chatboard_rpc_duration_seconds", "Time to answer an edge, by verb";
    SearchSeconds = "chatboard_search_duration_seconds", "Time of one search";
    DeliverySeconds = "chatboard_delivery_duration_seconds", "Time from commit to the sockets' queues";
    WebhookSeconds = "chatboard_webhook_attempt_duration_seconds", "Time of one attempt to deliver, by outcome";
    WebhookLatencySeconds = "chatboard_webhook_latency_seconds", "Time from recording a delivery to its success, where the first attempt succeeded";
    MailSeconds = "chatboard_mail_duration_seconds", "Time to hand one mail to the mail server";
    PlanSeconds = "chatboard_plan_duration_seconds", "Time to record one batch of effects";
}

/// Counters that are only counted under labels.
const LABELLED: [Counter; 17] = [
    Counter::Pushes,
    Counter::NameLookups,
    Counter::WorkFailed,
    Counter::WorkDead,
    Counter::ConnectionsRefused,
    Counter::FramesRefused,
    Counter::NatsErrors,
    Counter::JetStreamPublishFailures,
    Counter::Previews,
    Counter::JanitorRemoved,
    Counter::HttpRequests,
    Counter::RateLimited,
    Counter::RpcAnswered,
    Counter::SocketsClosed,
    Counter::ReplayedFrames,
    Counter::WebhookAttempts,
    Counter::MailAttempts,
];

/// Describes every metric to the recorder. Call once, after it is installed.
///
/// The others are there from the start, at 0: an alert does not see the first of what it watches
/// when the counter comes with it.
pub fn describe() {
    Counter::describe_all();
    for counter in Counter::ALL.iter().filter(|counter| !LABELLED.contains(counter)) {
        counter.add(0);
    }
    Gauge::describe_all();
    Histogram::describe_all();
}

#[expect(clippy::disallowed_macros, reason = "the names come from the enums above")]
mod record {
    use super::{Counter, Gauge, Histogram, Label, counter, gauge, histogram};

    impl Counter {
        /// Adds to the counter.
        pub fn add(self, amount: u64) {
            counter!(self.name()).increment(amount);
        }

        /// Raises the counter to a total that is counted elsewhere.
        pub fn reach(self, total: u64) {
            counter!(self.name()).absolute(total);
        }

        /// Adds to the counter of some labels.
        pub fn add_with(self, amount: u64, labels: Vec<Label>) {
            counter!(self.name(), labels).increment(amount);
        }
    }

    impl Gauge {
        /// Sets the gauge.
        pub fn set(self, value: f64) {
            gauge!(self.name()).set(value);
        }

        /// Sets the gauge of some labels.
        pub fn set_with(self, value: f64, labels: Vec<Label>) {
            gauge!(self.name(), labels).set(value);
        }

        /// Stops exporting the gauge until it is set again: its source does not answer, and its
        /// last value would be taken for the current one.
        pub fn forget(self) {
            gauge!(self.name()).set(f64::NAN);
        }

        /// [`Self::forget`] for the gauge of some labels.
        pub fn forget_with(self, labels: Vec<Label>) {
            gauge!(self.name(), labels).set(f64::NAN);
        }

        /// Moves the gauge.
        pub fn add(self, by: f64) {
            gauge!(self.name()).increment(by);
        }

        /// Adds to the gauge until the result is dropped.
        pub fn hold(self, by: f64) -> Held {
            self.add(by);
            Held { gauge: self, by }
        }
    }

    /// What was added to a gauge, until it is dropped.
    #[derive(Debug)]
    pub struct Held {
        gauge: Gauge,
        by: f64,
    }

    impl Drop for Held {
        fn drop(&mut self) {
            self.gauge.add(-self.by);
        }
    }

    impl Histogram {
        /// Records a value in the histogram's unit.
        pub fn record(self, value: f64) {
            histogram!(self.name()).record(value);
        }

        /// Records a value under some labels.
        pub fn record_with(self, value: f64, labels: Vec<Label>) {
            histogram!(self.name(), labels).record(value);
        }
    }
}

/// A label for [`Counter::add_with`] and its like.
pub fn label(name: &'static str, value: impl Into<metrics::SharedString>) -> Label {
    Label::new(name, value)
}
