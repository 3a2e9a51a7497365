// One message. It draws again only when its message object is another one; its buttons (actions.js)
// exist only while it is pointed at or focused, so that a long timeline stays light.

import { LitElement, html, nothing } from "lit";
import { board } from "/state.js";
import { render as markdown } from "/markdown.js";
import { icon } from "./icons.js";
import { avatar, fullTimeOf, gist, marksIn, namesOf, timeOf } from "./people.js";

/** A few pictures and nothing else; each begins in one way only, so that no text takes long to be told apart. */
const JUMBO = /^(?:\p{Extended_Pictographic}(?:\p{Emoji_Modifier}|\ufe0f|\u200d\p{Extended_Pictographic})*\s*){1,5}$/u;
const JUMBO_MAX = 80;

/** What one does with messages, once it is loaded. @type {typeof import("./actions.js")|undefined} */
let actions;
const withActions = async () => (actions ??= await import("./actions.js"));

/** Asks something of the room that an element stands in. @param {HTMLElement & {message?: any}} from @param {"reply"|"edit"|"said"|"error"} what @param {{text?: string, error?: any}} [more] */
export const ask = (from, what, more) => from.dispatchEvent(new CustomEvent("message-action", { bubbles: true, detail: { what, message: from.message, ...more } }));

/** @type {Promise<unknown>|undefined} */
let files;

/** Loads what draws files, with the first of them. */
function loadFiles() {
  files ??= import("./file.js").catch(() => (files = undefined));
  return nothing;
}

/** Which people a body was drawn with: one without `@` is the same with any. @param {any} message */
export const peopleOf = (message) => (message.body?.includes("@") ? board.peopleVersion : 0);

/** Bodies that are drawn already; messages are replaced, never changed. @type {WeakMap<object, {people: number, body: DocumentFragment}>} */
const drawn = new WeakMap();

/** @param {any} message @returns {DocumentFragment} to be copied */
function bodyOf(message) {
  const people = peopleOf(message);
  let one = drawn.get(message);
  if (one?.people !== people) drawn.set(message, one = { people, body: markdown(message.body, (text) => marksIn(text, message.sender === board.user?.id)) });
  return one.body;
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

export class ChatMessage extends LitElement {
  static properties = {
    message: { attribute: false }, people: { attribute: false }, author: {}, grouped: { type: Boolean }, quote: { attribute: false },
    moderator: { type: Boolean }, active: { state: true }, picking: { state: true }, sure: { state: true },
  };

  constructor() {
    super();
    /** @type {any} a message of the server's, or a Send that waits */ this.message = null;
    this.author = "";
    /** See `peopleOf`. */ this.people = 0;
    this.grouped = false;
    this.moderator = false;
    /** @type {any} the message it answers: undefined while unknown */ this.quote = undefined;
    this.active = this.picking = this.sure = false;
    this.addEventListener("pointerenter", ({ pointerType }) => pointerType !== "touch" && this.activate());
    this.addEventListener("pointerleave", () => (this.active = this.sure || this.picking));
    // A finger that touches a message gives it the focus, and needs no bar.
    this.addEventListener("focusin", () => /** @type {Element} */ (document.activeElement).matches(":focus-visible") && this.activate());
    this.addEventListener("focusout", async ({ relatedTarget }) => {
      if (this.contains(/** @type {Node|null} */ (relatedTarget))) return;
      // A button that was pressed may give its place, and the focus, to the next question.
      await this.updateComplete;
      if (this.contains(document.activeElement)) return;
      this.active = this.picking;
      this.sure = false;
    });
  }

  createRenderRoot() {
    return this;
  }

  /** @param {Map<string, unknown>} changed */
  willUpdate(changed) {
    const before = /** @type {any} */ (changed.get("message"));
    if ((changed.has("message") && before?.body !== this.message.body) || changed.has("people")) {
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
    if (changed.has("sure") && this.sure) /** @type {HTMLElement|null} */ (this.querySelector(".actions .danger"))?.focus();
  }

  /** Shows the bar. */
  async activate() {
    this.active = true;
    if (actions) return;
    await withActions().catch(() => {});
    this.requestUpdate();
  }

  /** The buttons that had the focus go: who uses keys goes on from this message. */
  takeFocus() {
    if (this.contains(document.activeElement)) /** @type {HTMLElement} */ (this.firstElementChild).focus({ preventScroll: true });
  }

  /** Reacts with an emoji, or takes that back. @param {string} emoji */
  async react(emoji) {
    const mine = this.message.reactions.find((/** @type {any} */ one) => one.emoji === emoji)?.user_ids.includes(board.user?.id);
    await board.request(mine ? "DELETE" : "POST", `/messages/${this.message.id}/reactions/`, { emoji })
      .catch((error) => ask(this, "error", { error }));
  }

  /** @param {KeyboardEvent} event */
  keys(event) {
    if (actions) actions.keys(this, event);
    else withActions().then((loaded) => loaded.keys(this, event), () => {});
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
      ${this.active && actions && message.id && !message.is_deleted ? actions.renderActions(this) : nothing}
    </article>`;
  }

  renderBody() {
    const { message } = this;
    return html`
      <div class=${message.body.length <= JUMBO_MAX && JUMBO.test(message.body) ? "body jumbo" : "body"} dir="auto">${this.body}${message.edited_at
        ? html`<small class="edited" title=${fullTimeOf(message.edited_at)}>(edited)</small>` : nothing}</div>
      ${message.upload_id && message.upload ? html`${loadFiles()}<cb-file .upload=${message.upload} uploadId=${message.upload_id} message=${message.id ?? 0}></cb-file>`
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
        : html`<bdi class="author">${board.nameOf(quote.sender)}</bdi> <span dir="auto">${gist(quote, 140)}</span>`}</a>`;
  }
}

customElements.define("cb-message", ChatMessage);
