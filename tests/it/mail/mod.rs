//! What is mailed, to whom, and what is not.

mod digests;
mod invites;
mod notices;
mod outages;
mod resets;
mod sink;

use std::time::Duration;

use testkit::{Board, Mail};

/// Long enough for ten messages, short enough to wait for.
const DELAY: Duration = Duration::from_millis(200);

async fn board() -> Board {
    Board::builder().mails_after(DELAY).start().await
}

/// The token of the link in a mail, which is in the text and in the HTML.
fn token(mail: &Mail, page: &str) -> String {
    let start = format!("/{page}/?token=");
    let of = |text: &str| {
        let rest = text.split(&start).nth(1).unwrap_or_else(|| panic!("no {start} in {text}"));
        let is_part = |c: &char| c.is_ascii_alphanumeric() || "-_".contains(*c);
        rest.chars().take_while(is_part).collect::<String>()
    };
    let token = of(&mail.text);
    assert_eq!(token, of(mail.html.as_deref().unwrap_or_default()));
    token
}
