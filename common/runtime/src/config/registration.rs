//! How the rules for new accounts are read from settings.

use domain::registration::{EmailDomain, EmailVerification, RegistrationMode};

use super::value::Setting;

impl Setting for RegistrationMode {
    const KIND: &'static str = "`open`, `invite` or `closed`";

    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| format!("{text:?} is not `open`, `invite` or `closed`"))
    }

    fn show(&self) -> String {
        self.as_str().to_owned()
    }
}

impl Setting for EmailVerification {
    const KIND: &'static str = "`required` or `off`";

    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| format!("{text:?} is neither `required` nor `off`"))
    }

    fn show(&self) -> String {
        self.as_str().to_owned()
    }
}

impl Setting for EmailDomain {
    const KIND: &'static str = "domain";

    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}
