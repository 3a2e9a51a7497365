// What went wrong, in words for people: the one place that turns the server's refusals into sentences.

import { sentence } from "/chatboard/text.js";

/** What the server's codes mean here. @type {Record<string, string>} */
const WORDS = {
  already_member: "This person is already a member.",
  email_taken: "There's already an account for this e-mail. Sign in, or reset its password.",
  email_unverified: "Verify your e-mail address first: open the link that we sent you.",
  forbidden: "You don't have permission to do this.",
  internal: "Something went wrong on our side. Try again.",
  invalid_credentials: "Wrong e-mail or password.",
  invite_exists: "There's already an open invitation for this address.",
  last_admin: "You're the only admin. Make someone else admin first.",
  legal_hold: "This isn't possible while a legal hold is on.",
  name_taken: "There is already a room with this name.",
  not_a_member: "You're no longer a member of this room.",
  not_found: "This doesn't exist any more, or you don't have access to it.",
  offline: "The server can't be reached. Check your connection and try again.",
  unavailable: "ChatBoard isn't available right now. Try again in a moment.",
};

/** How fields are called in a sentence. @type {Record<string, string>} */
const FIELDS = {
  avatar_url: "The picture URL", current_password: "Your current password", email: "The e-mail address", events: "The list of events", file_size: "The file",
  first_name: "The first name", last_name: "The last name", name: "The name", new_password: "The new password", password: "The password", q: "The search", section: "The section",
  since: "The time", token: "The link", topic: "The topic", url: "The URL",
};

/** What the server says of a field that reads better otherwise. @type {[RegExp, string][]} */
const BETTER = [
  [/^must not be blank$|^is required$|^must have 1 to/, "can't be empty"],
  [/^must have at most ([\d,]+) characters$/, "can have $1 characters at most"],
  [/^must have at least ([\d,]+) characters$/, "needs $1 characters or more"],
  [/^must have 8 to 128 characters$/, "needs 8 to 128 characters"],
  [/^must be a valid e-mail address$/, "isn't a valid e-mail address"],
  [/^must lead to a public address.*$/, "must be public: private addresses aren't allowed"],
  [/^must name at least one event$/, "can't be empty"],
  [/^must be false for a PRIVATE room$/, "Private rooms can't add everyone automatically"],
  [/^is unknown, used or expired$/, "was used before, or is too old"],
];

/** @param {string} field @param {string} fault */
function faultOf(field, fault) {
  const better = BETTER.find(([found]) => found.test(fault));
  const text = better ? fault.replace(...better) : fault;
  return sentence(/^(must|is|isn't|has|needs|can|can't|was)\b/.test(text) ? `${FIELDS[field] ?? "This"} ${text}` : text);
}

/** @param {number} seconds */
const waitOf = (seconds) => (seconds < 90 ? `${Math.ceil(seconds)} seconds` : `${Math.ceil(seconds / 60)} minutes`);

/** What went wrong, in a sentence. @param {any} error an ApiError, or another whose message is for people @returns {string} */
export function problemOf(error) {
  const { code, message, errors = {}, retryAfter } = error;
  const [first] = Object.entries(errors);
  if (first) return faultOf(first[0], first[1][0]);
  if (code === "rate_limited") return `Too many attempts. Try again ${retryAfter ? `in ${waitOf(retryAfter)}` : "later"}.`;
  return WORDS[code] ?? sentence(message ?? "");
}

/** What went wrong with a form: with its fields, else as a whole. @param {any} error @returns {{problem: string, errors: Record<string, string[]>}} */
export function faultsOf(error) {
  const fields = Object.entries(error.errors ?? {});
  const errors = Object.fromEntries(fields.map(([field, faults]) => [field, faults.map((/** @type {string} */ fault) => faultOf(field, fault))]));
  return { problem: fields.length ? "" : problemOf(error), errors };
}
