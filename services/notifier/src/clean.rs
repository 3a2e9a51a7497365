//! Text that people wrote, made harmless for mails.
//!
//! Mails go to strangers from the operator's sender, so what somebody wrote must not look like what
//! we say, or lead anywhere. **Invariant:** what comes out of here has no control or formatting
//! characters that change how other text reads, and nothing that mail programs turn into a link:
//! the dots of host names and the colons of schemes are followed by a space.

/// Characters of a line.
const LINE_CHARS_MAX: usize = 150;
/// Characters of a name inside a sentence of ours.
const QUOTED_CHARS_MAX: usize = 40;
/// Characters of a message that a digest shows.
const TEXT_CHARS_MAX: usize = 500;

/// A name inside a sentence of ours: one line, cut, without addresses of pages, in quotation marks
/// that it cannot close.
pub(crate) fn quoted(name: &str) -> String {
    let name: String = one_line(name).chars().filter(|&c| !is_quotation_mark(c)).collect();
    let words: Vec<&str> =
        name.split_whitespace().map(|word| if is_page(word) { "…" } else { word }).collect();
    format!("“{}”", cut(&unlinked(&words.join(" ")), QUOTED_CHARS_MAX))
}

/// Whether a word names a page on the web.
fn is_page(word: &str) -> bool {
    word.contains("://") || word.to_lowercase().contains("www.")
}

/// One line of bounded length.
pub(crate) fn line(text: &str) -> String {
    cut(&unlinked(&one_line(text)), LINE_CHARS_MAX)
}

/// A message's text, cut to what a mail shows; its lines stay.
pub(crate) fn excerpt(text: &str) -> String {
    excerpt_of(text.chars())
}

/// Reads no more of a text than it shows.
fn excerpt_of(text: impl Iterator<Item = char>) -> String {
    let mut chars = text.filter(|&c| !is_invisible(c)).peekable();
    let mut clean = String::new();
    let mut count = 0;
    while count <= TEXT_CHARS_MAX {
        let Some(c) = chars.next() else { break };
        let is_of_start = clean.is_empty() && (c.is_whitespace() || is_break(c));
        let is_of_line_end = c == '\r' && chars.peek() == Some(&'\n');
        if !is_of_start && !is_of_line_end {
            clean.push(if c != '\n' && is_break(c) { ' ' } else { c });
            count += 1;
        }
    }
    cut(&unlinked(clean.trim_end()), TEXT_CHARS_MAX)
}

fn one_line(text: &str) -> String {
    let spaced: String = text
        .chars()
        .filter(|&c| !is_invisible(c))
        .map(|c| if is_break(c) { ' ' } else { c })
        .collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Puts a space behind each dot that may be one of a host name's, and each colon that may end a
/// scheme, so that no mail program finds an address: `https: //evil. example/x`. Dots that IDNA
/// (UTS 46) reads as `.` count too.
fn unlinked(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        clean.push(c);
        let next = chars.peek().copied().unwrap_or(' ');
        let is_dot = is_dot(c) && is_of_host(before) && is_of_host(next);
        let is_scheme = c == ':' && before.is_alphabetic() && !next.is_whitespace();
        if is_dot || is_scheme {
            clean.push(' ');
        }
        before = c;
    }
    clean
}

/// Whether a character may stand beside a dot in a host name or an IPv4 address.
fn is_of_host(c: char) -> bool {
    c.is_alphanumeric() || c == '-' || c == '_'
}

fn is_dot(c: char) -> bool {
    matches!(c, '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}' | '\u{2024}')
}

/// Control characters and separators of lines and paragraphs.
fn is_break(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Characters that show nothing but change how other text reads or where words end: bidirectional
/// controls, zero-width spaces, soft hyphens, tags. The joiners of emoji and of several scripts
/// (U+200C, U+200D) and variation selectors stay.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn is_quotation_mark(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„' | '‟' | '«' | '»' | '＂')
}

fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::{TEXT_CHARS_MAX, cut, excerpt, excerpt_of, line, quoted};

    #[test]
    fn lines_are_one_line_and_bounded() {
        assert_eq!(line(" a\r\n\tb\u{202e}c "), "a bc");
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(line(&"x".repeat(500)).chars().count(), 151);
        assert_eq!(excerpt("a\r\nb\u{7}c\n"), "a\nb c");
    }

    #[test]
    fn an_excerpt_reads_what_it_shows_and_nothing_twice() {
        let han: String = (0x4e00..).filter_map(char::from_u32).take(10_000).collect();
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}";
        for (pattern, invisible) in [
            ("@", 0),
            ("[(<{", 0),
            ("e\u{301}\u{316}", 0),
            ("a.b:c ", 0),
            (family, 0),
            (han.as_str(), 0),
            // What shows nothing is read over.
            ("\u{200b}", 10_000),
            (" ", 10_000),
            ("\r\n", 10_000),
        ] {
            let mut read = 0;
            let text = pattern.chars().cycle().take(10_000).inspect(|_| read += 1);
            let shown = excerpt_of(text);
            assert!(read <= TEXT_CHARS_MAX + 2 + invisible, "{read} characters of {pattern:?}");
            assert!(shown.chars().count() <= TEXT_CHARS_MAX + 1);
        }
    }

    #[test]
    fn names_cannot_leave_their_quotation_marks() {
        assert_eq!(quoted("Acme"), "“Acme”");
        assert_eq!(quoted("a” \"says\" «we» \r\nBcc: x"), "“a says we Bcc: x”");
        assert_eq!(quoted("renew: (https://evil.example/x) WWW.evil.example"), "“renew: … …”");
        assert_eq!(quoted("Acme.example"), "“Acme. example”");
        let long = quoted(&"y".repeat(120));
        assert_eq!(long, format!("“{}…”", "y".repeat(40)));
    }

    #[test]
    fn nothing_that_is_written_becomes_a_link() {
        for (written, shown) in [
            ("renew at https://evil.example/renew", "renew at https: //evil. example/renew"),
            ("www.evil.example", "www. evil. example"),
            ("http://10.0.0.1/x", "http: //10. 0. 0. 1/x"),
            ("evil\u{3002}example", "evil\u{3002} example"),
            ("ev\u{200b}il.exa\u{ad}mple", "evil. example"),
            ("mailto:a@b.example", "mailto: a@b. example"),
            ("J. R. Smith, Ltd. at 10:30", "J. R. Smith, Ltd. at 10:30"),
            ("so... yes", "so... yes"),
        ] {
            assert_eq!(line(written), shown);
            assert_eq!(excerpt(written), shown);
        }
    }
}
