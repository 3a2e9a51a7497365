//! One bare value of each frame and view that has optional fields, every one of them `None`.
//!
//! A schema does not say whether a field that is `None` is written as `null` or left out; its
//! serialized value does. So these values make the document say `required` and `null` exactly
//! where that is so.

use std::collections::BTreeMap;

use domain::{InviteId, MessageId, NotificationId, OrgId, RoomId, Seq, Timestamp, UserId};
use serde::Serialize;
use serde_json::{Map, Value};

use super::table::Source;
use crate::frames::{LiveFrame, ServerFrame, WarningCode};
use crate::messages::{AttachedView, MessageView};
use crate::notifications::{NotificationData, NotificationView};
use crate::rooms::{RoomChangesView, RoomSettingsView, RoomView};

/// Bare values of the shared schemas, by the schemas' names.
pub(super) fn views() -> BTreeMap<&'static str, Map<String, Value>> {
    BTreeMap::from([
        ("Message", fields(&message())),
        ("Attached", fields(&attached())),
        ("Room", fields(&room())),
        ("RoomChanges", fields(&changes())),
        ("RoomSettings", fields(&RoomSettingsView { notify: "", section: None, starred: false })),
        ("Notification", fields(&notification())),
        ("NotificationData", fields(&notification().data)),
    ])
}

/// Bare values of the frames that have optional fields of their own.
pub(super) fn frames() -> BTreeMap<(Source, &'static str), Map<String, Value>> {
    let warning = ServerFrame::Warning {
        code: WarningCode::TokenExpiring,
        retry_after_ms: None,
        expires_at: None,
    };
    let error = ServerFrame::Error {
        code: "",
        detail: "",
        nonce: None,
        room: None,
        errors: None,
        retry_after_ms: None,
    };
    let connection = ServerFrame::Connection {
        connection_id: "",
        user_id: UserId::NOWHERE,
        user_email: "",
        room: None,
        last_seq: None,
        epoch: None,
    };
    let ack =
        ServerFrame::Ack { nonce: "", id: MessageId::NOWHERE, seq: Seq::NOWHERE, replayed: false };
    let read = LiveFrame::Read {
        room: RoomId::NOWHERE,
        user_id: UserId::NOWHERE,
        last_read_msg_id: MessageId::NOWHERE,
        unread_count: None,
    };
    BTreeMap::from([
        ((Source::Server, "warning"), fields(&warning)),
        ((Source::Server, "error"), fields(&error)),
        ((Source::Server, "connection"), fields(&connection)),
        ((Source::Server, "ack"), fields(&ack)),
        ((Source::Live, "read"), fields(&read)),
    ])
}

fn fields(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

fn message() -> MessageView {
    MessageView {
        id: MessageId::NOWHERE,
        seq: Seq::NOWHERE,
        org: OrgId::NOWHERE,
        room: RoomId::NOWHERE,
        sender: UserId::NOWHERE,
        body: String::new(),
        file_url: None,
        upload_id: None,
        upload: None,
        reply_to: None,
        reactions: Vec::new(),
        is_deleted: false,
        created_at: Timestamp::UNIX_EPOCH,
        edited_at: None,
        nonce: None,
    }
}

fn attached() -> AttachedView {
    AttachedView {
        filename: String::new(),
        content_type: String::new(),
        file_size: 0,
        width: None,
        height: None,
        has_preview: false,
    }
}

fn room() -> RoomView {
    RoomView {
        id: RoomId::NOWHERE,
        org: OrgId::NOWHERE,
        name: String::new(),
        topic: String::new(),
        is_dm: false,
        dm_users: None,
        access_level: "",
        auto_join: false,
        created_by: UserId::NOWHERE,
        created_at: Timestamp::UNIX_EPOCH,
        members_count: 0,
        first_seq: Seq::NOWHERE,
        last_seq: Seq::NOWHERE,
        last_message_at: None,
        settings: None,
    }
}

fn changes() -> RoomChangesView {
    RoomChangesView { name: None, topic: None, access_level: None, auto_join: None }
}

fn notification() -> NotificationView {
    NotificationView {
        id: NotificationId::NOWHERE,
        title: String::new(),
        message: String::new(),
        notification_type: String::new(),
        is_read: false,
        created_at: Timestamp::UNIX_EPOCH,
        read_at: None,
        data: NotificationData {
            org: OrgId::NOWHERE,
            room: None,
            message: None,
            invite_id: None::<InviteId>,
            by: UserId::NOWHERE,
        },
    }
}
