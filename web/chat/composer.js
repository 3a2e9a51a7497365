// Where messages are written: drafts, replies, edits, mentions, files.

import { LitElement, html, nothing } from "lit";
import { board } from "/state.js";
import { charsIn, isBlank } from "/chatboard/text.js";
import { icon } from "./icons.js";
import { gist } from "./people.js";

const TYPING_EVERY_MS = 3000;

/** What completes mentions comes with the first letter that is typed. @type {typeof import("./completion.js")|undefined} */
let completing;
const completion = async () => (completing ??= await import("./completion.js"));
/** What writes Markdown by keys comes with the first of them. @type {typeof import("./writing.js")|undefined} */
let writing;
const withWriting = async () => (writing ??= await import("./writing.js"));

/** Whether the caret stands in a fenced block of code. @param {HTMLTextAreaElement} field */
const isInCode = (field) => (field.value.slice(0, field.selectionStart).match(/^ {0,3}(```|~~~)/gm) ?? []).length % 2 === 1;
/** What looks at files comes with the first of them. @type {typeof import("./attach.js")|undefined} */
let attaching;

/**
 * What is begun in a room and not sent, besides the text, which storage keeps: it is there again
 * when one has looked elsewhere. `files` are on their way, refused, or stored; `edit` is the text
 * that `editing` is to have.
 * @typedef {{files: any[], reply: any, editing: any, edit: string}} Begun
 */

/** By person and room, as long as the page lives. @type {Map<string, Begun>} */
const begun = new Map();
/** The composers that are shown. @type {Set<ChatComposer>} */
const shown = new Set();
export const redraw = () => shown.forEach((one) => one.requestUpdate());

board.addEventListener("user", () => {
  if (board.user) return;
  for (const { files } of begun.values()) for (const { stop } of files) stop.abort();
  begun.clear();
});

export class ChatComposer extends LitElement {
  static properties = { room: { attribute: false }, found: { state: true }, chosen: { state: true }, problem: { state: true } };

  constructor() {
    super();
    /** @type {import("/chatboard/room.js").Room} */ this.room = /** @type {any} */ (null);
    /** @type {import("./completion.js").Choice[]} */ this.found = [];
    this.chosen = 0;
    this.problem = "";
    this.typedAt = 0;
    /** Counts looks for what fits: an answer to an earlier one is late. */ this.turn = 0;
  }

  createRenderRoot() {
    return this;
  }

  /** Another tab has changed the draft: sent it, or written on. @param {StorageEvent} event */
  #draftChanged = ({ key, oldValue, newValue }) => {
    if (key === this.draftKey && !this.begun.editing && this.field.value === (oldValue ?? "")) this.setText(newValue ?? "");
  };

  connectedCallback() {
    super.connectedCallback();
    addEventListener("storage", this.#draftChanged);
    shown.add(this);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    shown.delete(this);
    removeEventListener("storage", this.#draftChanged);
  }

  /** @returns {Begun} */
  get begun() {
    const key = this.draftKey;
    const one = begun.get(key) ?? { files: [], reply: null, editing: null, edit: "" };
    begun.set(key, one);
    return one;
  }

  /** @returns {HTMLTextAreaElement} */
  get field() {
    return /** @type {HTMLTextAreaElement} */ (this.querySelector("textarea"));
  }

  get draftKey() {
    return `chatboard.draft.${board.user?.id}.${this.room.id}`;
  }

  /** @param {Map<string, any>} changed */
  willUpdate(changed) {
    if (!changed.has("room")) return;
    this.problem = "";
    this.found = [];
    this.typedAt = 0;
  }

  /** @param {Map<string, any>} changed */
  updated(changed) {
    if (!changed.has("room")) return;
    this.setText(this.begun.editing ? this.begun.edit : this.draft);
    // What is sent has to say whom it mentions.
    this.named(() => {});
    if (matchMedia("(hover: hover)").matches) this.field.focus();
  }

  /** The text that is not sent yet. */
  get draft() {
    return localStorage.getItem(this.draftKey) ?? "";
  }

  /** @param {any} message */
  replyTo(message) {
    if (this.begun.editing) this.cancel();
    this.begun.reply = message;
    this.requestUpdate();
    this.field.focus();
  }

  /** @param {any} message */
  edit(message) {
    Object.assign(this.begun, { editing: message, edit: message.body });
    this.problem = "";
    this.setText(message.body);
    this.requestUpdate();
    this.field.focus();
    this.named((part) => {
      if (this.begun.editing !== message || this.field.value !== message.body) return;
      this.begun.edit = part.toWrite(message.body, this.room);
      this.setText(this.begun.edit);
    });
  }

  /** Does what has to do with the people in a text: at once, if what knows them is loaded. @param {(part: typeof import("./completion.js")) => void} work */
  named(work) {
    if (completing) work(completing);
    else if (this.field.value.includes("@")) completion().then(work, () => {});
  }

  /** @param {string} text */
  setText(text) {
    this.field.value = text;
    this.fit();
  }

  fit() {
    const { field } = this;
    field.style.blockSize = "auto";
    field.style.blockSize = `${Math.min(field.scrollHeight, innerHeight * 0.4)}px`;
  }

  typed() {
    withWriting().catch(() => {});
    this.fit();
    this.problem = "";
    if (this.begun.editing) this.begun.edit = this.field.value;
    else {
      if (this.field.value) localStorage.setItem(this.draftKey, this.field.value);
      else localStorage.removeItem(this.draftKey);
      this.signal(!isBlank(this.field.value));
    }
    this.look();
  }

  /** Says that we type, now and then; and that we stopped. @param {boolean} typing */
  signal(typing) {
    if (!typing) {
      if (this.typedAt) this.room.types(false);
      this.typedAt = 0;
    } else if (Date.now() - this.typedAt > TYPING_EVERY_MS) {
      this.typedAt = Date.now();
      this.room.types(true);
    }
  }

  async look() {
    const turn = ++this.turn;
    const part = await completion().catch(() => null);
    if (!part || !this.isConnected) return;
    const word = part.wordAt(this.field);
    const found = word ? await part.choices(word, this.room).catch(() => []) : [];
    if (turn !== this.turn) return;
    this.found = found;
    this.chosen = 0;
    const all = word ? await part.others(word, this.room, () => turn === this.turn).catch(() => []) : [];
    if (all.length && turn === this.turn) this.found = all;
  }

  /** @param {KeyboardEvent} event */
  keys(event) {
    if (event.isComposing) return;
    if (this.found.length && completing?.keys(this, event)) return event.preventDefault();
    const command = event.ctrlKey || event.metaKey;
    if (event.key === "Enter" && !command && (event.shiftKey || isInCode(this.field))) {
      // Until it is loaded, the browser begins a plain line: what is typed next must not overtake it.
      if (!writing) return;
      event.preventDefault();
      writing.newLine(this.field, isInCode(this.field));
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.send();
    } else if (command && !event.altKey && (event.shiftKey ? /^[xu]$/i : /^[biek]$/i).test(event.key)) this.markKeys(event);
    else if (event.key === "Escape") {
      if (!this.begun.reply && !this.begun.editing) return;
      this.cancel();
    } else if (event.key === "ArrowUp" && this.field.value === "") {
      const last = this.room.timeline.messages.findLast((one) => one.sender === board.user?.id && !one.is_deleted);
      if (!last) return;
      event.preventDefault();
      this.edit(last);
    }
  }

  /** @param {(part: typeof import("./writing.js")) => void} work */
  async write(work) {
    if (!writing) await withWriting().catch(() => {});
    if (writing) work(writing);
    else this.problem = "This can't be loaded right now. Try again.";
  }

  /** Ctrl+B and the like. Ctrl+K is for going elsewhere, unless something is selected. @param {KeyboardEvent} event */
  markKeys(event) {
    const { field } = this;
    if (event.key.toLowerCase() === "k" && field.selectionStart === field.selectionEnd) return;
    event.preventDefault();
    event.stopPropagation();
    this.write((part) => part.markKeys(event, field));
  }

  /** Ends the edit; where there is none, the reply. */
  cancel() {
    const { begun } = this;
    if (begun.editing) {
      begun.editing = null;
      this.setText(this.draft);
    } else begun.reply = null;
    this.problem = "";
    this.requestUpdate();
    this.field.focus();
  }

  async send() {
    const { begun, room } = this;
    // The indent of a first line may be that of code.
    const text = this.field.value.replace(/^(?:[^\S\n]*\n)+/, "").trimEnd();
    // Invisible characters alone are no message.
    const body = isBlank(text) ? "" : completing?.toSend(text, room) ?? text;
    if (charsIn(body) > 10_000) {
      this.problem = "Messages can have 10,000 characters at most.";
      return;
    }
    if (begun.editing) return this.write((part) => part.saveEdit(this, body));
    if (begun.files.some((one) => one.part < 1 && !one.problem)) {
      this.problem = "Still uploading. Send it when the upload is done.";
      return;
    }
    const bad = begun.files.find((one) => one.problem);
    if (bad) {
      this.problem = `Couldn't upload ${bad.file.name}. ${bad.again ? "Try again, or remove it" : "Remove it"} to send.`;
      return;
    }
    const { files } = begun;
    if (!body && !files.length) return;
    this.setText("");
    localStorage.removeItem(this.draftKey);
    this.signal(false);
    const more = begun.reply ? { reply_to: begun.reply.id } : {};
    Object.assign(begun, { files: [], reply: null });
    this.problem = "";
    this.requestUpdate();
    this.dispatchEvent(new CustomEvent("posted", { bubbles: true }));
    // A message carries one file: the first goes with the text.
    const first = files[0]?.upload;
    await board.post(room.id, body, first ? { ...more, upload_id: first.id, upload: first } : more);
    for (const { upload } of files.slice(1)) await board.post(room.id, "", { upload_id: upload.id, upload });
  }

  /** Starts to store files at once, so that sending need not wait. @param {Iterable<File>} files */
  async attach(files) {
    const { begun } = this;
    // A list of files may be emptied before the code is there.
    const all = [...files];
    this.field.focus();
    try {
      attaching ??= await import("./attach.js");
      attaching.attach(all, begun, redraw);
    } catch {
      this.problem = "Files can't be added right now.";
    }
  }

  /** @param {ClipboardEvent} event */
  pasted(event) {
    const files = event.clipboardData?.files;
    if (files?.length) {
      event.preventDefault();
      return this.attach(files);
    }
    // An address that is pasted over words becomes their link.
    const text = event.clipboardData?.getData("text/plain").trim() ?? "";
    if (!/^https?:\/\/\S+$/.test(text) || this.field.selectionStart === this.field.selectionEnd || isInCode(this.field)) return;
    event.preventDefault();
    this.write((part) => part.link(this.field, text));
  }

  /** Opens all emoji; the one that is taken is written at the caret. @param {Event} event */
  pickEmoji({ currentTarget: anchor }) {
    const { field } = this;
    const done = () => this.typed();
    import("./emoji-picker.js").then(({ writeEmoji }) => writeEmoji(/** @type {HTMLElement} */ (anchor), field, done), () => {});
  }

  render() {
    const { files, reply, editing } = this.begun;
    const label = editing ? "Edit message" : `Message ${this.room.name}`;
    return html`<form class="composer" @submit=${(/** @type {Event} */ event) => { event.preventDefault(); this.send(); }}>
      ${this.found.length ? completing?.renderChoices(this) : nothing}
      ${editing ? this.renderBar("edit", "Editing") : reply ? this.renderBar("reply", `Replying to ${board.nameOf(reply.sender)}`, gist(reply, 160)) : nothing}
      ${files.length ? attaching?.renderFiles(this.begun, () => { this.problem = ""; redraw(); this.field.focus(); }, redraw) : nothing}
      <div class="composer-row">
        <button type="button" class="icon-button" aria-label="Add files" title="Add files" @click=${() => /** @type {HTMLElement} */ (this.querySelector("input[type=file]")).click()}>${icon("clip")}</button>
        <input type="file" multiple hidden @change=${(/** @type {any} */ event) => { this.attach(event.target.files); event.target.value = ""; }}>
        <textarea rows="1" dir="auto" aria-label=${label} placeholder=${label} autocomplete="off"
          aria-autocomplete="list" aria-controls=${this.found.length ? "mention-choices" : nothing}
          aria-activedescendant=${this.found.length ? `mention-${this.chosen}` : nothing}
          @input=${this.typed} @keydown=${this.keys} @paste=${this.pasted} @blur=${() => (this.found = [])}></textarea>
        <button type="button" class="icon-button" aria-label="Emoji" title="Emoji" aria-haspopup="dialog" @click=${this.pickEmoji}>${icon("smile")}</button>
        <button class="icon-button send" aria-label=${editing ? "Save" : "Send"} title="Send (Enter)">${icon("send")}</button>
      </div>
      ${this.problem ? html`<p class="failed" role="alert">${this.problem}</p>` : nothing}
    </form>`;
  }

  /** @param {"edit"|"reply"} kind @param {string} title @param {string} [text] */
  renderBar(kind, title, text = "") {
    return html`<div class="composer-bar">${icon(kind)}<b>${title}</b><span dir="auto">${text}</span>
      <button type="button" class="icon-button" aria-label="Cancel" title="Cancel (Esc)" @click=${this.cancel}>${icon("close")}</button></div>`;
  }
}

customElements.define("cb-composer", ChatComposer);
