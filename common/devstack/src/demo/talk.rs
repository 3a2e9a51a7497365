//! What the people of the demo data say, scene by scene.

/// The people, by their places in [`super::PEOPLE`].
pub(super) const ADA: usize = 0;
pub(super) const GRACE: usize = 1;
pub(super) const ALAN: usize = 2;
pub(super) const KATHERINE: usize = 3;

/// When a scene begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begins {
    /// On an earlier working day.
    Earlier {
        /// Working days ago.
        workdays: u32,
        /// Hour of the day, UTC.
        hour: u32,
        minute: u32,
    },
    /// So that its last line was said a few minutes ago.
    JustNow,
}

/// A conversation without a long pause.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) begins: Begins,
    pub(super) lines: &'static [Line],
}

/// One message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// Whose it is.
    pub(super) who: usize,
    /// Minutes after the line before it.
    pub(super) gap: u32,
    pub(super) text: &'static str,
    /// Emoji, and who reacted with them.
    pub(super) reactions: &'static [(&'static str, &'static [usize])],
    /// How many lines of the room above it stands the one that it answers; 0 is none.
    pub(super) answers: usize,
    /// Whether it carries the picture of the demo data.
    pub(super) has_picture: bool,
}

impl Line {
    const fn liked(self, reactions: &'static [(&'static str, &'static [usize])]) -> Self {
        Self { reactions, ..self }
    }

    const fn answering(self, answers: usize) -> Self {
        Self { answers, ..self }
    }

    const fn with_picture(self) -> Self {
        Self { has_picture: true, ..self }
    }
}

const fn say(who: usize, gap: u32, text: &'static str) -> Line {
    Line { who, gap, text, reactions: &[], answers: 0, has_picture: false }
}

const fn ago(workdays: u32, hour: u32, minute: u32) -> Begins {
    Begins::Earlier { workdays, hour, minute }
}

pub(super) const GENERAL: &[Scene] = &[
    Scene {
        begins: ago(7, 9, 4),
        lines: &[
            say(ADA, 0, "Good morning! Welcome to our new chat. Everything that everyone should know goes in here."),
            say(KATHERINE, 2, "Morning :) Does it work on a phone?").liked(&[("👋", &[ADA, GRACE])]),
            say(ADA, 1, "Yes. Open the same address, sign in, and add it to the home screen.").answering(1),
            say(KATHERINE, 3, "It does. And it found the message that I had written on the train without a network."),
            say(ALAN, 14, "Where do I mute a room? Asking for a friend who has just joined #random."),
            say(GRACE, 1, "The **…** at the top right. You can choose *mentions only* too.").liked(&[("🙏", &[ALAN])]),
        ],
    },
    Scene {
        begins: ago(5, 10, 31),
        lines: &[
            say(GRACE, 0, "Dates for the release, as agreed in the meeting:"),
            say(GRACE, 1, "| Step | Who | When |\n|:--|:--|--:|\n| Feature freeze | everyone | Tuesday |\n| Test on staging | @Alan.Turing | Wednesday |\n| Notes for customers | @Katherine.Johnson | Wednesday |\n| Release | @Grace.Hopper | Thursday, 10:00 |")
                .liked(&[("👍", &[ADA, ALAN, KATHERINE])]),
            say(ALAN, 6, "Wednesday works. I need the new search index on staging by Tuesday evening."),
            say(GRACE, 2, "You'll have it by noon."),
            say(KATHERINE, 9, "I'd like to show a number in the notes. How much faster is it really?"),
            say(ALAN, 4, "I'll measure it tonight with a full copy of the data."),
        ],
    },
    Scene {
        begins: ago(4, 9, 12),
        lines: &[
            say(ALAN, 0, "Here it is. Grey is what customers have today, blue is staging.").with_picture().liked(&[("🎉", &[ADA, GRACE, KATHERINE]), ("🚀", &[GRACE])]),
            say(ALAN, 1, "Same machine, same data, 95th percentile over a week of recorded searches."),
            say(KATHERINE, 3, "From 250 ms to 50. I can work with that!"),
            say(ADA, 5, "Can we say \"five times faster\" without anyone feeling cheated?"),
            say(ALAN, 2, "Short words: five times. Whole sentences: nine times. So yes.").answering(1),
        ],
    },
    Scene {
        begins: ago(2, 14, 20),
        lines: &[
            say(ADA, 0, "@room decision needed: the customer in Lisbon asks for the release on Friday instead of Thursday, because of their audit."),
            say(GRACE, 3, "I would rather not release on a Friday."),
            say(KATHERINE, 1, "Nor would I. Could they stay on the old version until Monday, and everyone else moves on Thursday?"),
            say(ALAN, 2, "That works: they have their own shard. Nothing to build."),
            say(ADA, 4, "**Decision:** release on Thursday for everyone but Lisbon, Lisbon follows on Monday at 9:00. I'll tell them.")
                .liked(&[("✅", &[GRACE, ALAN, KATHERINE])]),
        ],
    },
    Scene {
        begins: ago(1, 10, 2),
        lines: &[
            say(GRACE, 0, "Release is out. No errors, search is at 51 ms."),
            say(ALAN, 1, "🎉"),
            say(ADA, 3, "Well done, everyone. Lisbon says thank you for the extra days.").liked(&[("❤️", &[GRACE, ALAN, KATHERINE])]),
            say(KATHERINE, 22, "The notes are online: https://acme.example/news/faster-search"),
        ],
    },
    Scene {
        begins: Begins::JustNow,
        lines: &[
            say(KATHERINE, 0, "Morning! Two customers already wrote that search \"feels instant\"."),
            say(ALAN, 2, "That's the nicest bug report we ever had.").liked(&[("😂", &[ADA, KATHERINE])]),
            say(GRACE, 6, "Retro at 14:00. Bring one thing that went well and one that didn't:\n\n1. the plan (went well)\n2. the staging data (didn't)\n3. …"),
            say(KATHERINE, 3, "@Ada.Lovelace could you open the call for it? I'm on a train until then."),
        ],
    },
];

pub(super) const ENGINEERING: &[Scene] = &[
    Scene {
        begins: ago(6, 11, 8),
        lines: &[
            say(
                ALAN,
                0,
                "`reconnects_after_a_partition` fails on the slow machine, about once in forty runs.",
            ),
            say(GRACE, 4, "Timing?"),
            say(ALAN, 2, "I thought so too. But it waits for a value, it has no clock in it.")
                .answering(1),
            say(
                ALAN,
                9,
                "```\nexpected seq 118, found 120\n  left:  [.., 116, 117, 120]\n  right: [.., 116, 117, 118, 119, 120]\n```",
            ),
            say(GRACE, 3, "So a gap that nobody repaired. That's a bug, not a flaky test.")
                .liked(&[("💯", &[ALAN])]),
            say(
                ALAN,
                48,
                "Found it. We asked for the head *before* the subscription was acknowledged:\n\n```rust\nlet head = log.head().await?;   // 117\nlet live = log.subscribe().await?; // 118 and 119 fell in between\n```",
            ),
            say(GRACE, 2, "Two lines in the wrong order, and a week of red builds. Good find!")
                .liked(&[("🎉", &[KATHERINE, ADA])]),
            say(ALAN, 15, "Review is up. Small change, long comment."),
            say(KATHERINE, 31, "Approved. I like the comment better than the change."),
        ],
    },
    Scene {
        begins: ago(3, 15, 40),
        lines: &[
            say(
                KATHERINE,
                0,
                "@room the staging database moves at 16:00. Expect a minute of silence.",
            ),
            say(GRACE, 1, "Noted 👍"),
            say(KATHERINE, 24, "Moved, it took 40 seconds. Dashboards are green."),
            say(ALAN, 4, "The index builds twice as fast there. What changed?"),
            say(KATHERINE, 2, "Local disks instead of network ones. Costs less too.")
                .answering(1)
                .liked(&[("👀", &[GRACE])]),
        ],
    },
    Scene {
        begins: Begins::JustNow,
        lines: &[
            say(
                GRACE,
                0,
                "I'd like to drop the old search endpoint next month. Two customers still call it.",
            ),
            say(
                ALAN,
                5,
                "Let's write to them first, and answer with a `Deprecation` header from today on:\n\n- [x] header in staging\n- [ ] mail to both\n- [ ] remove on the 1st",
            ),
            say(GRACE, 3, "Perfect. I'll take the mail.")
                .answering(1)
                .liked(&[("👍", &[ALAN, KATHERINE])]),
        ],
    },
];

pub(super) const RANDOM: &[Scene] = &[
    Scene {
        begins: ago(6, 8, 51),
        lines: &[
            say(GRACE, 0, "The coffee machine is back from the dead ☕"),
            say(ADA, 3, "Whom do we thank?"),
            say(GRACE, 1, "@Katherine.Johnson and a paper clip."),
            say(KATHERINE, 2, "It was two paper clips.").liked(&[("😂", &[ADA, GRACE, ALAN])]),
        ],
    },
    Scene {
        begins: ago(3, 12, 14),
        lines: &[
            say(
                ALAN,
                0,
                "Puzzle for lunch: a number that is both the sum and the product of three positive integers?",
            ),
            say(KATHERINE, 1, "6, by 1, 2 and 3. Next one, please."),
            say(ALAN, 1, "You are no fun."),
            say(
                ADA,
                4,
                "My cat has found the button of the standing desk. I now work at cat height.",
            ),
            say(GRACE, 2, "We need a picture of that."),
        ],
    },
    Scene {
        begins: ago(1, 16, 48),
        lines: &[
            say(ADA, 0, "Cake in the kitchen, for the release! 🍰")
                .liked(&[("🍰", &[GRACE, ALAN]), ("😍", &[KATHERINE])]),
            say(ALAN, 6, "There *was* cake in the kitchen."),
        ],
    },
];

pub(super) const LEADERSHIP: &[Scene] = &[
    Scene {
        begins: ago(4, 17, 5),
        lines: &[
            say(
                ADA,
                0,
                "Can we talk about next quarter here, before it is public? My draft has three goals. I'd rather have two.",
            ),
            say(GRACE, 6, "Which one would you drop?"),
            say(ADA, 3, "The third. It's a nice idea that nobody has asked for."),
            say(
                GRACE,
                2,
                "Agreed. Then: *faster search everywhere*, and *nobody waits for an invitation*.",
            ),
        ],
    },
    Scene {
        begins: ago(1, 9, 30),
        lines: &[say(
            ADA,
            0,
            "I'll tell everyone on Monday, in the meeting and not in the hallway.",
        )
        .liked(&[("👍", &[GRACE])])],
    },
];

pub(super) const DIRECT: &[Scene] = &[
    Scene {
        begins: ago(5, 13, 15),
        lines: &[
            say(ALAN, 0, "Do you have ten minutes for the proof?"),
            say(ADA, 2, "Always. Is it the halting one again?"),
            say(ALAN, 1, "It never ends. :)"),
            say(ADA, 1, "Very good. Blue room, now?"),
            say(ALAN, 42, "Thank you, that helped. I had the quantifiers the wrong way round."),
        ],
    },
    Scene {
        begins: Begins::JustNow,
        lines: &[
            say(ADA, 0, "The numbers made the whole difference with Lisbon. Thank you!"),
            say(ALAN, 4, "With pleasure. Shall I show how I measured in the retro?"),
        ],
    },
];

pub(super) const TRAVEL: &[Scene] = &[Scene {
    begins: ago(2, 11, 20),
    lines: &[
        say(
            KATHERINE,
            0,
            "I've booked the 7:40 train to Lisbon for us, and the hotel by the river.",
        ),
        say(GRACE, 3, "Window seat?"),
        say(KATHERINE, 1, "Of course.").liked(&[("🚆", &[GRACE])]),
    ],
}];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_stand_below_what_they_answer_and_gaps_are_short() {
        for talk in [GENERAL, ENGINEERING, RANDOM, LEADERSHIP, DIRECT, TRAVEL] {
            let lines: Vec<&Line> = talk.iter().flat_map(|scene| scene.lines).collect();
            for (place, line) in lines.iter().enumerate() {
                assert!(line.answers <= place, "{}", line.text);
                assert!(line.gap < 60, "{}", line.text);
            }
        }
    }
}
