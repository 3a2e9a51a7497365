//! Demo data: an organization that has been talking for two weeks, so that a first look shows
//! something alive. Made by the product's own actions, so it obeys every rule of theirs.

use std::time::Duration;

use anyhow::{Context, ensure};
use argon2::password_hash::{PasswordHasher, SaltString};
use domain::message::MessageDraft;
use domain::org::NewInvite;
use domain::registration::AbuseLimits;
use domain::room::NewRoom;
use domain::user::NewUser;
use domain::{
    AccessLevel, Caller, Email, LoginId, MessageId, NewMessage, OrgId, Role, RoomId, Timestamp,
    UserId,
};
use store::actions::post_messages::{Post, post_messages};
use store::actions::{accounts, change_message, create_room, enter_room, invites, mark_read};
use store::actions::{open_dm, orgs};
use store::{Store, Tx, access};

mod talk;

/// The password of everyone in the demo data.
pub const PASSWORD: &str = "chatboard-demo";

/// The people: address, first name, last name, role.
pub const PEOPLE: [(&str, &str, &str, Role); 4] = [
    ("ada@acme.example", "Ada", "Lovelace", Role::Admin),
    ("grace@acme.example", "Grace", "Hopper", Role::Manager),
    ("alan@acme.example", "Alan", "Turing", Role::Member),
    ("katherine@acme.example", "Katherine", "Johnson", Role::Member),
];

/// How long they have been talking.
const DAYS: u32 = 14;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Makes the demo data in a database where nobody has an account yet; elsewhere does nothing.
/// Returns whether it did.
///
/// # Errors
/// When Postgres is away.
pub async fn make(url: &str, now: Timestamp) -> anyhow::Result<bool> {
    let store = Store::connect(url, 2).await?;
    let mut tx = store.begin().await?;
    if store::queries::users::is_anyone_there(tx.conn()).await? {
        return Ok(false);
    }
    let start = now - DAY * DAYS;
    let people = make_people(&mut tx, start).await?;
    let rooms = make_rooms(&mut tx, &people, start).await?;
    for (number, room) in rooms.iter().enumerate() {
        fill(&mut tx, room, number, now).await?;
    }
    // What is to be published, the relay's sweep publishes.
    let _ = tx.commit().await?;
    store.pool().close().await;
    Ok(true)
}

/// Whether the demo data is there, so that its people can sign in.
///
/// # Errors
/// When Postgres is away.
pub async fn is_there(url: &str) -> anyhow::Result<bool> {
    let store = Store::connect(url, 1).await?;
    let (email, ..) = PEOPLE[0];
    let founder =
        store::queries::users::credentials_by_email(&mut *store.read().await?, email).await?;
    store.pool().close().await;
    Ok(founder.is_some())
}

/// The organization and its people, in the order of [`PEOPLE`].
struct People {
    org: OrgId,
    callers: Vec<Caller>,
}

/// A room, and who talks in it.
struct Talk {
    room: RoomId,
    speakers: Vec<Caller>,
    lines: &'static [&'static str],
}

/// Acts for a person without a login, which actions do not look at.
fn caller(user: UserId) -> Caller {
    Caller { user, login: LoginId(0) }
}

async fn make_people(tx: &mut Tx, start: Timestamp) -> anyhow::Result<People> {
    let hash = tokio::task::spawn_blocking(password_hash).await??;
    let mut callers = Vec::new();
    for (email, first_name, last_name, _) in PEOPLE {
        let new = NewUser {
            email: parse_email(email)?,
            first_name: first_name.to_owned(),
            last_name: last_name.to_owned(),
            avatar_url: None,
        };
        let user = accounts::create_user(tx, new, &hash, start).await?;
        callers.push(caller(user.id));
    }
    let founder = *callers.first().context("nobody founds the organization")?;
    let org = orgs::create_org(tx, (founder, 0), "Acme".to_owned(), start).await?.id;
    for ((email, _, _, role), &newcomer) in PEOPLE.iter().zip(&callers).skip(1) {
        let proof = access::org_for_changing(tx, founder, org).await?;
        let token = crate::system::random_word()?;
        let new = NewInvite { email: parse_email(email)?, role: *role };
        let mailed = crate::system::random_word()?;
        let request = invites::InviteRequest {
            new,
            answered_token: &token,
            mailed_token: &mailed,
            limits: AbuseLimits::NONE,
        };
        invites::create_invite(tx, (founder, proof), request, start).await?;
        invites::accept_invite(tx, newcomer, &token, start).await?;
    }
    Ok(People { org, callers })
}

fn parse_email(text: &str) -> anyhow::Result<Email> {
    Email::parse(text).map_err(|fault| anyhow::anyhow!("{text}: {fault}"))
}

/// As the api hashes: Argon2id, 19 MiB, two passes.
fn password_hash() -> anyhow::Result<String> {
    let wrong = |error| anyhow::anyhow!("Argon2: {error}");
    let params = argon2::Params::new(19 * 1024, 2, 1, None)
        .map_err(|error| anyhow::anyhow!("Argon2: {error}"))?;
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let salt = SaltString::encode_b64(crate::system::random_word()?.as_bytes()).map_err(wrong)?;
    Ok(argon2.hash_password(PASSWORD.as_bytes(), &salt).map_err(wrong)?.to_string())
}

async fn make_rooms(tx: &mut Tx, people: &People, start: Timestamp) -> anyhow::Result<Vec<Talk>> {
    let everyone = people.callers.clone();
    let [ada, grace, alan, _] = everyone[..] else { anyhow::bail!("four people are expected") };
    let mut talks = Vec::new();
    for (name, topic, lines) in [
        ("general", "What everyone should know", talk::GENERAL),
        ("random", "Coffee, cats and everything else", talk::RANDOM),
        ("engineering", "How it is built", talk::ENGINEERING),
    ] {
        let room =
            make_room(tx, people.org, ada, (name, topic, AccessLevel::Public), start).await?;
        talks.push(Talk { room, speakers: everyone.clone(), lines });
    }
    let secret = ("leadership", "Plans that are not ready yet", AccessLevel::Private);
    let room = make_room(tx, people.org, ada, secret, start).await?;
    let target = enter_room::room_for_inviting(tx, ada, room).await?;
    enter_room::invite_to_room(tx, target, grace.user, start).await?;
    talks.push(Talk { room, speakers: vec![ada, grace], lines: talk::LEADERSHIP });
    let proof = access::org_for_changing(tx, ada, people.org).await?;
    let dm = open_dm::open_dm(tx, proof, ada, &[alan.user], start).await?;
    talks.push(Talk { room: dm.room.id, speakers: vec![ada, alan], lines: talk::DIRECT });
    Ok(talks)
}

async fn make_room(
    tx: &mut Tx,
    org: OrgId,
    creator: Caller,
    (name, topic, access_level): (&str, &str, AccessLevel),
    now: Timestamp,
) -> anyhow::Result<RoomId> {
    let proof = create_room::org_for_rooms(tx, creator, org).await?;
    let new = NewRoom {
        org,
        name: name.to_owned(),
        topic: topic.to_owned(),
        access_level,
        auto_join: access_level == AccessLevel::Public,
    };
    Ok(create_room::create_room(tx, proof, creator, new, now).await?.room.id)
}

/// Lets people talk in a room, evenly over the days; everyone but the last one has read almost
/// all of it.
async fn fill(tx: &mut Tx, talk: &Talk, number: usize, now: Timestamp) -> anyhow::Result<()> {
    let rounds = talk::rounds(talk.lines.len());
    let count = u32::try_from(talk.lines.len() * rounds)?;
    let step = DAY * (DAYS - 1) / count.max(1);
    let mut at = now - step * count - Duration::from_secs(60 * (1 + number as u64));
    let mut ids: Vec<MessageId> = Vec::new();
    for round in 0..rounds {
        for (place, line) in talk.lines.iter().enumerate() {
            let speaker = talk.speakers[(place + round) % talk.speakers.len()];
            let id = post(tx, talk.room, speaker, talk::vary(line, round), at).await?;
            if place % 7 == 3 {
                let other = talk.speakers[(place + round + 1) % talk.speakers.len()];
                cheer(tx, other, id, at + Duration::from_secs(40)).await?;
            }
            ids.push(id);
            at = at + step;
        }
    }
    let Some(&read) = ids.iter().rev().nth(5) else { return Ok(()) };
    for reader in &talk.speakers {
        let room = access::room_as_member(tx.conn(), reader.user, talk.room).await?;
        mark_read::mark_read(tx, &room, reader.user, read, now).await?;
    }
    Ok(())
}

async fn post(
    tx: &mut Tx,
    room: RoomId,
    caller: Caller,
    body: String,
    at: Timestamp,
) -> anyhow::Result<MessageId> {
    let draft = MessageDraft { body: Some(body), ..MessageDraft::default() };
    let message = NewMessage::parse(draft).map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    let mut posted = post_messages(tx, &[Post { caller, room, message }], 0, at).await?;
    ensure!(posted.len() == 1, "one message was posted");
    match posted.remove(0) {
        Ok(posted) => Ok(posted.message.id),
        Err(refusal) => anyhow::bail!("a message of the demo was refused: {refusal:?}"),
    }
}

async fn cheer(
    tx: &mut Tx,
    caller: Caller,
    message: MessageId,
    at: Timestamp,
) -> anyhow::Result<()> {
    let emoji = domain::emoji::Emoji::parse("👍").map_err(|fault| anyhow::anyhow!(fault))?;
    let target = change_message::message_for_changing(tx, caller, message, at).await?;
    change_message::react(tx, target, (emoji, true), at).await?;
    Ok(())
}
