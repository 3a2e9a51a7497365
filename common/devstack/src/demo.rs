//! Demo data: an organization that has been talking for two weeks, in working hours and until a
//! moment ago, so that a first look shows something alive. Made by the product's own actions, so it
//! obeys every rule of theirs.

use std::time::Duration;

use anyhow::{Context, ensure};
use argon2::password_hash::{PasswordHasher, SaltString};
use domain::message::MessageDraft;
use domain::org::NewInvite;
use domain::registration::AbuseLimits;
use domain::room::NewRoom;
use domain::upload::{NewUpload, UploadRules};
use domain::user::NewUser;
use domain::{
    AccessLevel, Caller, Email, FieldErrors, LoginId, MessageId, NewMessage, OrgId, Role, RoomId,
    Timestamp, UploadId, UserId,
};
use objects::Objects;
use store::actions::post_messages::{Post, post_messages};
use store::actions::{accounts, change_message, create_room, enter_room, invites, mark_read};
use store::actions::{open_dm, orgs, uploads};
use store::{Store, Tx, access};

mod talk;

use talk::{Begins, Line, Scene};

/// The password of everyone in the demo data.
pub const PASSWORD: &str = "chatboard-demo";

/// The people: address, first name, last name, role.
pub const PEOPLE: [(&str, &str, &str, Role); 4] = [
    ("ada@acme.example", "Ada", "Lovelace", Role::Admin),
    ("grace@acme.example", "Grace", "Hopper", Role::Manager),
    ("alan@acme.example", "Alan", "Turing", Role::Member),
    ("katherine@acme.example", "Katherine", "Johnson", Role::Member),
];

/// How long the organization has been there.
const DAYS: u32 = 14;
const DAY: Duration = Duration::from_secs(24 * 3600);
const MINUTE: Duration = Duration::from_secs(60);
/// How long after a line people react to it.
const REACTION: Duration = Duration::from_secs(20);
/// How long ago the last line was said.
const PAUSE: Duration = Duration::from_secs(3 * 60);
/// The picture that somebody shows.
const PICTURE: &[u8] = include_bytes!("demo/search.png");
const PICTURE_NAME: &str = "search-p95.png";
const PICTURE_TYPE: &str = "image/png";

/// Makes the demo data in a database where nobody has an account yet; elsewhere does nothing.
/// Returns whether it did. Where `files` is absent or does not answer, the data has no picture.
///
/// # Errors
/// When Postgres is away.
pub async fn make(url: &str, files: Option<&Objects>, now: Timestamp) -> anyhow::Result<bool> {
    let store = Store::connect(url, 2).await?;
    let mut tx = store.begin().await?;
    if store::queries::users::is_anyone_there(tx.conn()).await? {
        return Ok(false);
    }
    let start = now - DAY * DAYS;
    happen_at(&mut tx, start, now);
    let people = make_people(&mut tx, start).await?;
    let rooms = make_rooms(&mut tx, &people, start).await?;
    let picture = match files {
        Some(files) => put_picture(files).await,
        None => None,
    };
    for room in &rooms {
        fill(&mut tx, room, picture.as_deref(), now).await?;
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
    /// Everyone of the demo data, whether in the room or not.
    people: Vec<Caller>,
    members: Vec<Caller>,
    scenes: &'static [Scene],
    /// Lines at the end that nobody but their authors has read.
    unread: usize,
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
            source: None,
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
    let [ada, grace, alan, katherine] = everyone[..] else {
        anyhow::bail!("four people are expected")
    };
    let talk = |room, members: &[Caller], scenes, unread| Talk {
        room,
        people: everyone.clone(),
        members: members.to_vec(),
        scenes,
        unread,
    };
    let mut talks = Vec::new();
    for (name, topic, scenes, unread) in [
        ("general", "What everyone should know", talk::GENERAL, 2),
        ("random", "Coffee, cats and everything else", talk::RANDOM, 0),
        ("engineering", "How it is built", talk::ENGINEERING, 3),
    ] {
        let room =
            make_room(tx, people.org, ada, (name, topic, AccessLevel::Public), start).await?;
        talks.push(talk(room, &everyone, scenes, unread));
    }
    let secret = ("leadership", "Plans that are not ready yet", AccessLevel::Private);
    let room = make_room(tx, people.org, ada, secret, start).await?;
    let target = enter_room::room_for_inviting(tx, ada, room).await?;
    enter_room::invite_to_room(tx, target, grace.user, start).await?;
    talks.push(talk(room, &[ada, grace], talk::LEADERSHIP, 0));
    for (one, other, scenes, unread) in
        [(ada, alan, talk::DIRECT, 1), (katherine, grace, talk::TRAVEL, 0)]
    {
        let proof = access::org_for_changing(tx, one, people.org).await?;
        let dm = open_dm::open_dm(tx, proof, one, &[other.user], start).await?;
        talks.push(talk(dm.room.id, &[one, other], scenes, unread));
    }
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

/// When a scene's first line is said.
fn beginning(scene: &Scene, now: Timestamp) -> anyhow::Result<Timestamp> {
    let (mut workdays, hour, minute) = match scene.begins {
        Begins::Earlier { workdays, hour, minute } => (workdays, hour, minute),
        Begins::JustNow => {
            return Ok(now - PAUSE - MINUTE * scene.lines.iter().map(|line| line.gap).sum());
        }
    };
    let today = chrono::DateTime::from_timestamp(now.unix_seconds(), 0).context("a time")?;
    let mut day = today.date_naive();
    while workdays > 0 {
        day = day.pred_opt().context("a day before")?;
        workdays -= u32::from(chrono::Datelike::weekday(&day).num_days_from_monday() < 5);
    }
    let at = day.and_hms_opt(hour, minute, 0).context("a time of day")?;
    Timestamp::from_unix_seconds(at.and_utc().timestamp()).context("a time")
}

/// Lets what follows happen at a time: Postgres gives events theirs.
fn happen_at(tx: &mut Tx, at: Timestamp, now: Timestamp) {
    tx.shift_time(at.unix_micros() - now.unix_micros());
}

/// Lets people talk in a room. They have read all but the last lines.
async fn fill(
    tx: &mut Tx,
    talk: &Talk,
    picture: Option<&str>,
    now: Timestamp,
) -> anyhow::Result<()> {
    let mut ids: Vec<MessageId> = Vec::new();
    for scene in talk.scenes {
        let mut at = beginning(scene, now)?;
        for line in scene.lines {
            at = at + MINUTE * line.gap;
            happen_at(tx, at, now);
            let speaker = talk.people[line.who];
            let upload = match picture.filter(|_| line.has_picture) {
                Some(key) => Some(show_picture(tx, speaker, key.to_owned(), at).await?),
                None => None,
            };
            let answers = ids.len().checked_sub(line.answers).filter(|_| line.answers > 0);
            let answers = answers.map(|place| ids[place]);
            let said = Said { room: talk.room, speaker, line, answers, upload };
            let id = post(tx, said, at).await?;
            happen_at(tx, at + REACTION, now);
            for &(emoji, people) in line.reactions {
                for &who in people {
                    react(tx, talk.people[who], id, emoji, at + REACTION).await?;
                }
            }
            ids.push(id);
        }
    }
    happen_at(tx, now, now);
    let Some(&read) = ids.iter().rev().nth(talk.unread) else { return Ok(()) };
    for reader in &talk.members {
        let room = access::room_as_member(tx.conn(), reader.user, talk.room).await?;
        mark_read::mark_read(tx, &room, reader.user, read, now).await?;
    }
    Ok(())
}

/// Puts the picture into the store; its key there. `None`, and a warning, when that fails.
async fn put_picture(files: &Objects) -> Option<String> {
    let key = format!("files/{}", crate::system::random_word().ok()?);
    let put = async {
        files.ensure_bucket().await?;
        files.put(&key, PICTURE_TYPE, PICTURE.into()).await
    };
    match put.await {
        Ok(()) => Some(key),
        Err(error) => {
            tracing::warn!("the demo data has no picture: {error}");
            None
        }
    }
}

/// An upload of the picture that is in the store.
async fn show_picture(
    tx: &mut Tx,
    caller: Caller,
    key: String,
    at: Timestamp,
) -> anyhow::Result<UploadId> {
    let new = NewUpload::parse(
        Some(PICTURE_NAME.to_owned()),
        Some(PICTURE_TYPE.to_owned()),
        Some(i64::try_from(PICTURE.len())?),
        &UploadRules::default(),
        FieldErrors::default(),
    );
    let new = new.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    let announced = uploads::announce(tx, caller, (&new, key), 0, at).await?;
    uploads::complete(tx, caller, announced.id, PICTURE_TYPE, at).await?;
    Ok(announced.id)
}

/// A line as it is posted.
struct Said<'a> {
    room: RoomId,
    speaker: Caller,
    line: &'a Line,
    answers: Option<MessageId>,
    upload: Option<UploadId>,
}

async fn post(tx: &mut Tx, said: Said<'_>, at: Timestamp) -> anyhow::Result<MessageId> {
    let Said { room, speaker: caller, line, answers, upload } = said;
    let draft = MessageDraft {
        body: Some(line.text.to_owned()),
        reply_to: answers.map(|id| id.0),
        upload_id: upload.map(|id| id.to_string()),
        ..MessageDraft::default()
    };
    let message = NewMessage::parse(draft).map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    let mut posted = post_messages(tx, &[Post { caller, room, message }], 0, at).await?;
    ensure!(posted.len() == 1, "one message was posted");
    match posted.remove(0) {
        Ok(posted) => Ok(posted.message.id),
        Err(refusal) => anyhow::bail!("a message of the demo was refused: {refusal:?}"),
    }
}

async fn react(
    tx: &mut Tx,
    caller: Caller,
    message: MessageId,
    emoji: &str,
    at: Timestamp,
) -> anyhow::Result<()> {
    let emoji = domain::emoji::Emoji::parse(emoji).map_err(|fault| anyhow::anyhow!(fault))?;
    let target = change_message::message_for_changing(tx, caller, message, at).await?;
    change_message::react(tx, target, (emoji, true), at).await?;
    Ok(())
}
