//! Small pictures of images.

use testkit::{Board, DEADLINE, Value, eventually, uploads};

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
        let named = [&name[..], &data].concat();
        bytes.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend(&named);
        bytes.extend(checksum(&named).to_be_bytes());
    }
    bytes
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
