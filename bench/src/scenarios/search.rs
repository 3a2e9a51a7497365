//! Searches in a million messages: words that are rare, common, in one room only, or common long
//! ago, for people who are in all rooms, in a few, in one and in none.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::frames;
use crate::gauge::{Durations, float};
use crate::http::Rest;
use crate::report::Aim;
use crate::scene::{Plan, Scene};

use super::Stage;

/// Rooms, and the messages of each.
const ROOMS: usize = 100;
const EACH: i64 = 10_000;
/// In how many of the rooms the readers are: the last ones.
const READERS: [usize; 4] = [ROOMS, 5, 1, 0];
/// What a page of a search shows at most.
const PAGE: usize = 50;
/// No search may take longer than that at the 99th percentile.
const AIM_MS: f64 = 100.0;

/// A word, what it is, and the longest that finding it may take, where there is an aim.
const WORDS: [(&str, &str, bool); 4] = [
    ("rarest", "a rare word", true),
    ("common", "a common word", true),
    ("oneroom", "a word of one room", true),
    ("olden", "a word that was common long ago", false),
];

/// Runs the scenario.
///
/// # Errors
/// When a search is refused, or finds what its reader may not read.
pub(crate) async fn run(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    let scene = stage.scene(Plan::of_readers(ROOMS, &READERS)).await?;
    fill(stage, &scene).await?;
    let mut rest = Rest::open(stage.deployment.api).await?;
    for (word, name, has_aim) in WORDS {
        let mut searches = Durations::new();
        let until = Instant::now() + stage.options.duration();
        let mut slowest = Duration::ZERO;
        while Instant::now() < until {
            for (reader, rooms) in READERS.into_iter().enumerate() {
                let begun = Instant::now();
                let found = search(&mut rest, &scene, reader, word).await?;
                searches.record(begun.elapsed());
                slowest = slowest.max(begun.elapsed());
                ensure!(rooms > 0 || found == 0, "a stranger has found {found} messages");
                let must_find = rooms == ROOMS || (rooms > 0 && word != "rarest");
                ensure!(!must_find || found > 0, "{word:?} is not found in {rooms} rooms");
            }
        }
        let p99 = searches.quantile_ms(0.99);
        stage.report.tell(&format!("{name}: searches"), float(searches.count()), "");
        stage.report.tell(&format!("{name}: p50"), searches.quantile_ms(0.5), "ms");
        if has_aim {
            stage.report.judge(&format!("{name}: p99"), (p99, "ms"), Aim::AtMost(AIM_MS));
        } else {
            stage.report.tell(&format!("{name}: p99"), p99, "ms");
        }
        stage.report.tell(&format!("{name}: slowest"), slowest.as_secs_f64() * 1e3, "ms");
    }
    Ok(())
}

/// Looks for a word; how many messages the first page has.
async fn search(
    rest: &mut Rest,
    scene: &Scene,
    reader: usize,
    word: &str,
) -> anyhow::Result<usize> {
    let line = format!("GET /api/v1/messages/search/?q={word}&limit={PAGE}");
    let answer = rest.call(&line, &scene.people[reader].token, None).await?;
    ensure!(answer.status == 200, "a search was answered {}", answer.status);
    let mut found = 0;
    frames::numbers(answer.body, br#""seq":"#, |_| found += 1);
    Ok(found)
}

/// Gives the rooms a past of some fifteen words a message, most of them rare as words are. The
/// rooms take turns, so a word of one room is everywhere in time.
async fn fill(stage: &Stage<'_>, scene: &Scene) -> anyhow::Result<()> {
    let rooms: Vec<i64> = scene.rooms.iter().map(|room| room.id).collect();
    sqlx::query!(
        "with texts as (
             select n, $1::bigint[] as rooms, n % cardinality($1::bigint[]) as at,
                    n / cardinality($1::bigint[]) + 1 as seq,
                    (select string_agg('w' || floor(exp(random() * 9.9))::int, ' ')
                     from generate_series(1, 12 + (n % 7)) where n is not null)
                    || case when n % 3 = 0 then ' common' else '' end
                    || case when n % 50000 = 7 then ' rarest' else '' end
                    || case when n % 3 = 1 and n < $2 / 2 then ' olden' else '' end
                    || case when n % cardinality($1::bigint[]) = cardinality($1::bigint[]) - 1
                            and n % 7 = 0 then ' oneroom' else '' end as body
             from generate_series(0, $2::bigint - 1) n
         )
         insert into messages (org_id, room_id, seq, sender_id, body, content_hash, created_at,
                               search)
         select r.org_id, r.id, t.seq, r.created_by, t.body, '',
                now() - ($2 - t.n) * interval '1 second',
                (to_tsvector('simple', t.body)::text
                 || ' ''#' || r.id || ''' ''@' || r.created_by || '''')::tsvector
         from texts t join rooms r on r.id = t.rooms[t.at + 1] order by t.n",
        &rooms,
        i64::try_from(ROOMS)? * EACH,
    )
    .execute(&stage.deployment.db)
    .await?;
    sqlx::query!("update rooms set last_seq = $2 where id = any($1)", &rooms, EACH)
        .execute(&stage.deployment.db)
        .await?;
    sqlx::query!("analyze messages").execute(&stage.deployment.db).await?;
    Ok(())
}
