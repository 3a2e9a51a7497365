//! The pages that show mails in development.

use testkit::json;

use super::board;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_are_shown_and_can_do_no_harm() {
    let board = board().await;
    let team = board.team().await;
    board.sql("update organizations set name = '<script>x</script>'").await;
    let path = format!("/orgs/{}/invite/", team.org);
    team.alice.post(&path, json!({"email": "dave@chat.test"})).await.is(201);
    let mail = board.mailbox().mail_to("dave@chat.test").await;
    let page = board.mailbox().page_url();
    let get = |path: String| {
        let request = board.http().get(format!("{page}{path}"));
        async move { request.send().await.unwrap() }
    };

    let list = get("/".to_owned()).await;
    let policy = list.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let text = list.text().await.unwrap();
    assert!(text.contains("&lt;script&gt;") && !text.contains("<script"), "{text}");
    assert!(text.contains("dave@chat.test"));
    let one = get(format!("/mails/{}/", mail.id)).await.text().await.unwrap();
    assert!(one.contains("<iframe") && one.contains("sandbox=") && !one.contains("<script"));
    let html = get(format!("/mails/{}/html", mail.id)).await;
    let policy = html.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("sandbox") && !policy.contains("script"), "{policy}");
    assert_eq!(get("/mails/999/".to_owned()).await.status().as_u16(), 404);

    // A page elsewhere whose name leads to this machine.
    let foreign = board.http().get(&page).header("host", "evil.example").send().await.unwrap();
    assert_eq!(foreign.status().as_u16(), 421);
}
