//! What the embedded object store refuses by itself, whoever asks.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use objects::{Put, ResponseHeaders};
use reqwest::{Method, StatusCode};
use runtime::Clock;
use testkit::{DEADLINE, Files, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HOUR: Duration = Duration::from_secs(3600);
const KIND: &str = "text/plain";
const DISPOSITION: &str = "attachment; filename=\"a.txt\"";
const HEADERS: ResponseHeaders<'_> =
    ResponseHeaders { content_disposition: DISPOSITION, content_type: None };

fn now(clock: &Clock) -> SystemTime {
    let micros = u64::try_from(clock.now().unix_micros()).unwrap();
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}

/// An address under which so many bytes can be put.
async fn signed(files: &Files, clock: &Clock, key: &str, size: i64) -> Put {
    let signed = files.objects().presign_put(key, (KIND, size), (now(clock), HOUR)).await;
    signed.unwrap()
}

/// Asks the store; what it answers, its status and code.
async fn asks(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> (u16, String) {
    let mut request = testkit::http::client(DEADLINE).request(method, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.body(body.to_vec());
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    (status, code.map_or(text.clone(), |(code, _)| code.to_owned()))
}

/// Puts bytes with the headers that were signed, but for some: others take their place, and an
/// empty one takes it away.
async fn puts(put: &Put, changes: &[(&str, &str)], bytes: &[u8]) -> (u16, String) {
    let is_changed = |name: &str| changes.iter().any(|(one, _)| one.eq_ignore_ascii_case(name));
    let kept = put.headers.iter().filter(|(name, _)| !is_changed(name));
    let mut headers: Vec<(&str, &str)> =
        kept.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    asks(Method::PUT, &put.url, &headers, Some(bytes)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_what_was_signed_can_be_put_and_once() {
    let clock = Clock::system();
    let files = Files::start(&clock).await;
    let put = signed(&files, &clock, "files/one", 5).await;

    assert_eq!(puts(&put, &[], b"four").await.0, 403, "another length");
    assert_eq!(puts(&put, &[], b"sixsix").await.0, 403, "another length");
    assert_eq!(puts(&put, &[("content-type", "text/html")], b"hello").await.0, 403);
    assert_eq!(puts(&put, &[("content-type", "")], b"hello").await.0, 403);
    assert_eq!(puts(&put, &[("if-none-match", "")], b"hello").await.0, 403);
    let copied = puts(&put, &[("x-amz-copy-source", "chatboard/files/two")], b"hello").await;
    assert_eq!(copied, (403, "AccessDenied".to_owned()), "what is not signed says nothing");
    let acl = puts(&put, &[("x-amz-acl", "public-read")], b"hello").await;
    assert_eq!(acl, (403, "AccessDenied".to_owned()));
    for (from, to) in [
        ("files/one", "files/two"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=36000"),
        ("X-Amz-SignedHeaders=content-length%3B", "X-Amz-SignedHeaders="),
    ] {
        assert!(put.url.contains(from), "{}", put.url);
        let other = Put { url: put.url.replace(from, to), ..put.clone() };
        assert_eq!(puts(&other, &[], b"hello").await.0, 403, "{to}");
    }
    assert_eq!(asks(Method::GET, &put.url, &[], None).await.0, 403, "it is no address to read");
    assert_eq!(asks(Method::DELETE, &put.url, &[], None).await.0, 403);
    assert_eq!(files.keys(), Vec::<String>::new());

    assert_eq!(puts(&put, &[], b"hello").await.0, 200);
    let again = puts(&put, &[], b"again").await;
    assert_eq!(again, (412, "PreconditionFailed".to_owned()));
    let head = files.objects().head("files/one").await.unwrap().unwrap();
    assert_eq!((head.size, head.content_type.as_str()), (5, KIND));
    assert_eq!(&files.objects().get("files/one", 10).await.unwrap()[..], b"hello");
    assert_eq!(files.objects().head("files/two").await.unwrap(), None);
    files.objects().get("files/one", 4).await.unwrap_err();

    files.objects().delete("files/one").await.unwrap();
    files.objects().delete("files/one").await.unwrap();
    let left: Vec<_> = std::fs::read_dir(files.store().folder()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing tells of what is gone: {left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_end_in_time_and_lead_to_one_object() {
    let clock = Clock::system();
    let files = Files::start(&clock).await;
    let (early, late) = (
        signed(&files, &clock, "files/early", 5).await,
        signed(&files, &clock, "files/late", 5).await,
    );
    let objects = files.objects();
    let get = objects.presign_get("files/early", HEADERS, (now(&clock), HOUR)).await.unwrap();
    assert_eq!(puts(&early, &[], b"hello").await.0, 200);

    let answer = testkit::http::client(DEADLINE).get(&get).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-disposition"), DISPOSITION);
    assert_eq!(header("content-type"), KIND);
    assert_eq!(header("accept-ranges"), "bytes");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(&answer.bytes().await.unwrap()[..], b"hello");
    let range = [("range", "bytes=1-3")];
    assert_eq!(asks(Method::GET, &get, &range, None).await, (206, "ell".to_owned()));
    let other = get.replace("attachment", "inline");
    assert_ne!(other, get);
    assert_eq!(asks(Method::GET, &other, &[], None).await.0, 403, "nothing opens in the page");

    let bare = get.split('?').next().unwrap().to_owned();
    assert_eq!(asks(Method::GET, &bare, &[], None).await, (403, "AccessDenied".to_owned()));
    let basic = [("authorization", "Basic eDp5")];
    assert_eq!(asks(Method::GET, &bare, &basic, None).await, (403, "AccessDenied".to_owned()));
    for (path, status) in [
        ("/other/files/early", 404),
        ("/chatboard/../key", 400),
        ("/chatboard/files/%2e%2e/early", 400),
        ("/chatboard/.bucket", 400),
        ("/chatboard/files%2Fearly", 400),
    ] {
        let url = get.replace("/chatboard/files/early", path);
        let asked = raw(&files, path_of(&url)).await;
        assert!(asked.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {asked}");
    }

    clock.advance(HOUR + Duration::from_secs(2));
    assert_eq!(puts(&late, &[], b"hello").await, (403, "AccessDenied".to_owned()));
    assert_eq!(asks(Method::GET, &get, &[], None).await, (403, "AccessDenied".to_owned()));
    let fresh = signed(&files, &clock, "files/late", 5).await;
    assert_eq!(puts(&fresh, &[], b"hello").await.0, 200, "they live by the clock that moved");
    assert_eq!(files.keys(), ["files/early", "files/late"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_page_may_ask() {
    let clock = Clock::system();
    let files = Files::start(&clock).await;
    let put = signed(&files, &clock, "files/one", 5).await;
    let asked = testkit::http::client(DEADLINE)
        .request(Method::OPTIONS, &put.url)
        .header("origin", "http://localhost:8080")
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "content-type,if-none-match")
        .send()
        .await
        .unwrap();
    assert_eq!(asked.status(), StatusCode::OK);
    for (name, value) in
        [("allow-origin", "*"), ("allow-methods", "GET,HEAD,PUT"), ("allow-headers", "*")]
    {
        assert_eq!(asked.headers()[format!("access-control-{name}")], value);
    }
    let refused = testkit::http::client(DEADLINE)
        .put(&put.url)
        .header("origin", "http://localhost:8080")
        .body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(refused.headers()["access-control-allow-origin"], "*", "pages see why");
}

fn path_of(url: &str) -> &str {
    let rest = url.strip_prefix("http://").unwrap();
    &rest[rest.find('/').unwrap()..]
}

fn host(files: &Files) -> String {
    format!("127.0.0.1:{}", files.store().port())
}

/// Asks for a path exactly as it is spelled, and reads the answer.
async fn raw(files: &Files, path: &str) -> String {
    let mut stream = TcpStream::connect(host(files)).await.unwrap();
    let host = host(files);
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    testkit::within("an answer", stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

/// Begins to put five bytes, and sends the first two.
async fn begins(files: &Files, put: &Put) -> TcpStream {
    let mut head = format!("PUT {} HTTP/1.1\r\nhost: {}\r\n", path_of(&put.url), host(files));
    for (name, value) in &put.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("content-length: 5\r\nconnection: close\r\n\r\nhe");
    let mut stream = TcpStream::connect(host(files)).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_put_at_once_one_is_refused_and_half_a_file_is_none() {
    let clock = Clock::system();
    let files = Files::start(&clock).await;
    let put = signed(&files, &clock, "files/one", 5).await;
    let mut slow = begins(&files, &put).await;
    eventually("the first is under way", DEADLINE, async || {
        let mut entries = std::fs::read_dir(files.store().folder()).unwrap();
        entries
            .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with(".tmp."))
            .then_some(())
    })
    .await;
    let second = puts(&put, &[], b"other").await;
    assert_eq!(second, (409, "ConditionalRequestConflict".to_owned()));
    slow.write_all(b"llo").await.unwrap();
    let mut answer = String::new();
    testkit::within("an answer", slow.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(&files.objects().get("files/one", 10).await.unwrap()[..], b"hello");

    let put = signed(&files, &clock, "files/two", 5).await;
    drop(begins(&files, &put).await);
    eventually("it can be put again", DEADLINE, async || {
        (puts(&put, &[], b"whole").await.0 == 200).then_some(())
    })
    .await;
    assert_eq!(&files.objects().get("files/two", 10).await.unwrap()[..], b"whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_outlive_the_store_and_its_absence_is_told() {
    let clock = Clock::system();
    let files = Files::start(&clock).await;
    let put = signed(&files, &clock, "files/one", 5).await;
    assert_eq!(puts(&put, &[], b"hello").await.0, 200);
    let objects = files.objects();
    objects.ensure_bucket().await.unwrap();
    assert_eq!(objects.origin().await.unwrap(), files.store().url());
    let get = objects.presign_get("files/one", HEADERS, (now(&clock), HOUR)).await.unwrap();

    files.goes_away().await;
    objects.ensure_bucket().await.unwrap_err();
    objects.head("files/one").await.unwrap_err();
    files.comes_back().await;
    objects.ensure_bucket().await.unwrap();
    assert_eq!(asks(Method::GET, &get, &[], None).await, (200, "hello".to_owned()));
    assert_eq!(puts(&put, &[], b"again").await.0, 412);
}
