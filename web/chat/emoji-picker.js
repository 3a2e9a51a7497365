// `<cb-emoji-picker>`: all emoji in a popover at the button that opened it, at the bottom of a narrow
// screen. What is typed searches; the arrow keys move, Enter takes, Escape closes and the focus returns.

import { LitElement, html, nothing } from "lit";
import { dress } from "/dress.js";
import { groups, nameOf, search, setTone, tone, withTone } from "./emoji.js";
import { recent, use } from "./emoji-used.js";

await dress("more-style");

/** In one row. */
const COLUMNS = 9;
const FOUND_MOST = 90;
/** It stays for this long after one was taken: the second half of a double click hits nothing else. */
const CLOSES_AFTER_MS = 250;
/** Groups that are drawn at once; the others when there is time. */
const FIRST_GROUPS = 2;
/** Between the button and the popover, and the window's edge. */
const GAP = 6;

const TONES = ["No skin tone", "Light skin tone", "Medium-light skin tone", "Medium skin tone", "Medium-dark skin tone", "Dark skin tone"];

class EmojiPicker extends LitElement {
  static properties = { text: { state: true }, chosen: { state: true }, tone: { state: true }, all: { state: true } };

  constructor() {
    super();
    this.text = "";
    /** The place of the emoji that Enter takes. */ this.chosen = 0;
    this.tone = tone();
    /** Whether all groups are drawn. */ this.all = false;
    /** @type {HTMLElement|null} */ this.anchor = null;
    /** @type {(emoji: string) => void} */ this.pick = () => {};
    /** @type {() => void} */ this.closed = () => {};
    this.isDone = false;
  }

  createRenderRoot() {
    return this;
  }

  firstUpdated() {
    const box = this.box;
    box.addEventListener("toggle", (event) => {
      if (/** @type {ToggleEvent} */ (event).newState !== "closed") return;
      this.remove();
      this.closed();
    });
    box.showPopover();
    this.place();
    /** @type {HTMLElement} */ (this.querySelector("input")).focus();
    (globalThis.requestIdleCallback ?? setTimeout)(() => (this.all = true));
  }

  get box() {
    return /** @type {HTMLElement} */ (this.querySelector(".emoji-picker"));
  }

  /** Beside the button, where there is room; a narrow screen has it at its bottom. */
  place() {
    const { box, anchor } = this;
    if (!anchor || matchMedia("(max-width: 30rem)").matches) return;
    const [at, { width, height }] = [anchor.getBoundingClientRect(), box.getBoundingClientRect()];
    const above = at.top - GAP - height;
    const top = above >= GAP ? above : Math.min(at.bottom + GAP, innerHeight - height - GAP);
    box.style.top = `${Math.max(GAP, top)}px`;
    box.style.left = `${Math.max(GAP, Math.min(at.right - width, innerWidth - width - GAP))}px`;
  }

  close() {
    if (this.isConnected) this.box.hidePopover();
  }

  /** What is shown, under its headings. @returns {{name: string, emoji: {emoji: string, label: string, code: string}[]}[]} */
  get shown() {
    const view = (/** @type {import("./emoji.js").Emoji} */ one) => ({ emoji: withTone(one, this.tone), label: one.label, code: one.shortcode });
    if (this.text.trim()) return [{ name: "Found", emoji: search(this.text, FOUND_MOST).map(view) }];
    const used = recent(COLUMNS * 2).map((emoji) => ({ emoji, label: nameOf(emoji), code: "" }));
    return [{ name: "Recently used", emoji: used }, ...groups.slice(0, this.all ? groups.length : FIRST_GROUPS).map(({ name, emoji }) => ({ name, emoji: emoji.map(view) }))];
  }

  /** @returns {HTMLElement[]} */
  get options() {
    return [...this.querySelectorAll("[role=option]")].map((one) => /** @type {HTMLElement} */ (one));
  }

  /** @param {string|undefined} emoji */
  take(emoji) {
    if (!emoji || this.isDone) return;
    this.isDone = true;
    use(emoji);
    this.pick(emoji);
    setTimeout(() => this.close(), CLOSES_AFTER_MS);
  }

  /** @param {KeyboardEvent} event */
  keys(event) {
    const { options } = this;
    const field = /** @type {HTMLInputElement} */ (event.target);
    const isInText = field.value && (event.key === "ArrowLeft" || event.key === "ArrowRight");
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Enter") this.take(options[this.chosen]?.dataset.emoji);
    else if (step && (!isInText || this.chosen > 0)) this.choose(this.chosen + step);
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") this.choose(this.besides(event.key === "ArrowDown" ? 1 : -1));
    else return;
    event.preventDefault();
  }

  /** The place in the next row, or the one before, that is nearest. @param {1|-1} step */
  besides(step) {
    const { options } = this;
    const from = options[this.chosen]?.getBoundingClientRect();
    if (!from) return 0;
    let best = this.chosen;
    let row = NaN;
    for (let at = this.chosen + step; options[at]; at += step) {
      const { top, left } = options[at].getBoundingClientRect();
      if (Math.abs(top - from.top) < 1) continue;
      if (Number.isNaN(row)) row = top;
      if (Math.abs(top - row) > 1) break;
      if (best === this.chosen || Math.abs(left - from.left) < Math.abs(options[best].getBoundingClientRect().left - from.left)) best = at;
    }
    return best;
  }

  /** @param {number} place */
  choose(place) {
    this.chosen = Math.max(0, Math.min(this.options.length - 1, place));
  }

  /** @param {Map<string, unknown>} changed */
  updated(changed) {
    if (!["chosen", "text", "tone"].some((name) => changed.has(name))) return;
    for (const one of this.querySelectorAll("[aria-selected=true]")) one.setAttribute("aria-selected", "false");
    const one = this.options[this.chosen];
    one?.setAttribute("aria-selected", "true");
    one?.scrollIntoView({ block: "nearest" });
    const note = /** @type {HTMLElement} */ (this.querySelector(".emoji-note"));
    note.textContent = one ? `${one.dataset.emoji} ${one.title}` : "";
    const field = /** @type {HTMLElement} */ (this.querySelector("input"));
    if (one) field.setAttribute("aria-activedescendant", one.id);
    else field.removeAttribute("aria-activedescendant");
  }

  /** @param {Event} event */
  typed(event) {
    this.text = /** @type {HTMLInputElement} */ (event.target).value;
    this.chosen = 0;
    this.querySelector(".emoji-list")?.scrollTo(0, 0);
  }

  /** @param {number} chosen */
  chooseTone(chosen) {
    this.tone = chosen;
    setTone(chosen);
    /** @type {HTMLElement} */ (this.querySelector("input")).focus();
  }

  /** @param {MouseEvent} event */
  clicked(event) {
    this.take(/** @type {HTMLElement|null} */ (/** @type {Element} */ (event.target).closest("[role=option]"))?.dataset.emoji);
  }

  /** @param {PointerEvent} event */
  pointed(event) {
    const one = /** @type {HTMLElement|null} */ (/** @type {Element} */ (event.target).closest("[role=option]"));
    if (one && event.pointerType === "mouse") /** @type {HTMLElement} */ (this.querySelector(".emoji-note")).textContent = `${one.dataset.emoji} ${one.title}`;
  }

  render() {
    const { shown } = this;
    let place = 0;
    return html`<div class="emoji-picker" popover="auto" role="dialog" aria-label="Emoji">
      <input type="text" role="combobox" aria-label="Search emoji" placeholder="Search emoji" aria-expanded="true" aria-controls="emoji-list" aria-autocomplete="list"
        autocomplete="off" spellcheck="false" @input=${this.typed} @keydown=${this.keys}>
      <div class="emoji-list" role="listbox" id="emoji-list" aria-label="Emoji" tabindex="-1" @click=${this.clicked} @pointerover=${this.pointed}>
        ${shown.map(({ name, emoji }) => html`<div role="group" aria-label=${name}><b aria-hidden="true">${name}</b><div class="emoji-grid" role="presentation">${emoji.map((one) => html`<span role="option"
          id=${`emoji-${place++}`} aria-selected="false" aria-label=${one.label} title=${one.code ? `${one.label} :${one.code}:` : one.label} data-emoji=${one.emoji}>${one.emoji}</span>`)}</div></div>`)}
      </div>
      ${shown[0].emoji.length ? nothing : html`<p class="emoji-none" role="status">No emoji found for “${this.text}”.</p>`}
      <footer><span class="emoji-note"></span><div role="group" aria-label="Skin tone">${TONES.map((label, n) => html`<button aria-label=${label} title=${label} aria-pressed=${n === this.tone}
        @click=${() => this.chooseTone(n)}>${withTone({ emoji: "✋", hasTones: true, shortcode: "", shortcodes: [], label: "", words: [] }, n)}</button>`)}</div></footer>
    </div>`;
  }
}

customElements.define("cb-emoji-picker", EmojiPicker);

/** Opens the picker at a button. @param {{anchor: HTMLElement, pick: (emoji: string) => void, closed?: () => void}} how */
export function openPicker(how) {
  document.querySelector("cb-emoji-picker")?.remove();
  const host = how.anchor.closest("dialog") ?? document.body;
  host.append(Object.assign(document.createElement("cb-emoji-picker"), how));
}

/** Opens the picker for a field: the emoji is written at the caret. @param {HTMLElement} anchor @param {HTMLTextAreaElement} field @param {() => void} written */
export function writeEmoji(anchor, field, written) {
  openPicker({ anchor, closed: () => field.focus(), pick: (emoji) => {
    field.setRangeText(emoji, field.selectionStart, field.selectionEnd, "end");
    written();
  } });
}
