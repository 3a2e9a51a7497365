// What one does with a message: the bar at the message that is pointed at or focused, its keys, and on
// a touch screen the sheet that a long press opens. Comes when there is time after the first screen.

import { html, nothing } from "lit";
import { board } from "/state.js";
import { plain } from "/markdown.js";
import { copied, copyText } from "./clipboard.js";
import { recent, use } from "./emoji-used.js";
import { icon } from "./icons-more.js";
import { ask } from "./message.js";
import { marksIn } from "./people.js";
import { Modal, show } from "./modal.js";

/** A finger rests for this long, */
const PRESS_MS = 500;
/** and moves less than so many pixels. */
const PRESS_MOVES = 10;
/** Emoji in the bar and in the sheet. */
const [BAR, SHEET] = [3, 6];

/** @typedef {import("./message.js").ChatMessage} Row */

/** Reacts with an emoji that is remembered. @param {Row} row @param {string} emoji */
function react(row, emoji) {
  use(emoji);
  row.react(emoji);
}

/** @param {Row} row */
const isMine = (row) => row.message.sender === board.user?.id;
/** @param {Row} row */
const mayDelete = (row) => isMine(row) || row.moderator;

/** Opens all emoji at a button, to react with one. @param {Row} row @param {HTMLElement} anchor */
async function pickReaction(row, anchor) {
  row.picking = true;
  const done = () => {
    row.picking = false;
    row.active = row.matches(":hover");
    /** @type {HTMLElement|null} */ (row.firstElementChild)?.focus({ preventScroll: true });
  };
  try {
    const { openPicker } = await import("./emoji-picker.js");
    openPicker({ anchor, pick: (emoji) => row.react(emoji), closed: done });
  } catch (error) {
    done();
    ask(row, "error", { error });
  }
}

/** @param {Row} row */
async function deleteMessage(row) {
  row.takeFocus();
  row.sure = false;
  await board.request("DELETE", `/messages/${row.message.id}/`).catch((error) => ask(row, "error", { error }));
}

/** @param {Row} row @param {string} text @param {string} what it is */
async function copy(row, text, what) {
  const isDone = await copyText(text);
  const said = copied(what, isDone);
  if (isDone) ask(row, "said", { text: said });
  else ask(row, "error", { error: new Error(said) });
}

/** @param {Row} row */
const copyLink = (row) => copy(row, `${location.origin}/r/${row.message.room}/m/${row.message.id}`, "Link");

/** What a key does on a message that has the focus. @param {Row} row @param {KeyboardEvent} event */
export function keys(row, event) {
  if (event.key === "Escape" && row.sure) {
    row.sure = false;
    row.takeFocus();
    return event.preventDefault();
  }
  if (event.target !== row.firstElementChild || event.ctrlKey || event.metaKey || event.altKey) return;
  const { is_deleted, id } = row.message;
  if (is_deleted || !id) return;
  if (event.key === "r") ask(row, "reply");
  else if (event.key === "e" && isMine(row)) ask(row, "edit");
  else if (event.key === "+") pickReaction(row, /** @type {HTMLElement} */ (row.querySelector(".more-reactions") ?? row));
  else if (event.key === "Delete" && mayDelete(row)) row.active = row.sure = true;
  else return;
  event.preventDefault();
}

/** The bar is one stop for Tab; arrows lead along it. @param {KeyboardEvent} event */
function barKeys(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const all = /** @type {HTMLElement[]} */ ([.../** @type {Element} */ (event.currentTarget).querySelectorAll("button")]);
  const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  all[(at + step + all.length) % all.length].focus();
  event.preventDefault();
}

/** @param {Row} row */
export function renderActions(row) {
  if (row.sure) {
    return html`<div class="actions" role="group" aria-label="Delete message?"><span>Delete message?</span>
      <button class="danger" @click=${() => deleteMessage(row)}>Delete</button><button @click=${() => { row.takeFocus(); row.sure = false; }}>Cancel</button></div>`;
  }
  const button = (/** @type {any} */ name, /** @type {string} */ label, /** @type {(event: Event) => void} */ run, more = "", key = "") => html`<button class=${`icon-button ${more}`} tabindex="-1" aria-label=${label} title=${label + key} @click=${run}>${icon(name)}</button>`;
  return html`<div class="actions" role="toolbar" aria-label="Message" @keydown=${barKeys}>
    ${recent(BAR).map((emoji, n) => html`<button class="emoji" tabindex=${n ? -1 : 0} aria-label=${`React with ${emoji}`} title=${`React with ${emoji}`} @click=${() => react(row, emoji)}>${emoji}</button>`)}
    ${button("smile", "More reactions", (event) => pickReaction(row, /** @type {HTMLElement} */ (event.currentTarget)), "more-reactions", " (+)")}
    ${button("reply", "Reply (r)", () => ask(row, "reply"))}
    ${isMine(row) ? button("edit", "Edit (e)", () => ask(row, "edit")) : nothing}
    ${button("link", "Copy link", () => copyLink(row))}
    ${mayDelete(row) ? button("trash", "Delete", () => (row.sure = true), "", " (Del)") : nothing}</div>`;
}

/** What a long press on a message opens, at the bottom of the screen. */
class MessageSheet extends Modal {
  static properties = { sure: { state: true } };

  constructor() {
    super();
    /** @type {Row} */ this.row = /** @type {any} */ (null);
    this.sure = false;
    /** Where the last press began: the finger that opened the sheet is still down, and presses nothing. @type {EventTarget|null} */ this.pressed = null;
  }

  /** A click of the finger that opened the sheet is none; one beside the sheet closes it. */
  clicks = {
    capture: true,
    handleEvent: (/** @type {MouseEvent} */ event) => {
      // Keys click too, and press nothing.
      if (event.detail && !this.pressed) event.stopPropagation();
      else if (this.pressed === this.dialog) this.clickedBeside(event);
    },
  };

  /** @param {() => void} run */
  take(run) {
    this.close();
    run();
  }

  more() {
    const { row } = this;
    this.take(() => pickReaction(row, row));
  }

  render() {
    const { row } = this;
    const item = (/** @type {any} */ name, /** @type {string} */ label, /** @type {() => void} */ run, more = "") => html`<button class=${`sheet-item ${more}`} @click=${() => this.take(run)}>${icon(name)}${label}</button>`;
    return html`<dialog class="sheet" aria-label="Message" @pointerdown=${(/** @type {Event} */ event) => (this.pressed = event.target)} @click=${this.clicks}><div class="sheet-box">
      <div class="sheet-emoji">${recent(SHEET).map((emoji) => html`<button aria-label=${`React with ${emoji}`} @click=${() => this.take(() => react(row, emoji))}>${emoji}</button>`)}
        <button aria-label="More reactions" @click=${this.more}>${icon("smile")}</button></div>
      ${item("reply", "Reply", () => ask(row, "reply"))}
      ${row.message.body ? item("copy", "Copy text", () => copy(row, plain(row.message.body, marksIn), "Text")) : nothing}
      ${item("link", "Copy link", () => copyLink(row))}
      ${isMine(row) ? item("edit", "Edit", () => ask(row, "edit")) : nothing}
      ${!mayDelete(row) ? nothing : this.sure ? html`<div class="sheet-sure"><span>Delete message?</span><button class="danger" @click=${() => this.take(() => deleteMessage(row))}>Delete</button><button @click=${() => (this.sure = false)}>Cancel</button></div>`
        : html`<button class="sheet-item danger" @click=${() => (this.sure = true)}>${icon("trash")}Delete</button>`}
    </div></dialog>`;
  }
}

customElements.define("cb-message-sheet", MessageSheet);

/** @param {Row} row */
function openSheet(row) {
  if (row.message.id && !row.message.is_deleted) show("cb-message-sheet", { row });
}

/** A finger that rests on a message. @type {{timer: any, x: number, y: number}|null} */
let press = null;

function endPress() {
  clearTimeout(press?.timer);
  press = null;
}

document.addEventListener("pointerdown", (event) => {
  endPress();
  const row = event.pointerType === "touch" && event.isPrimary ? /** @type {Element} */ (event.target).closest("cb-message") : null;
  if (row) press = { timer: setTimeout(() => openSheet(/** @type {any} */ (row)), PRESS_MS), x: event.clientX, y: event.clientY };
});
document.addEventListener("pointermove", (event) => {
  if (press && Math.hypot(event.clientX - press.x, event.clientY - press.y) > PRESS_MOVES) endPress();
});
for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, endPress);
document.addEventListener("contextmenu", (event) => {
  // A long press is ours; a link keeps the menu of the browser.
  const target = /** @type {Element} */ (event.target);
  if (press && target.closest("cb-message") && !target.closest("a[href]")) event.preventDefault();
  else endPress();
});
