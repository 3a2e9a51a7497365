//! Sends, many at once: the heart of group commit.
//!
//! Two steps under one rule. First the rooms are locked, in ascending order. Then, with a *fresh*
//! snapshot, membership and nonces are checked and places given to those rows alone that will be
//! inserted. One statement for both would check with a snapshot older than the lock: two equal
//! nonces would then fail it, or tear a gap. For the same reason nothing here is `on conflict do
//! nothing`: a place once given must be filled.

mod rows;

use std::collections::HashMap;

use domain::access::Standing;
use domain::{
    AccessLevel, Caller, FieldErrors, LogEvent, Message, MessageId, NewMessage, Refusal, RoomId,
    Timestamp, UploadId, UserId, What,
};

use self::rows::Rows;
use super::mentions::resolve_mentions;
use super::uploads::{self, Uploads};
use crate::access::parse_role;
use crate::log::{LockedRoom, lock_rooms};
use crate::queries::messages::find_messages;
use crate::{Result, Tx};

/// One send.
#[derive(Clone, Debug)]
pub struct Post {
    /// Who sends.
    pub caller: Caller,
    /// Where to.
    pub room: RoomId,
    /// What.
    pub message: NewMessage,
}

/// A send that is on disk once its transaction is.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The message in its present state.
    pub message: Message,
    /// Whether an earlier send with the same nonce had made it.
    pub is_replay: bool,
}

/// What the checks found for one send.
struct Check {
    standing: Standing,
    earlier: Option<Earlier>,
    is_reply_here: bool,
}

struct Earlier {
    id: MessageId,
    /// Past its retention: its nonce is free again.
    has_expired: bool,
    content_hash: Vec<u8>,
}

/// What becomes of one send.
enum Verdict {
    Refused(Refusal),
    Replay(MessageId),
    /// The same send stands earlier in this batch.
    Same(usize),
    Insert,
}

/// Posts a batch, in order. Each send gets its own answer; an `Err` of the whole means that
/// nothing happened. Files of one organization may hold `org_quota` bytes together; 0 is no limit.
///
/// Refuses with `NotFound`, `NotAMember`, `ValidationFailed` (`reply_to`, `upload_id`),
/// `UploadIncomplete`, `NonceConflict`.
pub async fn post_messages(
    tx: &mut Tx,
    posts: &[Post],
    org_quota: i64,
    now: Timestamp,
) -> Result<Vec<Result<Posted, Refusal>>> {
    let ids: Vec<RoomId> = posts.iter().map(|post| post.room).collect();
    let mut rooms: HashMap<RoomId, LockedRoom> =
        lock_rooms(tx, &ids).await?.into_iter().map(|room| (room.id, room)).collect();
    let mut checks = check(tx, posts, now).await?;
    free_nonces(tx, &mut checks).await?;
    let mut uploads = lock_uploads(tx, posts, (&rooms, org_quota), now).await?;
    let verdicts = judge(posts, checks, (&rooms, &mut uploads));
    let mentioned = mentioned(tx, posts, &verdicts).await?;
    let found = Found { mentioned, uploads };
    let inserted = insert(tx, posts, &verdicts, (&mut rooms, &found)).await?;
    let earlier = earlier(tx, &verdicts, now).await?;

    let mut answers: Vec<Result<Posted, Refusal>> = Vec::with_capacity(posts.len());
    for (at, verdict) in verdicts.into_iter().enumerate() {
        answers.push(match verdict {
            Verdict::Refused(refusal) => Err(refusal),
            // Not found when it has expired since the check: this send's answer, nobody else's.
            Verdict::Replay(id) => earlier
                .get(&id)
                .cloned()
                .map(|message| Posted { message, is_replay: true })
                .ok_or(Refusal::NotFound),
            Verdict::Same(first) => {
                answers[first].clone().map(|posted| Posted { is_replay: true, ..posted })
            }
            Verdict::Insert => inserted
                .get(&at)
                .cloned()
                .map(|message| Posted { message, is_replay: false })
                .ok_or(Refusal::Internal),
        });
    }
    Ok(answers)
}

/// Looks at membership, nonces and replies of all sends at once.
///
/// Row by row, and by the one index that fits, whatever the planner believes: with a plan made
/// while `messages` was small, a room's whole history would be read for every group from then on.
/// `room_id + 0` keeps it from the indexes that begin with the room.
async fn check(tx: &mut Tx, posts: &[Post], now: Timestamp) -> Result<Vec<Option<Check>>> {
    let rooms: Vec<i64> = posts.iter().map(|post| post.room.0).collect();
    let senders: Vec<i64> = posts.iter().map(|post| post.caller.user.0).collect();
    let nonces: Vec<Option<String>> =
        posts.iter().map(|post| post.message.nonce().map(str::to_owned)).collect();
    let replies: Vec<Option<i64>> =
        posts.iter().map(|post| post.message.reply_to().map(|id| id.0)).collect();
    let rows = sqlx::query!(
        r#"select p.at as "at!", r.dm_key, r.access_level as "access_level!",
                  r.created_by as "created_by!: UserId", o.role as "role?",
                  rm.id is not null as "is_member!",
                  m.id as "earlier_id?: MessageId", m.content_hash as "earlier_hash?",
                  coalesce(m.has_expired, false) as "has_expired!",
                  (p.reply_to is null or exists (
                      select from messages t
                      where t.id = p.reply_to and t.room_id = p.room_id
                          and t.seq >= log_floor(t.room_id, $5)
                  )) as "is_reply_here!"
           from unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[])
                with ordinality as p (room_id, sender_id, nonce, reply_to, at)
           cross join lateral (
               select org_id, dm_key, access_level, created_by from rooms
               where id = p.room_id limit 1
           ) r
           left join lateral (
               select role from organization_members
               where org_id = r.org_id and user_id = p.sender_id limit 1
           ) o on true
           left join lateral (
               select id from room_members
               where room_id = p.room_id and user_id = p.sender_id limit 1
           ) rm on true
           left join lateral (
               select id, content_hash, seq < log_floor(room_id, $5) as has_expired from messages
               where sender_id = p.sender_id and nonce = p.nonce and room_id + 0 = p.room_id limit 1
           ) m on true"#,
        &rooms,
        &senders,
        &nonces as &[Option<String>],
        &replies as &[Option<i64>],
        now as Timestamp,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut checks: Vec<Option<Check>> = posts.iter().map(|_| None).collect();
    for row in rows {
        let at = usize::try_from(row.at - 1).unwrap_or(usize::MAX);
        let Some(slot) = checks.get_mut(at) else { continue };
        let earlier = row.earlier_id.zip(row.earlier_hash).map(|(id, content_hash)| Earlier {
            id,
            has_expired: row.has_expired,
            content_hash,
        });
        *slot = Some(Check {
            standing: Standing {
                role: row.role.map(|role| parse_role(&role)).transpose()?,
                is_member: row.is_member,
                is_creator: row.created_by == posts[at].caller.user,
                is_dm: row.dm_key.is_some(),
                access_level: AccessLevel::parse(&row.access_level).unwrap_or(AccessLevel::Private),
            },
            earlier,
            is_reply_here: row.is_reply_here,
        });
    }
    Ok(checks)
}

/// A nonce is good for as long as its message is kept. One that has expired and is not removed yet
/// lets go of it.
async fn free_nonces(tx: &mut Tx, checks: &mut [Option<Check>]) -> Result<()> {
    let mut expired = Vec::new();
    for check in checks.iter_mut().flatten() {
        if let Some(earlier) = check.earlier.take_if(|earlier| earlier.has_expired) {
            expired.push(earlier.id.0);
        }
    }
    if !expired.is_empty() {
        sqlx::query!("update messages set nonce = null where id = any($1)", &expired)
            .execute(tx.conn())
            .await?;
    }
    Ok(())
}

/// The uploads that are to be carried, held until the end of the transaction: the janitor, which
/// removes what no message carries, waits.
async fn lock_uploads(
    tx: &mut Tx,
    posts: &[Post],
    (rooms, org_quota): (&HashMap<RoomId, LockedRoom>, i64),
    now: Timestamp,
) -> Result<Uploads> {
    let wanted: Vec<(UploadId, domain::OrgId)> = posts
        .iter()
        .filter_map(|post| Some((post.message.upload()?, rooms.get(&post.room)?.org)))
        .collect();
    uploads::lock(tx, &wanted, org_quota, now).await
}

fn judge(
    posts: &[Post],
    checks: Vec<Option<Check>>,
    (rooms, uploads): (&HashMap<RoomId, LockedRoom>, &mut Uploads),
) -> Vec<Verdict> {
    let mut firsts: HashMap<(RoomId, UserId, &str), usize> = HashMap::new();
    posts
        .iter()
        .zip(checks)
        .enumerate()
        .map(|(at, (post, check))| {
            let Some(check) = check.filter(|check| check.standing.sees()) else {
                return Verdict::Refused(Refusal::NotFound);
            };
            if !check.standing.is_member {
                return Verdict::Refused(Refusal::NotAMember);
            }
            let is_replay = check
                .earlier
                .as_ref()
                .map(|earlier| earlier.content_hash == post.message.content_hash());
            if let (Some(true), Some(earlier)) = (is_replay, check.earlier) {
                return Verdict::Replay(earlier.id);
            }
            // What is invalid is told before what conflicts, and all of it at once.
            let (upload, org) = (post.message.upload(), rooms.get(&post.room).map(|room| room.org));
            let refused = uploads.refused(post.caller, upload, org);
            if !check.is_reply_here {
                return Verdict::Refused(no_such_reply(refused));
            }
            if let Some(refusal) = refused {
                return Verdict::Refused(refusal);
            }
            if is_replay.is_some() {
                return Verdict::Refused(Refusal::NonceConflict);
            }
            if let Some(nonce) = post.message.nonce() {
                let key = (post.room, post.caller.user, nonce);
                if let Some(&first) = firsts.get(&key) {
                    let is_same =
                        posts[first].message.content_hash() == post.message.content_hash();
                    return if is_same {
                        Verdict::Same(first)
                    } else {
                        Verdict::Refused(Refusal::NonceConflict)
                    };
                }
                firsts.insert(key, at);
            }
            uploads.take(upload, org);
            Verdict::Insert
        })
        .collect()
}

/// The reply's fault, with what else is invalid.
fn no_such_reply(other: Option<Refusal>) -> Refusal {
    let mut errors = FieldErrors::one("reply_to", "must be a message of this room");
    if let Some(Refusal::ValidationFailed(others)) = other {
        for (field, faults) in others.iter() {
            errors.extend(field, faults);
        }
    }
    Refusal::ValidationFailed(errors)
}

/// Who is mentioned by name, for each send that will be inserted and names anyone.
async fn mentioned(
    tx: &mut Tx,
    posts: &[Post],
    verdicts: &[Verdict],
) -> Result<HashMap<usize, Vec<UserId>>> {
    let naming: Vec<usize> = (0..posts.len())
        .filter(|&at| matches!(verdicts[at], Verdict::Insert))
        .filter(|&at| !posts[at].message.mentions().names.is_empty())
        .collect();
    let texts: Vec<_> =
        naming.iter().map(|&at| (posts[at].room, posts[at].message.mentions())).collect();
    let people = resolve_mentions(tx, &texts).await?;
    Ok(naming.into_iter().zip(people).collect())
}

/// The messages that earlier sends have made, all at once. One that has expired since the check is
/// not among them.
async fn earlier(
    tx: &mut Tx,
    verdicts: &[Verdict],
    now: Timestamp,
) -> Result<HashMap<MessageId, Message>> {
    let ids: Vec<i64> = verdicts
        .iter()
        .filter_map(|verdict| match verdict {
            Verdict::Replay(id) => Some(id.0),
            Verdict::Refused(_) | Verdict::Same(_) | Verdict::Insert => None,
        })
        .collect();
    if ids.is_empty() { Ok(HashMap::new()) } else { find_messages(tx.conn(), &ids, now).await }
}

/// What was found out about the sends of a batch.
struct Found {
    /// Who is mentioned by name, for each send that will be inserted and names anyone.
    mentioned: HashMap<usize, Vec<UserId>>,
    /// The uploads that are carried.
    uploads: Uploads,
}

/// Inserts what is to be inserted: messages, mentions, outbox rows and the rooms' new ends.
async fn insert(
    tx: &mut Tx,
    posts: &[Post],
    verdicts: &[Verdict],
    (rooms, found): (&mut HashMap<RoomId, LockedRoom>, &Found),
) -> Result<HashMap<usize, Message>> {
    let mut rows = Rows::default();
    for (at, post) in posts.iter().enumerate() {
        if !matches!(verdicts[at], Verdict::Insert) {
            continue;
        }
        let Some(room) = rooms.get_mut(&post.room) else { continue };
        rows.push(at, room, post);
    }
    if rows.at.is_empty() {
        return Ok(HashMap::new());
    }
    let ids = rows.insert(tx).await?;
    let mut messages = HashMap::with_capacity(rows.at.len());
    let mut mentions: (Vec<i64>, Vec<i64>, Vec<i64>, Vec<i64>) = Default::default();
    for (row, &at) in rows.at.iter().enumerate() {
        let Some(&id) = ids.get(&(rows.rooms[row], rows.seqs[row])) else { continue };
        let message = rows.message(row, id, &posts[at], &found.uploads);
        for person in found.mentioned.get(&at).into_iter().flatten() {
            mentions.0.push(id.0);
            mentions.1.push(person.0);
            mentions.2.push(message.room.0);
            mentions.3.push(message.seq.0);
        }
        tx.note_room_event(LogEvent {
            room: message.room,
            seq: message.seq,
            at: message.created_at,
            user: message.sender,
            what: What::Message(Box::new(message.clone())),
        });
        messages.insert(at, message);
    }
    uploads::note_posted(tx, messages.values(), &found.uploads).await?;
    if !mentions.0.is_empty() {
        sqlx::query!(
            "insert into message_mentions (message_id, user_id, room_id, seq, event_seq)
             select *, seq from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
                 as t (message_id, user_id, room_id, seq)",
            &mentions.0,
            &mentions.1,
            &mentions.2,
            &mentions.3,
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(messages)
}
