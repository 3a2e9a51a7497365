// What stands in a timeline, row by row: messages, the days between them, and where the unread begin.

import { dayOf } from "./people.js";

/** Messages of one person stand together within this time of the first of them, */
const GROUP_MS = 5 * 60_000;
/** so many at most. */
const GROUP_MOST = 10;

/**
 * @typedef {import("/chatboard/timeline.js").Timeline} Timeline
 * @typedef {import("/chatboard/outbox.js").Send} Send
 * @typedef {{key: any, day?: string, divider?: true, message?: any, grouped?: boolean}} Row
 */

/** When a message was written; messages are replaced, never changed. @type {WeakMap<object, {ms: number, day: string}>} */
const times = new WeakMap();

/** @param {any} message */
function timeOf(message) {
  let time = times.get(message);
  if (!time) {
    const at = new Date(message.created_at ?? message.at);
    times.set(message, time = { ms: at.valueOf(), day: at.toDateString() });
  }
  return time;
}

/**
 * Where messages stand in their group: when it began, and how many there are up to them. What was once
 * drawn stays as it is, whatever is loaded or cut before it. @type {WeakMap<object, {began: number, count: number}>}
 */
const groups = new WeakMap();

/** Whether a message can stand in one group with the one before it. @param {any} before @param {any} message */
const follows = (before, message) => before !== undefined && before.sender === message.sender && !message.reply_to && !before.is_deleted
  && timeOf(before).day === timeOf(message).day && timeOf(message).ms - timeOf(before).ms < GROUP_MS;

/** @param {any} before @param {any} message */
function isGrouped(before, message) {
  const { ms } = timeOf(message);
  let group = groups.get(message);
  if (!group) {
    const last = follows(before, message) ? groups.get(before) ?? { began: timeOf(before).ms, count: 1 } : null;
    group = last && ms - last.began < GROUP_MS && last.count < GROUP_MOST ? { began: last.began, count: last.count + 1 } : { began: ms, count: 1 };
    groups.set(message, group);
  }
  return group.count > 1 && follows(before, message);
}

/** A send as the message it will be; the same object each time, so that it is not drawn again. @type {WeakMap<object, any>} */
const views = new WeakMap();

/** @param {Send} send */
function viewOf(send) {
  if (!views.has(send)) views.set(send, { ...send, sender: send.user, pending: true, reactions: [] });
  return views.get(send);
}

/**
 * The rows for the messages `from..to` of a window, and for what is not confirmed yet.
 * @param {Timeline} timeline @param {number} from @param {number} to
 * @param {{pending: Send[], divider: number|null, me: number|undefined}} more `divider`: the last message that was read
 * @returns {Row[]}
 */
export function rowsOf({ messages, atStart }, from, to, { pending, divider, me }) {
  /** @type {Row[]} */
  const rows = [];
  const shown = messages.slice(from, to);
  if (pending.length) {
    const there = new Set(messages.slice(-100).map((message) => message.nonce));
    shown.push(...pending.filter((send) => !there.has(send.nonce)).map(viewOf));
  }
  /** @type {any} */
  let before = messages[from - 1];
  // Of the first one that is loaded it is not known whether its day begins with it.
  let isKnown = from > 0 || atStart;
  for (const message of shown) {
    const { ms, day } = timeOf(message);
    const isNewDay = !before || timeOf(before).day !== day;
    if (isNewDay && isKnown) rows.push({ key: `day-${day}`, day: dayOf(ms) });
    isKnown = true;
    const isFirstUnread = divider !== null && message.id > divider && message.sender !== me && (before ? before.id <= divider : from === 0 && atStart);
    if (isFirstUnread) rows.push({ key: "divider", divider: true });
    const grouped = isGrouped(before, message) && !isFirstUnread;
    rows.push({ key: message.nonce && message.sender === me ? message.nonce : message.id, message, grouped });
    before = message;
  }
  return rows;
}
