//! Signatures as Standard Webhooks write them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::webhook::WebhookSecret;
use ring::hmac;

/// The header `webhook-signature`: one signature per secret, separated by spaces. Secrets that
/// cannot be read sign nothing.
pub(crate) fn signatures(secrets: &[String], id: &str, timestamp: i64, body: &str) -> String {
    let signed = format!("{id}.{timestamp}.{body}");
    let one = |secret: &String| {
        let secret = WebhookSecret::parse(secret).ok()?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.key());
        let tag = hmac::sign(&key, signed.as_bytes());
        Some(format!("v1,{}", STANDARD.encode(tag.as_ref())))
    };
    secrets.iter().filter_map(one).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::signatures;

    /// The example of the Standard Webhooks libraries.
    #[test]
    fn the_specification_s_example_is_signed_as_it_says() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let one = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let body = r#"{"test": 2432232314}"#;
        assert_eq!(signatures(std::slice::from_ref(&secret), id, 1_614_265_330, body), one);
        let two = signatures(&[secret.clone(), secret], id, 1_614_265_330, body);
        assert_eq!(two, format!("{one} {one}"));
    }
}
