//! The rows that a batch of sends inserts.

use std::collections::HashMap;

use domain::{Message, MessageId, Seq, Timestamp, UploadId};

use super::Post;
use crate::actions::uploads::Uploads;
use crate::log::{LockedRoom, PUBLISH_GRACE};
use crate::{Result, Tx};

/// The columns of the rows to insert.
#[derive(Default)]
pub(super) struct Rows {
    /// The places of the sends in their batch.
    pub(super) at: Vec<usize>,
    orgs: Vec<i64>,
    pub(super) rooms: Vec<i64>,
    pub(super) seqs: Vec<i64>,
    times: Vec<Timestamp>,
    are_private: Vec<bool>,
    /// When the last of the rooms was locked.
    locked_at: Option<Timestamp>,
    senders: Vec<i64>,
    bodies: Vec<String>,
    file_urls: Vec<Option<String>>,
    uploads: Vec<Option<UploadId>>,
    replies: Vec<Option<i64>>,
    mentions_room: Vec<bool>,
    mentions_here: Vec<bool>,
    nonces: Vec<Option<String>>,
    hashes: Vec<Vec<u8>>,
    /// None for those that are indexed later.
    searches: Vec<Option<String>>,
}

impl Rows {
    /// Gives a send the next place of its room.
    pub(super) fn push(&mut self, at: usize, room: &mut LockedRoom, post: &Post) {
        let message = &post.message;
        let (seq, time) = room.take_place();
        self.locked_at = self.locked_at.max(Some(room.locked_at));
        self.at.push(at);
        self.orgs.push(room.org.0);
        self.rooms.push(room.id.0);
        self.seqs.push(seq.0);
        self.times.push(time);
        self.are_private.push(room.is_private());
        self.senders.push(post.caller.user.0);
        self.bodies.push(message.body().to_owned());
        self.file_urls.push(message.file_url().map(str::to_owned));
        self.uploads.push(message.upload());
        self.replies.push(message.reply_to().map(|id| id.0));
        self.mentions_room.push(message.mentions().room);
        self.mentions_here.push(message.mentions().here);
        self.nonces.push(message.nonce().map(str::to_owned));
        self.hashes.push(message.content_hash().to_vec());
        let words = message.text().words();
        let is_indexed = !words.are_indexed_later();
        self.searches.push(is_indexed.then(|| words.document(room.id, post.caller.user)));
    }

    /// Ids are drawn in the order of the rows, under the rooms' locks: within a room they rise
    /// with `seq`.
    pub(super) async fn insert(&self, tx: &mut Tx) -> Result<HashMap<(i64, i64), MessageId>> {
        let Some(locked_at) = self.locked_at else { return Ok(HashMap::new()) };
        let epoch = tx.epoch_text();
        let rows = sqlx::query!(
            r#"with sent as (
                   insert into messages (org_id, room_id, seq, sender_id, body, file_url, upload_id,
                                         reply_to, mentions_room, nonce, content_hash, search, created_at,
                                         mentions_here, room_said_seq, here_said_seq)
                   select org_id, room_id, seq, sender_id, body, file_url, upload_id, reply_to,
                          mentions_room, nonce, content_hash, search::tsvector, time,
                          mentions_here, case when mentions_room then seq end,
                          case when mentions_here then seq end
                   from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[],
                               $6::text[], $7::bigint[], $8::boolean[], $9::text[], $10::bytea[],
                               $13::text[], $14::uuid[], $15::boolean[], $17::timestamptz[])
                        with ordinality
                        as t (org_id, room_id, seq, sender_id, body, file_url, reply_to,
                              mentions_room, nonce, content_hash, search, upload_id, mentions_here, time,
                              at)
                   order by at
                   returning id, room_id, seq
               ), pending as (
                   insert into outbox (room_id, seq, publish_after, epoch, committed_at, is_private,
                                       webhooks_version)
                   select room_id, seq, $12, $16, $11, is_private,
                          (select version from webhook_versions v where v.org_id = t.org_id)
                   from unnest($2::bigint[], $3::bigint[], $18::boolean[], $1)
                       as t (room_id, seq, is_private, org_id)
               ), ends as (
                   update rooms set last_seq = t.last_seq, last_message_at = t.last_at,
                                    last_event_at = t.last_at
                   from (select room_id, max(seq) as last_seq, max(time) as last_at
                         from unnest($2::bigint[], $3::bigint[], $17) as s (room_id, seq, time)
                         group by room_id) t
                   where rooms.id = t.room_id
               )
               select id as "id: MessageId", room_id as "room!", seq as "seq!" from sent"#,
            &self.orgs,
            &self.rooms,
            &self.seqs,
            &self.senders,
            &self.bodies,
            &self.file_urls as &[Option<String>],
            &self.replies as &[Option<i64>],
            &self.mentions_room,
            &self.nonces as &[Option<String>],
            &self.hashes,
            locked_at as Timestamp,
            (locked_at + PUBLISH_GRACE) as Timestamp,
            &self.searches as &[Option<String>],
            &self.uploads as &[Option<UploadId>],
            &self.mentions_here,
            epoch,
            &self.times as &[Timestamp],
            &self.are_private,
        )
        .fetch_all(tx.conn())
        .await?;
        Ok(rows.into_iter().map(|row| ((row.room, row.seq), row.id)).collect())
    }

    /// The message that a row is now.
    pub(super) fn message(
        &self,
        row: usize,
        id: MessageId,
        post: &Post,
        uploads: &Uploads,
    ) -> Message {
        Message {
            id,
            seq: Seq(self.seqs[row]),
            org: self.orgs[row].into(),
            room: post.room,
            sender: post.caller.user,
            body: post.message.body().to_owned(),
            file_url: post.message.file_url().map(str::to_owned),
            upload: post.message.upload().and_then(|id| uploads.attached(id)),
            reply_to: post.message.reply_to(),
            reactions: Vec::new(),
            is_deleted: false,
            created_at: self.times[row],
            edited_at: None,
            nonce: post.message.nonce().map(str::to_owned),
        }
    }
}
