//! Whose pages may call us: a browser's `Origin` against what is configured.

/// Whether an origin is one of ours: configured, that of the public URL, or the very host and
/// port that the request was sent to.
pub fn is_allowed(
    origin: &str,
    host: Option<&str>,
    public_url: &str,
    allowed_origins: &[String],
) -> bool {
    let Some((_, authority)) = origin.split_once("://") else { return false };
    let is = |other: &str| origin_of(other).eq_ignore_ascii_case(origin);
    is(public_url)
        || allowed_origins.iter().any(|allowed| is(allowed))
        || host.is_some_and(|host| host.eq_ignore_ascii_case(authority))
}

/// An URL up to its path.
fn origin_of(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    &url[..end]
}
