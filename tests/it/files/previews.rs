//! Small pictures of images.

use testkit::{Board, DEADLINE, Receiver, Value, eventually, json, uploads};

/// A PNG of so many pixels in one colour: rows that are not compressed.
fn png(width: u32, height: u32) -> Vec<u8> {
    let row = 1 + 3 * width as usize;
    let mut raw = vec![0x66_u8; row * height as usize];
    raw.iter_mut().step_by(row).for_each(|filter| *filter = 0);
    let mut zlib = vec![0x78, 0x01];
    for (at, block) in raw.chunks(0xffff).enumerate() {
        let is_last = (at + 1) * 0xffff >= raw.len();
        let length = u16::try_from(block.len()).unwrap();
        zlib.push(u8::from(is_last));
        zlib.extend(length.to_le_bytes());
        zlib.extend((!length).to_le_bytes());
        zlib.extend(block);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in &raw {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    zlib.extend((b << 16 | a).to_be_bytes());
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, 2, 0, 0, 0]);
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in [(b"IHDR", header), (b"IDAT", zlib), (b"IEND", Vec::new())] {
        bytes.extend(chunk(*name, &data));
    }
    bytes
}

/// A PNG's chunk.
fn chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [&name[..], data].concat();
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&length[..], &named, &checksum(&named).to_be_bytes()].concat()
}

/// So many zeros and one more, 258 at a time, as one block of zlib's format (RFC 1950, 1951).
fn zeros(times_258: u32) -> Vec<u8> {
    let mut bytes = vec![0x78, 0x01];
    let (mut held, mut count) = (0_u64, 0);
    // Codes are written from their first bit on; so a block that is the last, with fixed codes, a
    // zero, repetitions (length 258, distance 1), and the end.
    let start = [(0b11, 2), (0, 1), (0b0011_0000, 8)];
    let repetitions = (0..times_258).map(|_| (0b1_1000_1010_0000, 13));
    for (code, bits) in start.into_iter().chain(repetitions).chain([(0, 7), (0, 7)]) {
        for bit in (0..bits).rev() {
            held |= (code >> bit & 1) << count;
            count += 1;
        }
        while count >= 8 {
            bytes.push(u8::try_from(held & 0xff).unwrap());
            held >>= 8;
            count -= 8;
        }
    }
    let sum = (u64::from(times_258) * 258 + 1) % 65_521;
    bytes.extend((u32::try_from(sum).unwrap() << 16 | 1).to_be_bytes());
    bytes
}

/// A small PNG with a profile and texts that unpack to 300 MB each.
fn png_with_huge_metadata() -> Vec<u8> {
    let zeros = zeros(300_000_000 / 258);
    let plain = png(30, 20);
    // Behind the header.
    let (head, rest) = plain.split_at(33);
    let chunks = [
        chunk(*b"iCCP", &[&b"profile\0\0"[..], &zeros].concat()),
        chunk(*b"zTXt", &[&b"Raw profile type iptc\0\0"[..], &zeros].concat()),
        chunk(*b"iTXt", &[&b"XML:com.adobe.xmp\0\x01\0\0\0"[..], &zeros].concat()),
    ];
    [head, &chunks.concat(), rest].concat()
}

/// An animated WebP of 7,000 times 7,000 pixels with a frame of one: a canvas, a frame and a
/// picture of 600 MB.
fn webp_with_huge_canvas() -> Vec<u8> {
    let part = |name: &[u8; 4], data: &[u8]| {
        [&name[..], &u32::try_from(data.len()).unwrap().to_le_bytes(), data].concat()
    };
    let side = 6_999_u32.to_le_bytes();
    let head = [&[0x12, 0, 0, 0], &side[..3], &side[..3]].concat();
    // One pixel, lossless.
    let pixel = part(b"VP8L", &[0x2f, 0, 0, 0, 0x10, 7, 0x10, 0x11, 0x11, 0x88, 0x88, 8]);
    let frame = part(b"ANMF", &[&[0; 16][..], &pixel].concat());
    let parts = [part(b"VP8X", &head), part(b"ANIM", &[0; 6]), frame].concat();
    let length = u32::try_from(parts.len() + 4).unwrap().to_le_bytes();
    [&b"RIFF"[..], &length, b"WEBP", &parts].concat()
}

fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum: u32, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 }
        })
    })
}

/// The width and height that a JPEG's first frame tells.
fn jpeg_size(bytes: &[u8]) -> Option<(u16, u16)> {
    let mut at = 2;
    while let [0xff, kind, high, low, ..] = *bytes.get(at..)? {
        if matches!(kind, 0xc0..=0xc2) {
            let side = |from: usize| u16::from_be_bytes([bytes[at + from], bytes[at + from + 1]]);
            return Some((side(7), side(5)));
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
    None
}

async fn state(board: &Board, upload: &Value, wanted: &str) {
    let id = upload["id"].as_str().unwrap();
    let sql = format!("select preview_state from file_uploads where id = '{id}'");
    eventually(&format!("the preview is {wanted}"), DEADLINE, async || {
        (board.texts(&sql).await == [wanted]).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_gets_its_size_and_a_small_picture() {
    let board = Board::builder().edges(1).janitors(2).start().await;
    let team = board.team().await;
    let upload = team.alice.uploads("a.png", "image/png", &png(1200, 300)).await;
    let message = team.alice.posts_file(team.room, &upload).await;
    state(&board, &upload, "made").await;
    let path = format!("/messages/{}/", message["id"]);
    let shown = team.bob.get(&path).await.is(200)["upload"].clone();
    assert_eq!((&shown["width"], &shown["height"]), (&Value::from(1200), &Value::from(300)));
    let told = team.bob.upload(&upload).await.is(200);
    let url = told["preview_url"].as_str().unwrap();
    let picture = uploads::fetch(url).await;
    assert_eq!((picture.status, jpeg_size(&picture.bytes)), (200, Some((960, 240))));
    assert_eq!(board.files().keys().len(), 2);

    // It goes with its image.
    team.alice.delete(&path).await.is(204);
    eventually("both are gone", DEADLINE, async || board.files().keys().is_empty().then_some(()))
        .await;
    assert_eq!(uploads::fetch(url).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_size_found_after_the_message_was_sent_follows_as_an_update_that_is_no_edit() {
    let board = Board::builder().edges(1).janitors(1).webhooks().start().await;
    let team = board.team().await;
    let receiver = Receiver::start().await;
    let hook = json!({"org": team.org, "url": receiver.url(),
                      "events": ["message.created", "message.updated"]});
    team.alice.post("/webhooks/", hook).await.is(201);
    let upload = team.alice.uploads("a.png", "image/png", &png(1200, 300)).await;
    state(&board, &upload, "made").await;
    // As if the janitor had not come to it yet.
    let of_upload = format!("where id = '{}'", upload["id"].as_str().unwrap());
    let undone = "preview_state = 'none', width = null, height = null, preview_tries = 0";
    board.sql(&format!("update file_uploads set {undone} {of_upload}")).await;
    let second = team.alice.makes_room(team.org, "second", "PUBLIC").await;
    let sent = team.alice.posts_file(team.room, &upload).await;
    let elsewhere = team.alice.posts_file(second, &upload).await;
    let deleted = team.alice.posts_file(team.room, &upload).await;
    team.alice.delete(&format!("/messages/{}/", deleted["id"])).await.is(204);
    assert_eq!(sent["upload"]["width"], Value::Null);
    let mut socket = team.bob.opens(0, team.room).await;
    let last = team.bob.room(team.room).await["last_seq"].as_i64().unwrap();

    board.sql(&format!("update file_uploads set preview_state = 'due' {of_upload}")).await;
    let update = socket.next_of_type("message.updated").await;
    let size = |message: &Value| {
        ["width", "height", "has_preview"].map(|field| message["upload"][field].clone())
    };
    let found = [json!(1200), json!(300), json!(true)];
    assert_eq!(size(&update), found);
    assert_eq!((&update["id"], &update["edited_at"]), (&sent["id"], &Value::Null));
    assert_eq!(update["seq"].as_i64().unwrap(), last + 1);
    let path = format!("/rooms/{second}/events/?after_seq={}", elsewhere["seq"]);
    let events = team.alice.get(&path).await.is(200);
    assert_eq!(events["results"].as_array().unwrap().len(), 1, "{events}");
    assert_eq!(size(&events["results"][0]), found);

    // The webhook gets the later edit, but not the sizes.
    team.alice.patch(&format!("/messages/{}/", sent["id"]), json!({"body": "there"})).await.is(200);
    let deliveries = receiver.gets(4).await;
    let types: Vec<_> = deliveries.iter().map(|one| one.json()["type"].clone()).collect();
    assert_eq!(types, ["message.created", "message.created", "message.created", "message.updated"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_that_two_janitors_make_is_told_once() {
    let board = Board::builder().edges(1).janitors(1).start().await;
    let team = board.team().await;
    let upload = team.alice.uploads("a.png", "image/png", &png(1200, 300)).await;
    state(&board, &upload, "made").await;
    let sent = team.alice.posts_file(team.room, &upload).await;
    let of_upload = format!("where id = '{}'", upload["id"].as_str().unwrap());
    let change = async |to: &str| {
        board.sql(&format!("update file_uploads set {to} {of_upload}")).await;
    };
    let room = team.room;
    let held = board.holding(&format!("select from rooms where id = {room} for update")).await;
    change("preview_state = 'due', preview_tries = 0").await;
    let waiting = "select count(*) from pg_stat_activity \
                   where wait_event_type = 'Lock' and datname = current_database()";
    eventually("a janitor is about to tell of it", DEADLINE, async || {
        (board.count(waiting).await > 0).then_some(())
    })
    .await;
    // Another one, which took it over, was quicker.
    change("preview_state = 'made'").await;
    held.release().await;
    let noted = format!("select (preview_until is null)::text from file_uploads {of_upload}");
    eventually("the first one is done", DEADLINE, async || {
        (board.texts(&noted).await == ["true"]).then_some(())
    })
    .await;
    let path = format!("/rooms/{room}/events/?after_seq={}", sent["seq"]);
    assert_eq!(team.alice.get(&path).await.is(200)["results"], json!([]));
    state(&board, &upload, "made").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_and_damaged_images_have_no_picture_and_harm_nobody() {
    let board = Board::builder().edges(1).janitors(1).start().await;
    let alice = board.person("alice").await;
    let mut bomb = png(8, 8);
    // The header says 20,000 by 20,000, and its checksum agrees.
    bomb[16..24].copy_from_slice(&[0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20]);
    let sum = checksum(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&sum.to_be_bytes());
    let bomb = alice.uploads("bomb.png", "image/png", &bomb).await;
    let half = png(300, 300);
    let half = alice.uploads("half.png", "image/png", &half[..half.len() / 2]).await;
    let fine = alice.uploads("fine.png", "image/png", &png(30, 20)).await;
    state(&board, &bomb, "failed").await;
    state(&board, &half, "failed").await;
    state(&board, &fine, "made").await;
    let told = alice.upload(&bomb).await.is(200);
    assert!(told["preview_url"].is_null() && told["download_url"].is_string(), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_that_kills_is_tried_three_times() {
    let board = Board::builder().edges(1).janitors(1).start().await;
    let alice = board.person("alice").await;
    let upload = alice.uploads("a.png", "image/png", &png(30, 20)).await;
    state(&board, &upload, "made").await;
    // As three janitors have left it that died over it, the last some time ago.
    board
        .sql(
            "update file_uploads set preview_state = 'due', preview_tries = 3,
                 preview_until = now() - interval '1 minute'",
        )
        .await;
    state(&board, &upload, "failed").await;
}

/// How far decoding may raise the janitor's memory: far less than the bombs unpack to, and than the
/// 256 MiB that an honest large image may take.
const GROWTH_MAX: u64 = 64 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_and_frames_that_unpack_to_hundreds_of_megabytes_take_no_memory() {
    let board = Board::builder().processes().edges(1).janitors(1).start().await;
    let alice = board.person("alice").await;
    let fine = alice.uploads("fine.png", "image/png", &png(30, 20)).await;
    state(&board, &fine, "made").await;
    let peak = async || {
        let processes = board.processes().await;
        processes[processes.len() - 1].peak_resident_bytes()
    };
    let before = peak().await;
    let metadata = png_with_huge_metadata();
    let metadata = alice.uploads("metadata.png", "image/png", &metadata).await;
    state(&board, &metadata, "made").await;
    let canvas = alice.uploads("canvas.webp", "image/webp", &webp_with_huge_canvas()).await;
    state(&board, &canvas, "failed").await;
    let growth = peak().await - before;
    assert!(growth < GROWTH_MAX, "the janitor's memory grew by {growth} bytes");
}
