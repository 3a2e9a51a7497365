//! Passwords: which may be set, and the form in which they are hashed and compared.

use std::collections::HashSet;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;

use crate::limits::PASSWORD_CHARS;

/// Different characters that a password has at least.
const DIFFERENT_CHARS_MIN: usize = 3;
/// Common passwords of at least 8 characters, folded and sorted; lines that begin with `#!` name
/// their source and license.
const COMMON: &str = include_str!("common_passwords.txt");

static COMMON_SORTED: LazyLock<Vec<&str>> =
    LazyLock::new(|| COMMON.lines().filter(|line| !line.starts_with("#!")).collect());

/// The account that a password is for, whose address and names are refused.
#[derive(Clone, Copy, Default)]
pub struct PasswordOwner<'a> {
    /// The account's address.
    pub email: &'a str,
    /// First name, may be empty.
    pub first_name: &'a str,
    /// Last name, may be empty.
    pub last_name: &'a str,
}

/// A password that may be set, in Unicode's composed form (NFC). Its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct NewPassword(String);

impl NewPassword {
    /// Checks a new password: 8 to 128 characters in NFC, at least [`DIFFERENT_CHARS_MIN`] different
    /// ones, not a common password, not the owner's e-mail address or name. Comparisons ignore case.
    ///
    /// # Errors
    /// A sentence for the client.
    pub fn parse(text: &str, owner: &PasswordOwner<'_>) -> Result<Self, String> {
        let password = composed(text);
        if !PASSWORD_CHARS.contains(&password.chars().count()) {
            return Err("must have 8 to 128 characters".to_owned());
        }
        let folded = fold(&password);
        if folded.chars().collect::<HashSet<_>>().len() < DIFFERENT_CHARS_MIN {
            return Err("must have at least 3 different characters".to_owned());
        }
        if COMMON_SORTED.binary_search(&folded.as_str()).is_ok() {
            return Err("is too common: choose another one".to_owned());
        }
        if owner.is_named(&folded) {
            return Err("must not be your e-mail address or name".to_owned());
        }
        Ok(Self(password))
    }

    /// The password itself; never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewPassword")
    }
}

impl PasswordOwner<'_> {
    fn is_named(&self, folded: &str) -> bool {
        let Self { email, first_name, last_name } = self;
        let local_part = email.rsplit_once('@').map_or("", |(local, _)| local);
        let names = [
            (*email).to_owned(),
            local_part.to_owned(),
            (*first_name).to_owned(),
            (*last_name).to_owned(),
            format!("{first_name} {last_name}"),
            format!("{first_name}{last_name}"),
        ];
        names.iter().any(|name| fold(&composed(name)) == folded)
    }
}

/// The NFC form, in which passwords are hashed: systems differ in the form that their keyboards
/// produce.
pub fn composed(password: &str) -> String {
    password.nfc().collect()
}

/// Folds case: to upper case first, so that `ß` equals `ss`.
fn fold(composed_text: &str) -> String {
    composed(&composed_text.to_uppercase().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: PasswordOwner<'static> =
        PasswordOwner { email: "Ada.Lovelace@chat.test", first_name: "Ada", last_name: "Lovelace" };

    #[test]
    fn the_list_is_sorted_and_folded() {
        assert!(COMMON_SORTED.len() > 8_000, "{}", COMMON_SORTED.len());
        assert!(COMMON_SORTED.is_sorted());
        for password in COMMON_SORTED.iter() {
            assert_eq!(fold(&composed(password)), *password);
            assert!(password.chars().count() >= 8, "{password}");
        }
    }

    #[test]
    fn common_passwords_are_refused_whatever_their_case() {
        for password in ["password", "12345678", "aaaaaaaa", "PassWord1", "ILoveYou1"] {
            NewPassword::parse(password, &ADA).unwrap_err();
        }
        NewPassword::parse("password of mine", &ADA).unwrap();
    }

    #[test]
    fn a_password_has_three_different_characters() {
        for password in ["zzzzzzzzzzzz", "zZzZzZzZzZ", "yzyzyzyzyzyz", "ääääääääää"] {
            let refused = NewPassword::parse(password, &ADA).unwrap_err();
            assert!(refused.contains("different characters"), "{password}: {refused}");
        }
        NewPassword::parse("xyzxyzxyzxyz", &ADA).unwrap();
    }

    #[test]
    fn the_owners_address_and_names_are_refused() {
        let names = ["ada.lovelace@CHAT.test", "ADA.LOVELACE", "ada lovelace", "AdaLovelace"];
        for password in names.into_iter().chain(["lovelace"]) {
            let refused = NewPassword::parse(password, &ADA).unwrap_err();
            assert!(refused.contains("e-mail address or name"), "{password}: {refused}");
            NewPassword::parse(password, &PasswordOwner::default()).unwrap();
        }
    }

    #[test]
    fn length_is_that_of_the_composed_form() {
        let decomposed = "a\u{308}o\u{308}u\u{308}e\u{308}".repeat(32);
        let password = NewPassword::parse(&decomposed, &ADA).unwrap();
        assert_eq!(password.expose(), "äöüë".repeat(32));
        NewPassword::parse("a\u{308}o\u{308}u\u{308}e\u{308}i\u{308}y\u{308}b", &ADA).unwrap_err();
        NewPassword::parse(&"xyz".repeat(43), &ADA).unwrap_err();
    }
}
