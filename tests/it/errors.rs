//! `docs/errors.md`: every code, its status and its frame, made from the code.

use std::fmt::Write;
use std::path::Path;

use domain::Refusal;

/// Codes that only a socket's client can meet, or that sockets say too.
const ON_SOCKETS: [&str; 12] = [
    "malformed_request",
    "unauthenticated",
    "forbidden",
    "not_a_member",
    "not_found",
    "nonce_conflict",
    "validation_failed",
    "rate_limited",
    "internal",
    "unavailable",
    "unknown_type",
    "too_many_rooms",
];

fn table() -> String {
    let mut text = "# Errors\n\n\
        Made by the test suite from `domain::Refusal`, `contract::problem` and `contract::close`: run it with `UPDATE_SNAPSHOTS=1` to write it anew.\n\n\
        Over REST an error is an `application/problem+json` with this `code` and status; on a socket it is a frame `{\"type\": \"error\", \"code\": …}`.\n\n\
        | code | status | on sockets | what it says |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for refusal in Refusal::all() {
        let code = refusal.code();
        let is_frame_only = ["unknown_type", "too_many_rooms", "removed"].contains(&code);
        let status = if is_frame_only {
            "–".to_owned()
        } else {
            contract::problem::status(&refusal).to_string()
        };
        let frame = if code == "removed" || ON_SOCKETS.contains(&code) { "`error`" } else { "–" };
        let _ = writeln!(text, "| `{code}` | {status} | {frame} | {refusal} |");
    }
    text.push_str("\n## Close codes\n\n| code | reason | the client should | what it means |\n| --- | --- | --- | --- |\n");
    for close in contract::close::Close::ALL {
        let advice = close.advice().as_str();
        let (code, reason) = (close.code(), close.reason());
        let _ = writeln!(text, "| {code} | `{reason}` | {advice} | {} |", close.sentence());
    }
    text
}

#[test]
fn the_table_of_errors_is_current() {
    testkit::snapshot(Path::new("docs/errors.md"), &table());
}

#[test]
fn each_code_stands_for_one_refusal() {
    let mut codes: Vec<_> = Refusal::all().iter().map(Refusal::code).collect();
    let count = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), count);
}
