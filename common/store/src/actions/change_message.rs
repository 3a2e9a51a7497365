//! Edits, deletes and reactions.

use domain::emoji::Emoji;
use domain::limits::REACTION_EMOJI_MAX;
use domain::mentions::Mentions;
use domain::message::MessageText;
use domain::{Caller, Message, MessageId, Refusal, RoomId, Seq, Timestamp, UserId, What};

use super::mentions::resolve_mentions;
use super::uploads;
use crate::access::{self, MemberAccess};
use crate::log::{LockedRoom, Note, append, append_noted};
use crate::queries::messages::find_message;
use crate::{Result, Tx};

/// A message whose room is locked and whose reader is a member of it.
#[derive(Debug)]
pub struct MessageForChanging {
    caller: Caller,
    room: LockedRoom,
    access: MemberAccess,
    message: Message,
}

impl MessageForChanging {
    /// The message as it is now.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Demands that the caller sent it and that it is there.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` when it is deleted.
    pub fn for_editing(self) -> Result<Self> {
        if self.message.sender != self.caller.user {
            return Err(Refusal::Forbidden.into());
        }
        self.for_reacting()
    }

    /// Demands that it is there.
    ///
    /// # Errors
    /// `NotFound` when it is deleted.
    pub fn for_reacting(self) -> Result<Self> {
        if self.message.is_deleted { Err(Refusal::NotFound.into()) } else { Ok(self) }
    }
}

/// Finds a message and locks its room.
///
/// # Errors
/// `NotFound`, `NotAMember`.
pub async fn message_for_changing(
    tx: &mut Tx,
    caller: Caller,
    id: MessageId,
    now: Timestamp,
) -> Result<MessageForChanging> {
    let room = sqlx::query_scalar!(
        r#"select room_id as "room: RoomId" from messages where id = $1"#,
        id.0
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Refusal::NotFound)?;
    let (room, access) = access::lock_room(tx, caller.user, room).await?;
    let access = access.as_member()?;
    let message = find_message(tx.conn(), id, now).await?.ok_or(Refusal::NotFound)?;
    Ok(MessageForChanging { caller, room, access, message })
}

/// Changes a message's text. The same text is no event. Returns the message, and the edit's place if
/// it is the first to say `@here`.
pub async fn edit_message(
    tx: &mut Tx,
    target: MessageForChanging,
    text: &MessageText,
) -> Result<(Message, Option<Seq>)> {
    let MessageForChanging { caller, mut room, mut message, .. } = target;
    if text.body() == message.body {
        return Ok((message, None));
    }
    let (edit, edited_at) = (room.next_seq(), room.next_at);
    // What an earlier version's text said, the message itself has said.
    let here_said = sqlx::query_scalar!(
        r#"update messages set body = $2, mentions_room = $3, edited_at = $4,
             search = $5::text::tsvector, mentions_here = $6,
             room_said_seq = case when $3 and not mentions_room then $7
                                  else coalesce(room_said_seq, case when mentions_room then seq end) end,
             here_said_seq = case when $6 and mentions_here is not true then $7
                                  else coalesce(here_said_seq, case when mentions_here then seq end) end
         where id = $1
         returning here_said_seq as "seq: Seq""#,
        message.id.0,
        text.body(),
        text.mentions().room,
        edited_at as Timestamp,
        text.words().document(message.room, message.sender),
        text.mentions().here,
        edit.0,
    )
    .fetch_optional(tx.conn())
    .await?;
    change_mentions(tx, &message, text.mentions(), edit).await?;
    message.body = text.body().to_owned();
    message.edited_at = Some(edited_at);
    let what = What::MessageUpdated(Box::new(message.clone()));
    append(tx, &mut room, vec![(caller.user, what)]).await?;
    Ok((message, here_said.flatten().filter(|seq| *seq == edit)))
}

/// Deletes a message: its text and file are gone from here on, its place stays. Again is no event.
///
/// Refuses with `Forbidden` who neither sent it nor moderates the room.
pub async fn delete_message(tx: &mut Tx, target: MessageForChanging, now: Timestamp) -> Result<()> {
    let MessageForChanging { caller, mut room, access, mut message } = target;
    if message.sender != caller.user && !access.standing().may_moderate() {
        return Err(Refusal::Forbidden.into());
    }
    if message.is_deleted {
        return Ok(());
    }
    sqlx::query!(
        "update messages set is_deleted = true, body = '', file_url = null, upload_id = null,
             mentions_room = false, mentions_here = false, room_said_seq = null,
             here_said_seq = null, search = null
         where id = $1",
        message.id.0,
    )
    .execute(tx.conn())
    .await?;
    if let Some(upload) = &message.upload {
        uploads::let_go(tx, &[upload.id]).await?;
    }
    sqlx::query!("delete from message_mentions where message_id = $1", message.id.0)
        .execute(tx.conn())
        .await?;
    sqlx::query!("delete from message_reactions where message_id = $1", message.id.0)
        .execute(tx.conn())
        .await?;
    // What was not looked at yet is not worth it any more.
    sqlx::query!(
        "update notifications set is_read = true, read_at = $2
         where message_id = $1 and not is_read",
        message.id.0,
        now as Timestamp,
    )
    .execute(tx.conn())
    .await?;
    message.wipe();
    let what = What::MessageDeleted(Box::new(message));
    append(tx, &mut room, vec![(caller.user, what)]).await
}

/// Adds or takes back the caller's reaction. Repeating changes nothing and is no event.
///
/// Refuses with `ValidationFailed` a 21st different emoji.
pub async fn react(
    tx: &mut Tx,
    target: MessageForChanging,
    (emoji, is_on): (Emoji, bool),
    now: Timestamp,
) -> Result<Message> {
    let MessageForChanging { caller, mut room, message, .. } = target;
    let emoji = emoji.as_str();
    let changed = if is_on {
        let is_new = !message.reactions.iter().any(|reaction| reaction.emoji == emoji);
        if is_new && message.reactions.len() >= REACTION_EMOJI_MAX {
            let fault = format!("a message takes {REACTION_EMOJI_MAX} different emoji");
            return Err(Refusal::invalid("emoji", fault).into());
        }
        sqlx::query!(
            "insert into message_reactions (message_id, user_id, emoji, created_at)
             values ($1, $2, $3, $4) on conflict do nothing",
            message.id.0,
            caller.user.0,
            emoji,
            now as Timestamp,
        )
        .execute(tx.conn())
        .await?
    } else {
        sqlx::query!(
            "delete from message_reactions where message_id = $1 and user_id = $2 and emoji = $3",
            message.id.0,
            caller.user.0,
            emoji,
        )
        .execute(tx.conn())
        .await?
    };
    if changed.rows_affected() == 0 {
        return Ok(message);
    }
    let message = find_message(tx.conn(), message.id, now).await?.ok_or(Refusal::NotFound)?;
    let what = What::MessageUpdated(Box::new(message.clone()));
    let events = vec![(caller.user, what)];
    append_noted(tx, &mut room, events, Note::NoEdit).await?;
    Ok(message)
}

/// Notes whom a text names now, and which edit began to name them: that is the one that tells them, if
/// they have not been told yet.
async fn change_mentions(
    tx: &mut Tx,
    message: &Message,
    mentions: &Mentions,
    edit: Seq,
) -> Result<()> {
    let people = resolve_mentions(tx, &[(message.room, mentions)]).await?.pop().unwrap_or_default();
    sqlx::query!(
        "update message_mentions set is_current = false
         where message_id = $1 and is_current and not user_id = any($2)",
        message.id.0,
        &people as &[UserId],
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "insert into message_mentions (message_id, user_id, room_id, seq, event_seq)
         select $1, user_id, $3, $4, $5 from unnest($2::bigint[]) as t (user_id)
         on conflict (message_id, user_id) do update set is_current = true, event_seq = $5
             where not message_mentions.is_current",
        message.id.0,
        &people as &[UserId],
        message.room.0,
        message.seq.0,
        edit.0,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
