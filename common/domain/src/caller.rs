//! Who is asking.

use crate::ids::{LoginId, UserId};

/// The verified author of a request: a user, through one of their logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The user.
    pub user: UserId,
    /// The sign-in whose token was presented.
    pub login: LoginId,
}
