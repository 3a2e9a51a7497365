//! Short texts that people see: trimmed, bounded, without control characters.

/// Takes a text of `min..=max` characters after trimming.
///
/// # Errors
/// A sentence for the client: too short, too long, or a control character (Unicode Cc) inside.
pub fn label(text: &str, min: usize, max: usize) -> Result<String, String> {
    let text = text.trim();
    let chars = text.chars().count();
    if text.chars().any(char::is_control) {
        return Err("must not contain control characters".to_owned());
    }
    if chars < min {
        return Err(if min == 1 {
            "must not be blank".to_owned()
        } else {
            format!("must have at least {min} characters")
        });
    }
    if chars > max {
        return Err(format!("must have at most {max} characters"));
    }
    Ok(text.to_owned())
}

/// Takes an absolute `http` or `https` URL of at most `max` characters, as text.
///
/// # Errors
/// A sentence for the client.
pub fn http_url(text: &str, max: usize) -> Result<String, String> {
    let text = text.trim();
    if text.chars().count() > max {
        return Err(format!("must have at most {max} characters"));
    }
    let url = url::Url::parse(text).map_err(|_| "must be an absolute URL".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err("must be an http or https URL".to_owned());
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("must not contain blanks or control characters".to_owned());
    }
    Ok(text.to_owned())
}
