//! Files, as clients upload them: announced, put into the store, completed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::http;
use crate::person::Person;
use crate::reply::Reply;

/// How long the store may take.
const STORE_TIMEOUT: Duration = Duration::from_secs(30);

/// An answer of the object store.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Asks the store for what is at a signed address.
pub async fn fetch(url: &str) -> Stored {
    stored(http::client(STORE_TIMEOUT).get(url)).await
}

/// Puts bytes under a signed address, with these headers.
pub async fn put(url: &str, headers: &Value, bytes: &[u8]) -> Stored {
    let mut request = http::client(STORE_TIMEOUT).put(url).body(bytes.to_vec());
    for (name, value) in headers.as_object().expect("headers are an object") {
        request = request.header(name, value.as_str().expect("a header is a text"));
    }
    stored(request).await
}

async fn stored(request: reqwest::RequestBuilder) -> Stored {
    let response = request.send().await.expect("the store answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.expect("the store's answer is whole").to_vec();
    Stored { status, headers, bytes }
}

impl Person {
    /// Announces a file.
    pub async fn announces(&self, filename: &str, content_type: &str, size: usize) -> Reply {
        let body = json!({"filename": filename, "content_type": content_type, "file_size": size});
        self.post("/uploads/presign/", body).await
    }

    /// Announces a file and puts it into the store; it is still to be completed.
    pub async fn puts(&self, filename: &str, content_type: &str, bytes: &[u8]) -> Value {
        let announced = self.announces(filename, content_type, bytes.len()).await.is(201);
        let url = announced["upload_url"].as_str().expect("an address");
        let answer = put(url, &announced["headers"], bytes).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
        announced
    }

    /// Completes an upload.
    pub async fn completes(&self, upload: &Value) -> Reply {
        let id = upload["id"].as_str().expect("an upload has an id");
        self.post_empty(&format!("/uploads/{id}/complete/")).await
    }

    /// Uploads a file.
    pub async fn uploads(&self, filename: &str, content_type: &str, bytes: &[u8]) -> Value {
        let announced = self.puts(filename, content_type, bytes).await;
        self.completes(&announced).await.is(200)
    }

    /// Sends a message that carries an upload.
    pub async fn posts_file(&self, room: i64, upload: &Value) -> Value {
        let body = json!({"upload_id": upload["id"]});
        self.post(&format!("/messages/rooms/{room}/"), body).await.is(201)
    }

    /// Asks for an upload.
    pub async fn upload(&self, upload: &Value) -> Reply {
        let id = upload["id"].as_str().expect("an upload has an id");
        self.get(&format!("/uploads/{id}/")).await
    }
}
