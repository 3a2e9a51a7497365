//! The limits of the contract, each with its unit. Limits that operators set live in the
//! configuration.

use std::time::Duration;

/// Bytes of a REST body or a WebSocket frame.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// Characters of a message's body.
pub const MESSAGE_CHARS_MAX: usize = 10_000;
/// Characters of a `file_url`.
pub const FILE_URL_CHARS_MAX: usize = 2_000;
/// Characters of a nonce.
pub const NONCE_CHARS_MAX: usize = 64;
/// Characters of a person's first or last name.
pub const PERSON_NAME_CHARS_MAX: usize = 100;
/// Characters of an organization's name.
pub const ORG_NAME_CHARS_MAX: usize = 120;
/// Characters of a room's name.
pub const ROOM_NAME_CHARS_MAX: usize = 80;
/// Characters of a room's topic.
pub const TOPIC_CHARS_MAX: usize = 250;
/// Characters of the section a member files a room under.
pub const SECTION_CHARS_MAX: usize = 80;
/// Characters of an e-mail address.
pub const EMAIL_CHARS_MAX: usize = 254;
/// Characters of an avatar's URL.
pub const AVATAR_URL_CHARS_MAX: usize = 2_000;
/// Fewest and most characters of a password.
pub const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=128;
/// How long an address from which an account signed in is known: others' guesses never block it.
pub const KNOWN_ADDRESS_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// Known addresses of one account; the one not seen for longest gives way.
pub const KNOWN_ADDRESSES_MAX: i64 = 32;
/// How long a device token is good after its last use.
pub const DEVICE_TOKEN_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);
/// Device tokens of one account; the one not used for longest gives way.
pub const DEVICE_TOKENS_MAX: i64 = 32;
/// Different emoji on one message.
pub const REACTION_EMOJI_MAX: usize = 20;
/// People whom one message can mention by name.
pub const MENTIONS_MAX: usize = 50;
/// People in a direct message besides the one who opens it.
pub const DM_OTHERS: std::ops::RangeInclusive<usize> = 1..=8;
/// Where counts of unread messages stop.
pub const UNREAD_MAX: i64 = 1_000;
/// Results on a page unless the client asks otherwise.
pub const PAGE_DEFAULT: u32 = 50;
/// Most results on a page.
pub const PAGE_MAX: u32 = 200;
/// Bytes of the results on a page: a page ends before it would exceed them, and holds one result at
/// least.
pub const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Characters of a request id that we accept from a client.
pub const REQUEST_ID_CHARS_MAX: usize = 128;
/// Characters of the `User-Agent` kept with a login.
pub const USER_AGENT_CHARS_MAX: usize = 300;
/// How long an invite into an organization can be accepted.
pub const INVITE_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long the link to a new password works.
pub const PASSWORD_RESET_LIFETIME: Duration = Duration::from_secs(3600);
/// How long the link that proves an address works, and how long a new account that must prove its
/// address is kept without doing so.
pub const EMAIL_VERIFICATION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// Mails with a link that proves an address, per account and day (UTC).
pub const VERIFICATION_MAILS_PER_DAY: u32 = 5;
/// Password reset links that an account may have open at once; further requests mail nothing.
pub const PASSWORD_RESETS_OPEN_MAX: i64 = 5;
/// Events in one page of replay.
pub const REPLAY_EVENTS_MAX: usize = 200;
/// Bytes of frames in one page of replay, below the payload limit of NATS (1 MiB).
pub const REPLAY_BYTES_MAX: usize = 512 * 1024;
/// Rooms that one `subscribe` frame may name.
pub const SUBSCRIBE_ROOMS_MAX: usize = 200;
/// Rooms that one multi-room socket may subscribe to.
pub const SOCKET_ROOMS_MAX: usize = 1_000;
/// Webhooks of one organization.
pub const ORG_WEBHOOKS_MAX: i64 = 50;
/// Rooms of one organization, direct messages not counted.
pub const ORG_ROOMS_MAX: i64 = 10_000;
/// Open invites of one organization.
pub const ORG_INVITES_MAX: i64 = 1_000;
/// Uploads of one user that were announced and not completed.
pub const USER_PENDING_UPLOADS_MAX: i64 = 200;
/// Bytes of a webhook's secret.
pub const WEBHOOK_SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// How long a webhook's previous secret signs too.
pub const WEBHOOK_SECRET_OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// How long an attempt to deliver to a webhook may take.
pub const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(15);
/// Failures in a row after which a webhook's ADMINs are told.
pub const WEBHOOK_FAILURES_TOLD: i32 = 4;
/// How long a webhook may do nothing but fail before it is disabled.
pub const WEBHOOK_FAILING_MAX: Duration = Duration::from_secs(5 * 24 * 3600);
/// Characters of an upload's file name.
pub const FILENAME_CHARS_MAX: usize = 255;
/// How long the address lives under which a file is put.
pub const UPLOAD_URL_LIFETIME: Duration = Duration::from_secs(3600);
/// How long the address lives under which a file is fetched.
pub const DOWNLOAD_URL_LIFETIME: Duration = Duration::from_secs(3600);
/// How long an upload may stay incomplete.
pub const PENDING_UPLOAD_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// How long a complete upload may stay without a message that carries it.
pub const UNPOSTED_UPLOAD_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
