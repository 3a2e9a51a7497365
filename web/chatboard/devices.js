// Device tokens: with one from an earlier sign-in, other people's attempts never block this device.
// Kept by e-mail, also after signing out. Fetched when somebody signs in.

const KEY = "chatboard.devices";
/** Accounts whose token is kept; the oldest gives way. */
const ACCOUNTS_MAX = 8;

/** @returns {Record<string, string>} */
function stored() {
  try {
    const tokens = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return tokens && typeof tokens === "object" ? tokens : {};
  } catch {
    return {};
  }
}

/** @param {string} email */
const keyOf = (email) => email.trim().toLowerCase();

/** The token of an account, if it signed in on this device. @param {string} email @returns {string|undefined} */
export const deviceToken = (email) => stored()[keyOf(email)];

/** @param {string} email @param {string|undefined} token */
export function keepDeviceToken(email, token) {
  if (!token) return;
  const others = Object.entries(stored()).filter(([key]) => key !== keyOf(email));
  try {
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries([...others.slice(1 - ACCOUNTS_MAX), [keyOf(email), token]])));
  } catch {
    // Storage is full or blocked: the next sign-in has no token.
  }
}
