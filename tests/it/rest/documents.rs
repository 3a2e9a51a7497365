//! The documents of the API: kept compressed, known by their tags, never framed.

use std::collections::HashSet;

use testkit::Board;

const DOCUMENTS: [&str; 3] = ["/api/schema/", "/api/asyncapi/", "/api/docs/swagger-ui-bundle.js"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_sent_compressed_and_once() {
    let board = Board::start().await;
    for path in DOCUMENTS {
        let plain = board.call("GET", path, &[], None).await;
        assert_eq!(plain.status, 200, "{path}");
        let mut tags = HashSet::from([plain.header("etag").to_owned()]);
        for coding in ["br", "gzip"] {
            let asked = [("accept-encoding", coding)];
            let reply = board.call("GET", path, &asked, None).await;
            assert_eq!(reply.header("content-encoding"), coding, "{path}");
            assert_eq!(reply.header("vary"), "Accept-Encoding", "{path}");
            let tag = reply.header("etag").to_owned();
            assert!(tag.starts_with('"') && tags.insert(tag.clone()), "{path}: {tag}");
            let asked = [("accept-encoding", coding), ("if-none-match", tag.as_str())];
            let known = board.call("GET", path, &asked, None).await;
            assert_eq!((known.status, known.text.as_str()), (304, ""), "{path}");
            assert_eq!(known.header("etag"), tag, "{path}");
            assert_eq!(known.header("cache-control"), "no-cache", "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_of_the_api_runs_its_own_files_and_is_never_framed() {
    let board = Board::start().await;
    for path in ["/api/docs/", "/api/docs", "/api/docs/swagger-initializer.js"] {
        let reply = board.call("GET", path, &[], None).await;
        assert_eq!(reply.status, 200, "{path}");
        let policy = reply.header("content-security-policy").to_owned();
        for part in ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert_eq!(reply.header("x-frame-options"), "DENY");
        assert!(!reply.text.contains("<script>"), "nothing inline: {}", reply.text);
    }
    board.call("GET", "/api/docs/no-such.js", &[], None).await.refuses(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_of_the_api_can_be_switched_off() {
    let board = Board::builder().processes().edges(1).start().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let settings = [("CHATBOARD_API_DOCS", "false"), ("CHATBOARD_HTTP_ADDR", address.as_str())];
    let mut api = board.processes().await[Board::API].another_with(&settings);
    api.ready(board.http()).await;
    let get = |path: &str| board.http().get(format!("http://{address}{path}")).send();
    for path in ["/api/docs/", "/api/docs/swagger-ui.css"] {
        assert_eq!(get(path).await.unwrap().status(), 404, "{path}");
    }
    assert_eq!(get("/api/schema/").await.unwrap().status(), 200);
}
