//! What people do with the page. Each is told in the file of `tests/web` that it names.

use std::time::Duration;

use domain::registration::{RegistrationMode, RegistrationPolicy};
use testkit::{Board, Builder, Team};

use super::browser::{Stage, journey};

/// What is not read is mailed only after this: all mails before are about accounts.
const LATE: Duration = Duration::from_secs(600);

/// Shorter than the journey, longer than a step of it.
const SHORT_LIFE: Duration = Duration::from_secs(4);

/// Messages of a long room.
const LONG: u32 = 10_000;
/// Rooms of someone: more than a socket may ask for within two seconds.
const MANY: u32 = 45;

async fn walk(script: &str, builder: Builder) {
    let board: Board = builder.start().await;
    let team = board.team().await;
    journey(script, Stage::Shared, &board, &team).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_talk_on_two_edges() {
    walk("conversation.mjs", Board::builder().processes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_find_rooms_each_other_and_what_was_said() {
    walk("rooms.mjs", Board::builder().processes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_edge_a_cut_network_and_an_expired_token_lose_nothing_that_people_see() {
    walk("survival.mjs", Board::builder().processes().access_ttl(SHORT_LIFE)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restore_that_lost_messages_people_see_what_there_is() {
    walk("epochs.mjs", Board::builder().processes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_go_from_one_browser_into_the_store_and_to_another() {
    walk("files.mjs", Board::builder().processes().janitors(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_open_in_full_size_films_play_and_files_of_any_type_are_taken() {
    walk("pictures.mjs", Board::builder().processes().janitors(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_write_with_emoji_mentions_lists_and_code_and_read_what_was_meant() {
    walk("writing.mjs", Board::builder().processes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_rooms_and_words_are_found_from_one_field_and_nothing_written_is_lost() {
    walk("finding.mjs", Board::builder().processes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_found_read_and_returned_to_on_a_desk_and_on_a_phone() {
    walk("search.mjs", Board::builder().processes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dates_icons_keys_sections_and_links_do_what_people_expect() {
    walk("details.mjs", Board::builder().processes().mails_after(LATE)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_opens_without_a_network_and_tells_of_what_is_new() {
    walk("alive.mjs", Board::builder().processes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_asked_for_last_is_what_one_sees() {
    walk("timeline.mjs", Board::builder().processes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_opens_at_its_end_however_one_comes_to_it() {
    walk("changing.mjs", Board::builder().processes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_strangers_write_runs() {
    walk("hostile.mjs", Board::builder().processes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_stays_fast_in_a_long_room_and_a_busy_one() {
    let board: Board = Board::builder().processes().start().await;
    let team = board.team().await;
    let room = team.alice.makes_room_for_all(team.org, "long").await;
    let (author, org) = (team.bob.id, team.org);
    board
        .sql(&format!(
            "insert into messages (org_id, room_id, seq, sender_id, body, content_hash, created_at) \
             select {org}, {room}, n, {author}, 'Message **' || n || '** of many, with a few words', \
             '', now() - interval '1 second' * ({LONG} - n) from generate_series(1, {LONG}) n; \
             update rooms set last_seq = {LONG} where id = {room}"
        ))
        .await;
    journey("figures.mjs", Stage::Alone, &board, &Team { room, ..team }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chat_is_there_for_who_uses_keys_alone_hears_it_or_sees_it_large() {
    walk("access.mjs", Board::builder().processes().janitors(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_makes_a_webhook_sends_again_what_failed_and_deletes_it() {
    walk("webhooks.mjs", Board::builder().webhooks().processes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_are_told_of_comes_by_itself_opens_its_message_and_says_why() {
    walk("notifications.mjs", Board::builder().processes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_keeps_the_organization_its_people_and_how_long_things_are_kept() {
    walk("organization.mjs", Board::builder().processes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_is_kept_by_its_keeper_and_set_by_each_of_its_people() {
    walk("room.mjs", Board::builder().processes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_screen_beside_the_chat_is_accessible_and_fits_and_keys_lead_there_and_back() {
    walk("screens.mjs", Board::builder().processes().janitors(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_in_mails_lead_into_the_page_and_people_look_after_their_account() {
    walk("account.mjs", Board::builder().processes().mails_after(LATE)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_in_many_rooms_has_one_line_that_hears_of_all_of_them() {
    let board: Board = Board::builder().processes().limits_on().start().await;
    let team = board.team().await;
    for number in 1..MANY {
        team.carol.makes_room_for_all(team.org, &format!("room {number}")).await;
    }
    journey("many.mjs", Stage::Shared, &board, &team).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_account_verifies_its_address_and_begins() {
    let builder = Board::builder().processes().mails_after(LATE).verification_required();
    walk("registration.mjs", builder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_registration_is_by_invitation_or_closed_the_page_says_so() {
    for (script, mode) in
        [("invited.mjs", RegistrationMode::Invite), ("closed.mjs", RegistrationMode::Closed)]
    {
        let rules = RegistrationPolicy { mode, ..Default::default() };
        walk(script, Board::builder().processes().mails_after(LATE).registration(rules)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_of_every_script_are_the_same_to_the_page_and_the_server() {
    walk("texts.mjs", Board::builder().processes()).await;
}
