// One message. It draws again only when its message object is another one; its buttons exist only
// while it is pointed at or focused, so that a long timeline stays light.

import { LitElement, html, nothing } from "lit";
import { board } from "/state.js";
import { plain, render as markdown } from "/markdown.js";
import { icon } from "./icons.js";
import { avatar, fullTimeOf, namesOf, timeOf } from "./people.js";

const QUICK = ["👍", "❤️", "😂", "🎉", "👀", "✅"];
/** A few pictures and nothing else; each begins in one way only, so that no text takes long to be told apart. */
const JUMBO = /^(?:\p{Extended_Pictographic}(?:\p{Emoji_Modifier}|\ufe0f|\u200d\p{Extended_Pictographic})*\s*){1,5}$/u;
const JUMBO_MAX = 80;

/** @type {Promise<unknown>|undefined} */
let files;

/** Loads what draws files, with the first of them. */
function loadFiles() {
  files ??= import("./file.js").catch(() => (files = undefined));
  return nothing;
}

/** @param {string} name what stands after an @ @returns {"me"|"other"|null} */
function whose(name) {
  const lower = name.toLowerCase();
  if (lower === "room" || lower === "here") return "me";
  if (board.user && board.mentionsMe(`@${name}`)) return "me";
  for (const { email, first_name, last_name } of board.people.values()) {
    if (email.toLowerCase() === lower || `${first_name}.${last_name}`.toLowerCase() === lower) return "other";
  }
  return null;
}

/** Bodies that are drawn already; messages are replaced, never changed. @type {WeakMap<object, DocumentFragment>} */
const drawn = new WeakMap();

/** @param {any} message @returns {DocumentFragment} to be copied */
function bodyOf(message) {
  let body = drawn.get(message);
  if (!body) drawn.set(message, body = markdown(message.body, whose));
  return body;
}

/** @type {any[]} */
let cold = [];

/** Draws bodies ahead, while the browser has nothing else to do. @param {any[]} messages those that are needed first, first */
export function warm(messages) {
  const wasIdle = cold.length === 0;
  cold = messages.filter((message) => message.body && !drawn.has(message));
  if (wasIdle && cold.length) globalThis.requestIdleCallback?.(warmSome);
}

/** @param {IdleDeadline} deadline */
function warmSome(deadline) {
  while (cold.length && deadline.timeRemaining() > 3) bodyOf(cold.shift());
  if (cold.length) requestIdleCallback(warmSome);
}

class ChatMessage extends LitElement {
  static properties = {
    message: { attribute: false }, author: {}, grouped: { type: Boolean }, quote: { attribute: false },
    moderator: { type: Boolean }, active: { state: true }, picking: { state: true }, sure: { state: true },
  };

  constructor() {
    super();
    /** @type {any} a message of the server's, or a Send that waits */ this.message = null;
    this.author = "";
    this.grouped = false;
    this.moderator = false;
    /** @type {any} the message it answers: undefined while unknown */ this.quote = undefined;
    this.active = this.picking = this.sure = false;
    this.addEventListener("pointerenter", () => (this.active = true));
    this.addEventListener("pointerleave", () => (this.active = this.sure || (this.picking && this.contains(document.activeElement))));
    this.addEventListener("focusin", () => (this.active = true));
    this.addEventListener("focusout", async ({ relatedTarget }) => {
      if (this.contains(/** @type {Node|null} */ (relatedTarget))) return;
      // A button that was pressed may give its place, and the focus, to the next question.
      await this.updateComplete;
      if (!this.contains(document.activeElement)) this.active = this.picking = this.sure = false;
    });
  }

  createRenderRoot() {
    return this;
  }

  /** @param {Map<string, unknown>} changed */
  willUpdate(changed) {
    const before = /** @type {any} */ (changed.get("message"));
    if (changed.has("message") && before?.body !== this.message.body) {
      this.body = this.message.body ? bodyOf(this.message).cloneNode(true) : null;
    }
  }

  /** Draws itself, and what is in it, now if it has to. */
  flush() {
    if (!this.isUpdatePending) return;
    this.performUpdate();
    const file = /** @type {any} */ (this.querySelector("cb-file"));
    if (file?.isUpdatePending) file.performUpdate();
  }

  /** @param {Map<string, unknown>} changed */
  updated(changed) {
    const to = changed.has("sure") && this.sure ? ".danger" : changed.has("picking") && this.picking ? ".emoji" : null;
    if (to) /** @type {HTMLElement|null} */ (this.querySelector(`.actions ${to}`))?.focus();
  }

  /** The buttons that had the focus go: who uses keys goes on from this message. */
  takeFocus() {
    if (this.contains(document.activeElement)) /** @type {HTMLElement} */ (this.firstElementChild).focus({ preventScroll: true });
  }

  get mine() {
    return this.message.sender === board.user?.id;
  }

  /** @param {string} what @param {any} [detail] */
  ask(what, detail = {}) {
    this.dispatchEvent(new CustomEvent("message-action", { bubbles: true, detail: { what, message: this.message, ...detail } }));
  }

  /** @param {string} emoji */
  async react(emoji) {
    if (this.picking) this.takeFocus();
    this.picking = false;
    const mine = this.message.reactions.find((/** @type {any} */ one) => one.emoji === emoji)?.user_ids.includes(board.user?.id);
    await board.request(mine ? "DELETE" : "POST", `/messages/${this.message.id}/reactions/`, { emoji }).catch((error) => this.ask("error", { error }));
  }

  /** @param {KeyboardEvent} event */
  keys(event) {
    if (event.key === "Escape" && (this.sure || this.picking)) {
      this.sure = this.picking = false;
      this.takeFocus();
      return event.preventDefault();
    }
    if (event.target !== this.firstElementChild || event.ctrlKey || event.metaKey || event.altKey) return;
    const { is_deleted, id } = this.message;
    if (is_deleted || !id) return;
    if (event.key === "r") this.ask("reply");
    else if (event.key === "e" && this.mine) this.ask("edit");
    else if (event.key === "+") this.picking = true;
    else if (event.key === "Delete" && (this.mine || this.moderator)) this.sure = true;
    else return;
    event.preventDefault();
  }

  async deleteMessage() {
    this.takeFocus();
    this.sure = false;
    await board.request("DELETE", `/messages/${this.message.id}/`).catch((error) => this.ask("error", { error }));
  }

  async copyLink() {
    await navigator.clipboard?.writeText(`${location.origin}/r/${this.message.room}/m/${this.message.id}`);
    this.ask("said", { text: "Link copied" });
  }

  render() {
    const { message } = this;
    const at = message.created_at ?? message.at;
    return html`<article class=${this.grouped ? "message grouped" : "message"} tabindex="-1" @keydown=${this.keys}
        aria-label=${`${this.author}, ${timeOf(at)}${message.is_deleted ? ", deleted" : ""}`}>
      ${message.reply_to ? this.renderQuote() : nothing}
      <div class="message-side">${this.grouped ? html`<time datetime=${new Date(at).toISOString()}>${timeOf(at)}</time>` : avatar(message.sender)}</div>
      <div class="message-main">
        ${this.grouped ? nothing : html`<header><bdi class="author">${this.author}</bdi>
          ${message.id ? html`<a class="when" href=${`/r/${message.room}/m/${message.id}`} title=${fullTimeOf(at)}>${timeOf(at)}</a>`
            : html`<span class="when">${timeOf(at)}</span>`}</header>`}
        ${message.is_deleted ? html`<p class="deleted">This message was deleted.</p>` : this.renderBody()}
      </div>
      ${this.active && message.id && !message.is_deleted ? this.renderActions() : nothing}
    </article>`;
  }

  renderBody() {
    const { message } = this;
    return html`
      <div class=${message.body.length <= JUMBO_MAX && JUMBO.test(message.body) ? "body jumbo" : "body"} dir="auto">${this.body}${message.edited_at
        ? html`<small class="edited" title=${fullTimeOf(message.edited_at)}>(edited)</small>` : nothing}</div>
      ${message.upload_id && message.upload ? html`${loadFiles()}<cb-file .upload=${message.upload} uploadId=${message.upload_id}></cb-file>`
        : message.file_url ? html`<p><a href=${message.file_url} target="_blank" rel="noopener noreferrer nofollow">${message.file_url}</a></p>` : nothing}
      ${message.reactions?.length ? html`<div class="reactions">${message.reactions.map((/** @type {any} */ one) => html`
        <button class="reaction" aria-pressed=${one.user_ids.includes(board.user?.id)} title=${namesOf(one.user_ids, 8)}
          aria-label=${`${one.emoji} ${one.user_ids.length}: ${namesOf(one.user_ids, 8)}`} @click=${() => this.react(one.emoji)}>${one.emoji} <b>${one.user_ids.length}</b></button>`)}
        </div>` : nothing}
      ${message.failed ? html`<p class="failed" role="alert">Not sent: ${message.failed}
        <button class="link" @click=${() => board.retry(message.nonce)}>Try again</button>
        <button class="link" @click=${() => board.discard(message.nonce)}>Discard</button></p>` : nothing}`;
  }

  renderQuote() {
    const { quote, message } = this;
    return html`<a class="quote" href=${`/r/${message.room}/m/${message.reply_to}`} >
      ${icon("reply")}<span class="hidden">In reply to </span>${quote === undefined ? "…" : quote === null || quote.is_deleted ? html`<i>a deleted message</i>`
        : html`<bdi class="author">${board.nameOf(quote.sender)}</bdi> <span dir="auto">${plain(quote.body).slice(0, 140) || quote.upload?.filename || "a file"}</span>`}</a>`;
  }

  renderActions() {
    if (this.sure) {
      return html`<div class="actions" role="group" aria-label="Delete this message?"><span>Delete this message?</span>
        <button class="danger" @click=${this.deleteMessage}>Delete</button><button @click=${() => { this.takeFocus(); this.sure = false; }}>Keep</button></div>`;
    }
    const button = (/** @type {any} */ name, /** @type {string} */ label, /** @type {() => void} */ run) => html`<button class="icon-button" aria-label=${label} title=${label} @click=${run}>${icon(name)}</button>`;
    return html`<div class="actions" role="toolbar" aria-label="Message">
      ${(this.picking ? QUICK.concat("🙏", "🚀", "💯", "🔥", "😮", "😢", "👏", "🤔") : QUICK.slice(0, 3)).map((emoji) => html`<button class="emoji" aria-label=${`React with ${emoji}`} @click=${() => this.react(emoji)}>${emoji}</button>`)}
      ${this.picking ? nothing : button("smile", "More reactions", () => (this.picking = true))}
      ${button("reply", "Reply (r)", () => this.ask("reply"))}
      ${this.mine ? button("edit", "Edit (e)", () => this.ask("edit")) : nothing}
      ${button("link", "Copy link", () => this.copyLink())}
      ${this.mine || this.moderator ? button("trash", "Delete", () => (this.sure = true)) : nothing}</div>`;
  }
}

customElements.define("cb-message", ChatMessage);
