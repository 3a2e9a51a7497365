// What goes on beside the page: the service worker, desktop notifications, the sign on the tab.

import { html, nothing } from "lit";
import { board, go } from "/state.js";
import { gist } from "./people.js";

/** Who reads a message in some tab has done so within this time: nothing is shown then. */
const READ_MS = 1200;
const ASKED = "chatboard.asked-to-notify";

const worker = navigator.serviceWorker;

let installed = false;

/** Keeps the page for when there is no network. */
export function install() {
  if (!worker || installed) return;
  installed = true;
  // The policy of this page lets no text become code, except through this.
  const policy = /** @type {any} */ (globalThis).trustedTypes?.createPolicy("chatboard", { createScriptURL: () => "/sw.js" });
  worker.register(policy ? policy.createScriptURL("") : "/sw.js").catch(() => {});
  worker.addEventListener("message", ({ data }) => {
    if (typeof data?.go === "string" && data.go.startsWith("/")) go(data.go);
  });
}

/** Whether to ask, quietly, if we may notify: once, of who has begun to write. */
export const mayAsk = () => globalThis.Notification?.permission === "default" && !localStorage.getItem(ASKED);

/** @param {boolean} wanted */
export async function answer(wanted) {
  localStorage.setItem(ASKED, "1");
  if (wanted) await Notification.requestPermission();
}

/** Rooms of which a notification is shown. @type {Set<number>} */
const shown = new Set();

/** @param {any} message */
function concerns(message) {
  const room = board.rooms.get(message.room);
  if (!room || message.sender === board.user?.id || room.settings.notify === "none") return null;
  return room.settings.notify === "all" || room.info.is_dm || board.mentionsMe(message.body, { here: true }) ? room : null;
}

/** Messages of a room that came since the last look. @type {Map<number, any[]>} */
const fresh = new Map();

/**
 * Shows the last message of a room that concerns the reader, however many came, unless it is read
 * meanwhile, here or in another tab. What she asked for and which tab speaks are looked at only
 * then: the message may have come before the news of either.
 * @param {any} message
 */
function show(message) {
  // Asks who it is, where we do not know yet.
  board.nameOf(message.sender);
  const waiting = fresh.get(message.room);
  if (waiting) return void waiting.push(message);
  fresh.set(message.room, [message]);
  setTimeout(() => tell(message.room), READ_MS);
}

/** @param {number} id of a room */
async function tell(id) {
  if (fresh.get(id)?.some(({ body }) => body.includes("@"))) await board.names.loadMentions();
  const message = fresh.get(id)?.findLast(concerns);
  fresh.delete(id);
  const room = board.rooms.get(id);
  // One tab speaks for all.
  if (!message || !room || !board.tabs.leading || (room.lastRead ?? 0) >= message.id) return;
  // Whom it mentions is read from who is in the room.
  if (message.body.includes("@") && !room.members) await room.loadMembers().catch(() => {});
  const author = board.nameOf(message.sender);
  const registration = await worker?.getRegistration();
  const options = {
    body: gist(message, 200),
    tag: `room-${room.id}`, renotify: true, icon: "/icons/icon-192.png", data: { path: `/r/${room.id}` },
  };
  shown.add(room.id);
  await registration?.showNotification(room.info.is_dm ? author : `${author} in ${room.name}`, options).catch(() => {});
}

/** What is read needs no notification any more. @param {number} id */
async function takeBack(id) {
  if (board.rooms.get(id)?.unread || !shown.delete(id)) return;
  const registration = await worker?.getRegistration();
  for (const one of (await registration?.getNotifications({ tag: `room-${id}` })) ?? []) one.close();
}

board.addEventListener("frame", (event) => {
  const { detail } = /** @type {CustomEvent} */ (event);
  if (detail.type === "message" && globalThis.Notification?.permission === "granted") show(detail);
});
board.addEventListener("room", (event) => void (shown.size && takeBack(/** @type {CustomEvent} */ (event).detail)));

/** Who signs out leaves nothing to read behind. */
async function takeAllBack() {
  fresh.clear();
  shown.clear();
  sign(0);
  const registration = await worker?.getRegistration();
  for (const one of (await registration?.getNotifications()) ?? []) one.close();
}
board.addEventListener("user", (event) => void (/** @type {CustomEvent} */ (event).detail ?? takeAllBack()));

/** Whether the server has another page by now than the one that runs here. */
export let isOutdated = false;

/** Looks whether the server was renewed: its page names other modules than ours then. */
export async function look() {
  const ours = document.querySelector("script[type=importmap]")?.textContent ?? "";
  const page = await fetch("/", { cache: "no-cache" }).then((answer) => (answer.ok ? answer.text() : ours), () => ours);
  if (isOutdated || page.includes(ours)) return;
  isOutdated = true;
  board.listChanged();
}
// A server that is renewed breaks the line.
board.addEventListener("status", (event) => void (/** @type {CustomEvent} */ (event).detail === "online" && look()));

/** A file that misses the room would be opened by the browser, in the page's place. @param {DragEvent} event */
function catchFiles(event) {
  if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  if (event.type === "drop") /** @type {any} */ (document.querySelector("cb-composer"))?.attach(event.dataTransfer.files);
}
addEventListener("dragover", catchFiles);
addEventListener("drop", catchFiles);

let signed = 0;
/** The address of the icon when nothing asks for attention. */
let usual = "";

/** The sign on the tab and on the installed app. @param {number} count of what asks for attention */
export function sign(count) {
  if (count === signed) return;
  signed = count;
  const link = /** @type {HTMLLinkElement} */ (document.querySelector("link[rel=icon]"));
  usual ||= link.href;
  link.href = count ? /** @type {HTMLMetaElement} */ (document.querySelector("meta[name=icon-unread]")).content : usual;
  /** @type {any} */ (navigator).setAppBadge?.(count).catch(() => {});
}

/** What is asked or told above the room. @param {import("./chat.js").Chat} chat */
export function renderBanner(chat) {
  const done = async (/** @type {boolean} */ wanted) => {
    chat.asking = false;
    await answer(wanted).catch(() => {});
  };
  if (chat.asking) {
    return html`<aside class="asking" aria-label="Notifications"><p>Turn on desktop notifications?</p>
      <button class="primary" @click=${() => done(true)}>Turn on</button><button @click=${() => done(false)}>Not now</button></aside>`;
  }
  return isOutdated ? html`<aside class="asking" aria-label="A new version"><p role="status">ChatBoard was updated.</p><button class="primary" @click=${() => location.reload()}>Reload</button></aside>` : nothing;
}
