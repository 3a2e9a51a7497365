//! Counts the steps of text processing, so that tests can bound its cost without a clock.
//!
//! One step is one character or one run of characters that a loop looks at. Outside of tests
//! counting compiles to nothing.

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts `steps` more.
#[cfg_attr(not(test), expect(clippy::missing_const_for_fn, reason = "it counts in tests"))]
pub(crate) fn count(steps: usize) {
    #[cfg(test)]
    STEPS.with(|counted| counted.set(counted.get() + steps));
    #[cfg(not(test))]
    let _ = steps;
}

/// The steps that `work` takes on this thread.
#[cfg(test)]
pub(crate) fn of<T>(work: impl FnOnce() -> T) -> usize {
    STEPS.with(|counted| counted.set(0));
    let _ = work();
    STEPS.with(std::cell::Cell::get)
}

#[cfg(test)]
pub(crate) mod worst {
    //! Message texts that cost the most, each of 10,000 characters.

    use crate::limits::MESSAGE_CHARS_MAX;

    fn repeated(pattern: &str) -> String {
        pattern.chars().cycle().take(MESSAGE_CHARS_MAX).collect()
    }

    /// Backtick runs of 1, 2, 3, … characters: no run closes another.
    fn rising_runs() -> String {
        let runs: Vec<String> = (1..200).map(|length| "`".repeat(length)).collect();
        runs.join(" ").chars().take(MESSAGE_CHARS_MAX).collect()
    }

    /// Each text with its name.
    pub(crate) fn texts() -> Vec<(&'static str, String)> {
        let han = (0x4e00..).filter_map(char::from_u32).take(MESSAGE_CHARS_MAX).collect();
        let sparse: String =
            repeated("@!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!");
        vec![
            ("at signs", repeated("@")),
            ("dotted at signs", repeated("@.")),
            ("at signs between words", repeated("@a ")),
            ("at signs before punctuation", sparse),
            ("names without end", format!("@{}", &repeated("1.")[1..])),
            ("many full names", repeated("@a.b@c.d ")),
            ("names with spaces", repeated("@a.b c.d e.f g.h i.j k.l m.n ")),
            ("names of combining marks", repeated("@a\u{301}\u{316}.")),
            ("invisible characters", repeated("@\u{200d}\u{2060}")),
            ("words of invisible characters", format!("@a{}", &repeated("\u{200d}")[3..])),
            ("distinct Han letters", han),
            ("rising backtick runs", rising_runs()),
            ("nested brackets", repeated("[(<{")),
            ("nested quotes", repeated("> ")),
            ("fences", repeated("```\n~~~\n")),
            ("combining marks", format!("a{}", &repeated("\u{301}\u{316}")[2..])),
            ("marks that are kept", format!("a{}", &repeated("\u{591}\u{5b0}")[2..])),
            ("letters that expand", repeated("\u{fdfa}")),
            ("dotted words", repeated("ab.")),
            ("emoji", repeated("\u{1f680}")),
            (
                "emoji sequences",
                repeated("\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}"),
            ),
            ("capitals that grow", repeated("\u{130}@")),
        ]
    }
}
