//! What is mailed, to whom, and what is not.

mod abuse;
mod digests;
mod invites;
mod notices;
mod outages;
mod resets;
mod sink;
mod verification;

use std::time::Duration;

use testkit::{Board, Mail, Person, json};

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

const PASSWORD: &str = "a good password";

/// Registers and signs in over REST, with an invite's token if there is one.
async fn registers(board: &Board, email: &str, invite_token: Option<&str>) -> Person {
    let body = json!({"email": email, "password": PASSWORD, "invite_token": invite_token});
    let user = board.post("/auth/register/", body).await.is(201);
    let tokens = board.sign_in(email, PASSWORD).await;
    board.person_with(user["id"].as_i64().unwrap(), email, tokens["access"].as_str().unwrap())
}

/// The token of the next mail to an address with a link to this page; other mails are passed over.
async fn mailed_token(board: &Board, email: &str, page: &str) -> String {
    loop {
        let mail = board.mailbox().mail_to(email).await;
        if mail.text.contains(&format!("/{page}/?token=")) {
            return token(&mail, page);
        }
    }
}
