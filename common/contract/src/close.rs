//! Every reason for which a socket is closed: one table of numbers, words and advice.
//!
//! **Invariant:** no other file spells a close code. The reason that travels is the short word;
//! RFC 6455 leaves 123 bytes for it.

/// What a client should do after a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing: the other side wanted it.
    Nothing,
    /// Coming back would only fail again.
    DoNotRetry,
    /// Come back with `after`, with backoff.
    Resume,
    /// Get a new token, then come back with `after`.
    RenewToken,
    /// Wait a while, then come back with `after`.
    WaitThenResume,
}

impl Advice {
    /// What to do, to follow "the client should".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "do nothing",
            Self::DoNotRetry => "not retry",
            Self::Resume => "resume with `after`, with backoff",
            Self::RenewToken => "renew the token, then resume",
            Self::WaitThenResume => "wait, then resume",
        }
    }
}

macro_rules! closes {
    ($($(#[doc = $sentence:literal])+ $variant:ident = $code:literal, $reason:literal, $advice:ident;)*) => {
        /// Why a socket is closed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Close {
            $($(#[doc = $sentence])+ $variant,)*
        }

        impl Close {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The close code.
            pub fn code(self) -> u16 {
                match self { $(Self::$variant => $code,)* }
            }

            /// The short word that travels with the code.
            pub fn reason(self) -> &'static str {
                match self { $(Self::$variant => $reason,)* }
            }

            /// What the client should do.
            pub fn advice(self) -> Advice {
                match self { $(Self::$variant => Advice::$advice,)* }
            }

            /// One sentence for people.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$variant => concat!($($sentence),+).trim_ascii(),)* }
            }
        }
    };
}

closes! {
    /// Both sides are done.
    Normal = 1000, "normal", Nothing;
    /// A binary frame came; only text is spoken here.
    Binary = 1003, "binary", DoNotRetry;
    /// A frame or message was larger than 256 KiB.
    TooLarge = 1009, "too_large", DoNotRetry;
    /// The server is going away, or cannot fill a gap in a room's events.
    Restarting = 1012, "restarting", Resume;
    /// The server cannot serve the socket now, or the user has 100 sockets on this edge already.
    Overloaded = 1013, "overloaded", Resume;
    /// The token is missing, bad, expired, or its login was revoked.
    Unauthenticated = 4001, "unauthenticated", RenewToken;
    /// There is no such room for this user.
    NoSuchRoom = 4003, "no_such_room", DoNotRetry;
    /// The room is no number, or `after` is malformed.
    Malformed = 4400, "malformed", DoNotRetry;
    /// The client reads too slowly.
    TooSlow = 4008, "too_slow", Resume;
    /// No pong came for 60 seconds.
    NoPong = 4408, "no_pong", Resume;
    /// The client went over the frame limit again and again.
    Flood = 4429, "flood", WaitThenResume;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_close_has_its_own_code_and_a_sentence() {
        let mut codes: Vec<u16> = Close::ALL.iter().map(|close| close.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Close::ALL.len());
        assert!(Close::ALL.iter().all(|close| close.sentence().ends_with('.')));
        assert_eq!(Close::TooSlow.advice(), Advice::Resume);
    }
}
