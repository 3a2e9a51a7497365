//! How the page and its files are served: caching, compression, what may run.

use testkit::{Board, Builder, Reply};

async fn board() -> Board {
    Builder::default().edges(1).processes().start().await
}

async fn get(board: &Board, path: &str, headers: &[(&str, &str)]) -> Reply {
    board.call("GET", &format!("{}{path}", board.api()), headers, None).await
}

/// The address, with its hash, that the page names for a file.
fn address(page: &str, file: &str) -> String {
    let start = page.find(&format!("{file}?v=")).unwrap_or_else(|| panic!("no {file}: {page}"));
    page[start..].split('"').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn what_has_its_hash_in_its_address_is_kept_for_ever_and_the_rest_is_asked_for_again() {
    let board = board().await;
    let page = get(&board, "/sign-in", &[]).await;
    assert_eq!(page.header("cache-control"), "no-cache");
    assert!(page.header("content-type").starts_with("text/html"));
    let lit = address(&page.text, "/vendor/lit.js");
    let kept = get(&board, &lit, &[]).await;
    assert_eq!(kept.status, 200);
    assert_eq!(kept.header("cache-control"), "public, max-age=31536000, immutable");
    assert!(kept.header("content-type").starts_with("text/javascript"));

    let again = get(&board, "/vendor/lit.js", &[]).await;
    assert_eq!(again.header("cache-control"), "no-cache");
    let tag = again.header("etag").to_owned();
    let known = get(&board, "/vendor/lit.js", &[("if-none-match", &tag)]).await;
    assert_eq!((known.status, known.text.as_str()), (304, ""));
    assert_eq!(known.header("etag"), tag);
    // Another version's part would not fit with what its page has of it already.
    let other = get(&board, "/vendor/lit.js?v=0000000000000000", &[]).await;
    assert_eq!((other.status, other.header("cache-control")), (404, "no-store"));
    let tag = page.header("etag").to_owned();
    let known = get(&board, "/r/7/m/9", &[("if-none-match", &tag)]).await;
    assert_eq!(known.status, 304, "every screen is the same page");
}

#[tokio::test]
async fn files_are_compressed_and_the_api_is_not() {
    let board = board().await;
    for encoding in ["br", "gzip"] {
        let headers = [("accept-encoding", encoding)];
        let file = get(&board, "/vendor/marked.js", &headers).await;
        assert_eq!(file.header("content-encoding"), encoding);
        assert!(file.header("vary").to_lowercase().contains("accept-encoding"));
        let tag = file.header("etag").to_owned();
        assert!(tag.starts_with('"'), "{tag}");
        let known = [headers[0], ("if-none-match", tag.as_str())];
        let known = get(&board, "/vendor/marked.js", &known).await;
        assert_eq!((known.status, known.text.as_str()), (304, ""));
        // In what the api answers, a guess could lie beside a secret.
        let keys = get(&board, "/.well-known/jwks.json", &headers).await;
        assert!(!keys.headers.contains_key("content-encoding"));
    }
}

#[tokio::test]
async fn nothing_runs_that_the_policy_does_not_name() {
    let board = board().await;
    for path in ["/", "/sign-in", "/vendor/lit.js"] {
        let reply = get(&board, path, &[]).await;
        let policy = reply.header("content-security-policy").to_owned();
        for part in [
            "default-src 'self'",
            "object-src 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
    }
    let page = get(&board, "/sign-in", &[]).await;
    // The import map is the one inline script, and the policy knows its hash.
    let tags = page.text.split("<script").skip(1).filter_map(|rest| rest.split('>').next());
    let inline = tags.filter(|tag| !tag.contains(" src=")).count();
    assert_eq!(inline, 1, "{}", page.text);
    assert!(page.header("content-security-policy").contains("script-src 'self' 'sha256-"));
    assert!(!page.text.contains("<style") && !page.text.contains("style="), "{}", page.text);
}

#[tokio::test]
async fn unknown_addresses_are_refused_as_before() {
    let board = board().await;
    for path in ["/api/v1/no-such/", "/api/v1/app.js", "/no-such"] {
        let reply = get(&board, path, &[]).await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(reply.header("content-type").starts_with("application/problem+json"), "{path}");
    }
    for path in ["/no-such.js", "/vendor.mjs", "/tsconfig.json", "/index.html", "/../Cargo.toml"] {
        assert_eq!(get(&board, path, &[]).await.status, 404, "{path}");
    }
    // A browser gets the page, which says that the address is unknown; scripts and tools do not.
    let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    for path in ["/no-such", "/no/such/room"] {
        let reply = get(&board, path, &browser).await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(reply.header("content-type").starts_with("text/html"), "{path}");
        assert!(reply.header("content-security-policy").contains("script-src 'self' 'sha256-"));
    }
    for path in ["/api/v1/no-such/", "/health/no-such"] {
        let reply = get(&board, path, &browser).await;
        assert!(!reply.header("content-type").starts_with("text/html"), "{path}");
    }
    assert_eq!(get(&board, "/favicon.ico", &[]).await.status, 200);
    for path in ["/sign-in", "/app.js"] {
        let reply = board.call("POST", &format!("{}{path}", board.api()), &[], None).await;
        assert!([404, 405].contains(&reply.status), "{path}: {}", reply.status);
    }
}
