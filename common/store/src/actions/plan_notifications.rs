//! Whom events concern, and what is decided for each: recorded in the transaction that plans them.
//!
//! Candidates' memberships are locked while it is decided. Reading moves the marker first and then
//! marks notifications as read, in one transaction; so whoever reads at this very moment either
//! has read before, and gets none, or finds it there and marks it.

mod record;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use domain::notification::{Notification, NotificationType, Pointer};
use domain::room::Notify;
use domain::user::EmailNotifications;
use domain::{Message, MessageId, OrgId, Person, Role, RoomId, Seq, Timestamp, UserId};
use serde_json::Value;

use self::record::Rows;
use super::mails::display_name;
use crate::queries::facts::{Fact, Happened};
use crate::queries::outbox::LogPlace;
use crate::rows::people;
use crate::{Error, Result, Tx};

/// People decided for before others on the same thread have their turn, and the time budget of the
/// transaction is looked at.
const YIELD_EVERY: usize = 256;

/// A notification to push.
#[derive(Clone, Debug)]
pub struct Push {
    /// To whom.
    pub user: UserId,
    /// What.
    pub notification: Notification,
}

/// Someone whom an event concerns.
struct Concern<'a> {
    fact: &'a Fact,
    user: UserId,
    kind: NotificationType,
}

/// What is known of a concerned person.
struct Reader {
    notify: Option<Notify>,
    email: EmailNotifications,
    has_read: bool,
    joined_at: Option<Timestamp>,
}

impl Reader {
    /// Whether an earlier event of the message, which mentioned everyone in its room, told them.
    fn was_told_by_room(&self, concern: &Concern<'_>) -> bool {
        let message = concern.message().filter(|_| concern.fact.room_is_told);
        message.zip(self.joined_at).is_some_and(|(message, joined)| joined <= message.created_at)
    }
}

/// Decides for everyone whom facts concern, and records it. `here` says who is online of the rooms
/// where `@here` was said; mails are looked at after `mail_delay`. Returns what to push.
pub async fn notify(
    tx: &mut Tx,
    facts: &[Fact],
    here: &BTreeMap<LogPlace, Vec<UserId>>,
    mail_delay: Duration,
    now: Timestamp,
) -> Result<Vec<Push>> {
    let mut concerns = concerns_of_messages(tx, facts, here, None).await?;
    concerns.extend(facts.iter().filter_map(concern_beside_messages));
    decide(tx, concerns, mail_delay, now).await
}

/// Some members of a room whom an event may concern.
#[derive(Clone, Copy, Debug)]
pub struct Audience<'a> {
    /// The members.
    pub members: &'a [UserId],
    /// Those of them who are online, where the event mentions who is.
    pub here: &'a [UserId],
}

/// Like [`notify`], for one message that mentions everyone in its room, or everyone online there, and
/// for some of the room's members only.
pub async fn notify_some(
    tx: &mut Tx,
    fact: &Fact,
    audience: Audience<'_>,
    mail_delay: Duration,
    now: Timestamp,
) -> Result<Vec<Push>> {
    let here = BTreeMap::from([(fact.place, audience.here.to_vec())]);
    let facts = std::slice::from_ref(fact);
    let concerns = concerns_of_messages(tx, facts, &here, Some(audience.members)).await?;
    decide(tx, concerns, mail_delay, now).await
}

/// Decides for all who are concerned, and records it.
async fn decide(
    tx: &mut Tx,
    mut concerns: Vec<Concern<'_>>,
    mail_delay: Duration,
    now: Timestamp,
) -> Result<Vec<Push>> {
    if concerns.is_empty() {
        return Ok(Vec::new());
    }
    // One order for all who lock memberships.
    concerns.sort_by_key(|concern| (concern.fact.room.as_ref().map(|room| room.id), concern.user));
    let readers = readers(tx, &concerns).await?;
    let names = Names::load(tx, &concerns).await?;
    let mut rows = Rows::default();
    for (at, concern) in concerns.iter().enumerate() {
        let Some(reader) = readers.get(&at).filter(|reader| !reader.was_told_by_room(concern))
        else {
            continue;
        };
        rows.push(concern, reader, &names, (now, mail_delay));
        if at % YIELD_EVERY == 0 {
            tokio::task::yield_now().await;
        }
    }
    rows.insert(tx, now).await
}

/// Whom messages concern: everyone in a direct message, and those who are mentioned. With `among`,
/// only some members of the one room that the messages are in.
async fn concerns_of_messages<'a>(
    tx: &mut Tx,
    facts: &'a [Fact],
    here: &BTreeMap<LogPlace, Vec<UserId>>,
    among: Option<&[UserId]>,
) -> Result<Vec<Concern<'a>>> {
    let about: Vec<About<'a>> = facts.iter().filter_map(About::of).collect();
    if about.is_empty() {
        return Ok(Vec::new());
    }
    let named = named(tx, &about).await?;
    let mut told = told(tx, &about, among).await?;
    let everyone = match among {
        Some(members) => about.iter().map(|it| (it.message.room, members.to_vec())).collect(),
        None => everyone(tx, &about).await?,
    };
    let among: Option<HashSet<UserId>> = among.map(|members| members.iter().copied().collect());
    let mut concerns = Vec::new();
    for About { fact, message, is_edit, is_dm, says_room } in about {
        let mut kinds: BTreeMap<UserId, NotificationType> = BTreeMap::new();
        if is_dm && !is_edit {
            let people = everyone.get(&message.room).into_iter().flatten();
            kinds.extend(people.map(|&user| (user, NotificationType::Dm)));
        }
        let named = named.get(&message.id).map_or(&[][..], Vec::as_slice);
        let mut earlier = HashSet::new();
        if says_room {
            let people = everyone.get(&message.room).into_iter().flatten();
            kinds.extend(people.map(|&user| (user, NotificationType::Mention)));
            // Whom the message had named before has been told by that.
            earlier.extend(named.iter().filter(|it| it.is_before(fact)).map(|it| it.user));
        }
        let newly = named.iter().filter(|it| it.is_by(fact)).map(|it| it.user);
        let here = here.get(&fact.place).into_iter().flatten().copied();
        kinds.extend(newly.chain(here).map(|user| (user, NotificationType::Mention)));
        kinds.remove(&message.sender);
        kinds.retain(|user, _| !earlier.contains(user));
        if let Some(among) = &among {
            kinds.retain(|user, _| among.contains(user));
        }
        if is_edit {
            kinds.retain(|user, _| !told.contains(&(message.id, *user)));
        }
        // Everyone in a direct message has been told of the message itself.
        if is_edit && is_dm {
            kinds.clear();
        }
        // Edits in the same batch come later: none tells anyone again.
        told.extend(kinds.keys().map(|&user| (message.id, user)));
        concerns.extend(kinds.into_iter().map(|(user, kind)| Concern { fact, user, kind }));
    }
    Ok(concerns)
}

/// Someone whom a message names.
struct Named {
    user: UserId,
    /// The place of the event that began to name them; `None` by an earlier version.
    event: Option<Seq>,
}

impl Named {
    /// Whether an event is the one that tells them.
    fn is_by(&self, fact: &Fact) -> bool {
        self.event.is_none_or(|event| fact.place.seq() == event)
    }

    /// Whether an earlier event is.
    fn is_before(&self, fact: &Fact) -> bool {
        self.event.is_some_and(|event| event < fact.place.seq())
    }
}

/// Whom an event that is no message concerns.
fn concern_beside_messages(fact: &Fact) -> Option<Concern<'_>> {
    let (user, kind, by) = match &fact.what {
        Happened::Joined { person, by: Some(by), .. } => {
            (person.id, NotificationType::RoomInvite, *by)
        }
        Happened::Org { kind, data } => {
            let user = data.get("user")?.get("id")?.as_i64()?.into();
            match kind.as_str() {
                "member.invited" => (user, NotificationType::OrgInvite, fact.user),
                "role.changed" => (user, NotificationType::RoleChange, fact.user),
                _ => return None,
            }
        }
        _ => return None,
    };
    (user != by).then_some(Concern { fact, user, kind })
}

/// A message that may concern people.
struct About<'a> {
    fact: &'a Fact,
    message: &'a Message,
    is_edit: bool,
    is_dm: bool,
    says_room: bool,
}

impl<'a> About<'a> {
    fn of(fact: &'a Fact) -> Option<Self> {
        let (message, is_edit) = match &fact.what {
            Happened::Message(message) => (message, false),
            Happened::Edited(message) if !message.is_deleted => (message, true),
            _ => return None,
        };
        Some(Self {
            fact,
            message,
            is_edit,
            is_dm: fact.room.as_ref().is_some_and(|room| room.is_dm),
            says_room: fact.mentions_room,
        })
    }
}

async fn named(tx: &mut Tx, about: &[About<'_>]) -> Result<HashMap<MessageId, Vec<Named>>> {
    let messages: Vec<i64> = about.iter().map(|about| about.message.id.0).collect();
    let rows = sqlx::query!(
        r#"select message_id as "message: MessageId", user_id as "user: UserId",
                  event_seq as "event: Seq"
           from message_mentions where message_id = any($1) and is_current"#,
        &messages,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut named: HashMap<_, Vec<Named>> = HashMap::new();
    for row in rows {
        named.entry(row.message).or_default().push(Named { user: row.user, event: row.event });
    }
    Ok(named)
}

/// Message and user pairs with a recorded decision, for edited messages; limited to `people` where
/// given. An edit is news only to users without one.
async fn told(
    tx: &mut Tx,
    about: &[About<'_>],
    people: Option<&[UserId]>,
) -> Result<HashSet<(MessageId, UserId)>> {
    let edited: Vec<i64> =
        about.iter().filter(|about| about.is_edit).map(|about| about.message.id.0).collect();
    if edited.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = sqlx::query!(
        r#"select message_id as "message!: MessageId", user_id as "user: UserId"
           from notification_decisions
           where message_id = any($1) and ($2::bigint[] is null or user_id = any($2))"#,
        &edited,
        people as Option<&[UserId]>,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.message, row.user)).collect())
}

/// The members of the rooms in which all of them are concerned.
async fn everyone(tx: &mut Tx, about: &[About<'_>]) -> Result<HashMap<RoomId, Vec<UserId>>> {
    let rooms: HashSet<RoomId> = about
        .iter()
        .filter(|about| about.is_dm || about.says_room)
        .map(|about| about.message.room)
        .collect();
    if rooms.is_empty() {
        return Ok(HashMap::new());
    }
    let rooms: Vec<RoomId> = rooms.into_iter().collect();
    let rows = sqlx::query!(
        r#"select room_id as "room: RoomId", user_id as "user: UserId"
           from room_members where room_id = any($1)"#,
        &rooms as &[RoomId],
    )
    .fetch_all(tx.conn())
    .await?;
    let mut members: HashMap<_, Vec<UserId>> = HashMap::new();
    for row in rows {
        members.entry(row.room).or_default().push(row.user);
    }
    Ok(members)
}

/// What is known of the concerned, by their place; who is no member of the room any more, or has
/// no account, is left out.
async fn readers(tx: &mut Tx, concerns: &[Concern<'_>]) -> Result<HashMap<usize, Reader>> {
    let places: Vec<i64> = (0..concerns.len()).map(|at| i64::try_from(at).unwrap_or(-1)).collect();
    let users: Vec<i64> = concerns.iter().map(|concern| concern.user.0).collect();
    let rooms: Vec<Option<i64>> =
        concerns.iter().map(|concern| concern.fact.room.as_ref().map(|room| room.id.0)).collect();
    let seqs: Vec<Option<i64>> =
        concerns.iter().map(|concern| concern.message().map(|message| message.seq.0)).collect();
    let rows = sqlx::query!(
        r#"select t.at as "at!", m.notify as "notify?", m.joined_at as "joined_at?: Timestamp",
                  u.email_notifications as "email!",
                  coalesce(m.last_read_seq >= t.seq, false) as "has_read!"
           from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
                as t (at, user_id, room_id, seq)
           cross join lateral (
               select email_notifications from users where id = t.user_id limit 1
           ) u
           left join lateral (
               select notify, last_read_seq, joined_at from room_members
               where room_id = t.room_id and user_id = t.user_id limit 1 for share
           ) m on true
           where t.room_id is null or m.notify is not null"#,
        &places,
        &users,
        &rooms as &[Option<i64>],
        &seqs as &[Option<i64>],
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            let email = EmailNotifications::parse(&row.email)
                .ok_or_else(|| Error::corrupt("users", "email_notifications", &row.email))?;
            let notify = row.notify.as_deref().and_then(Notify::parse);
            let at = usize::try_from(row.at).unwrap_or(usize::MAX);
            Ok((at, Reader { notify, email, has_read: row.has_read, joined_at: row.joined_at }))
        })
        .collect()
}

impl Concern<'_> {
    fn message(&self) -> Option<&Message> {
        match &self.fact.what {
            Happened::Message(message) | Happened::Edited(message) => Some(message),
            _ => None,
        }
    }

    /// Whose doing it is.
    fn by(&self) -> UserId {
        match &self.fact.what {
            Happened::Joined { by: Some(by), .. } => *by,
            Happened::Message(message) | Happened::Edited(message) => message.sender,
            _ => self.fact.user,
        }
    }

    fn data(&self) -> Pointer {
        let invite = match &self.fact.what {
            Happened::Org { data, .. } => data.get("invite_id").and_then(Value::as_i64),
            _ => None,
        };
        Pointer {
            org: self.fact.org,
            room: self.fact.room.as_ref().map(|room| room.id),
            message: self.message().map(|message| message.id),
            invite: invite.map(Into::into),
            by: self.by(),
        }
    }

    /// The line that stands above it, and what it says where that is no message's text.
    fn texts(&self, names: &Names) -> (String, Option<String>) {
        let by = names.person(self.by());
        let room = self.fact.room.as_ref();
        let room_name = room.map(|room| room.name.as_str()).unwrap_or_default();
        match self.kind {
            NotificationType::Mention if room.is_some_and(|room| room.is_dm) => {
                (format!("{by} mentioned you in a direct message"), None)
            }
            NotificationType::Mention => (format!("{by} mentioned you in {room_name}"), None),
            NotificationType::Dm => (format!("Direct message from {by}"), None),
            NotificationType::RoomInvite => (
                format!("{by} added you to {room_name}"),
                Some(format!("You're in {room_name} now.")),
            ),
            NotificationType::OrgInvite => {
                let org = names.org(self.fact.org);
                let text = format!("You're invited as {}.", self.role());
                (format!("{by} invited you to {org}"), Some(text))
            }
            NotificationType::RoleChange => {
                let org = names.org(self.fact.org);
                let title = format!("You're now {} in {org}", self.role());
                (title, Some(format!("Changed by {by}.")))
            }
        }
    }

    /// The role that it gives, in words.
    fn role(&self) -> &'static str {
        let role = match &self.fact.what {
            Happened::Org { data, .. } => data.get("role").and_then(Value::as_str),
            _ => None,
        };
        role.and_then(Role::parse).unwrap_or(Role::Member).in_words()
    }
}

/// How people and organizations are called.
struct Names {
    people: HashMap<UserId, Person>,
    orgs: HashMap<OrgId, String>,
}

impl Names {
    async fn load(tx: &mut Tx, concerns: &[Concern<'_>]) -> Result<Self> {
        let by: HashSet<UserId> = concerns.iter().map(Concern::by).collect();
        let by: Vec<UserId> = by.into_iter().collect();
        let orgs: HashSet<i64> = concerns.iter().map(|concern| concern.fact.org.0).collect();
        let orgs: Vec<i64> = orgs.into_iter().collect();
        let people = people(tx.conn(), &by).await?;
        let rows = sqlx::query!(
            r#"select id as "id: OrgId", name from organizations where id = any($1)"#,
            &orgs,
        )
        .fetch_all(tx.conn())
        .await?;
        Ok(Self { people, orgs: rows.into_iter().map(|row| (row.id, row.name)).collect() })
    }

    fn person(&self, user: UserId) -> String {
        let Some(person) = self.people.get(&user) else { return "Someone".to_owned() };
        display_name(&person.first_name, &person.last_name, &person.email)
    }

    fn org(&self, org: OrgId) -> &str {
        self.orgs.get(&org).map_or("an organization", String::as_str)
    }
}
