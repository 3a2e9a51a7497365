//! An answer over HTTP.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// What a request was answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The request, for messages of failed tests.
    pub request: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
}

impl Reply {
    /// Whether an api has answered, and not a proxy before it.
    pub fn is_of_the_api(&self) -> bool {
        self.headers.contains_key("x-request-id")
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// A header as text; empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body, if the status is this one.
    #[track_caller]
    pub fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.request, self.text);
        self.json()
    }

    /// Checks that it is a problem of this status and code, well-formed, and returns it.
    #[track_caller]
    pub fn refuses(&self, status: u16, code: &str) -> Value {
        let problem = self.is(status);
        assert_eq!(problem["code"], code, "{}: {}", self.request, self.text);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.request);
        assert_eq!(problem["status"], status, "{}", self.request);
        for field in ["type", "title", "detail", "request_id"] {
            assert!(problem[field].is_string(), "{}: no {field} in {}", self.request, self.text);
        }
        assert_eq!(problem["request_id"], self.header("x-request-id"), "{}", self.request);
        problem
    }

    /// Checks that it is a 422 that names exactly these fields.
    #[track_caller]
    pub fn blames(&self, fields: &[&str]) {
        let problem = self.refuses(422, "validation_failed");
        let errors = problem["errors"].as_object().expect("errors is an object");
        let mut named: Vec<&str> = errors.keys().map(String::as_str).collect();
        let mut fields = fields.to_vec();
        named.sort_unstable();
        fields.sort_unstable();
        assert_eq!(named, fields, "{}: {}", self.request, self.text);
    }

    /// The `results` of a page.
    #[track_caller]
    pub fn results(&self) -> Vec<Value> {
        let page = self.is(200);
        page["results"].as_array().unwrap_or_else(|| panic!("no page: {}", self.text)).clone()
    }
}
