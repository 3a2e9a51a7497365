// `<cb-search-pane>`: finds messages. It stands beside the room and stays when a result is opened; where
// both do not fit it takes the room's place, has an address of its own, and Back returns to it.

import { LitElement, html, nothing } from "lit";
import { Follow, board, go } from "/state.js";
import { dress } from "/dress.js";
import { loose } from "/chatboard/mentions.js";
import { charsIn } from "/chatboard/text.js";
import { problemOf } from "./faults.js";
import { icon, iconOf } from "./icons.js";
import { peopleOf } from "./message.js";
import { LOCALE, avatar, counted, fullTimeOf, gist, timeOf } from "./people.js";
import { listEvery } from "./sidebar.js";

await dress("more-style");

/** Where it fits beside the room; as in more.css. */
const wide = matchMedia("(min-width: 64rem)");
/** How long is waited for the next letter. */
const TYPING_MS = 180;
/** Characters of a query, as the server allows. */
const QUERY_CHARS_MAX = 200;
/** Results of a page. */
const PAGE = 30;
/** Characters that are shown of a message, and of these before the first word that was found. */
const [SHOWN, BEFORE] = [320, 80];

const WORD = /[\p{L}\p{M}\p{N}]+/gu;
/** Scripts that set no spaces between words: any part of them is found. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;

/** The words that a query looks for. @param {string} query */
const wordsOf = (query) => (query.match(WORD) ?? []).map(loose);

/**
 * Cuts a text where words are that were looked for: each may be the beginning of a longer one.
 * @param {string} text @param {string[]} words folded @returns {{text: string, isFound: boolean}[]}
 */
function partsOf(text, words) {
  /** @type {{text: string, isFound: boolean}[]} */
  const parts = [];
  let at = 0;
  const mark = (/** @type {number} */ from, /** @type {number} */ to) => {
    if (from > at) parts.push({ text: text.slice(at, from), isFound: false });
    parts.push({ text: text.slice(from, to), isFound: true });
    at = to;
  };
  for (const { 0: word, index } of text.matchAll(WORD)) {
    if (UNSPACED.test(word)) {
      const piece = words.find((one) => word.toLowerCase().includes(one));
      const from = index + word.toLowerCase().indexOf(piece ?? "");
      if (piece) mark(from, from + piece.length);
      continue;
    }
    const folded = loose(word);
    if (words.some((one) => folded.startsWith(one) && (one.length > 1 || folded === one))) mark(index, index + word.length);
  }
  if (at < text.length) parts.push({ text: text.slice(at), isFound: false });
  return parts;
}

/** The part of a message that shows why it was found. @param {string} text @param {string[]} words folded */
function excerptOf(text, words) {
  const parts = partsOf(text, words);
  const first = parts.findIndex(({ isFound }) => isFound);
  const before = parts.slice(0, Math.max(0, first)).map((part) => part.text).join("");
  if (before.length <= BEFORE * 2) return parts;
  // Begins with a whole word.
  const cut = before.slice(-BEFORE);
  return [{ text: `…${cut.slice(cut.indexOf(" "))}`, isFound: false }, ...parts.slice(first)];
}

const SHORT = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short" });
const LONG = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", year: "numeric" });

/** A time as short as it is clear: of today the time of day, of other days the day. @param {string} at */
function whenOf(at) {
  const day = new Date(at);
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(at).setHours(0, 0, 0, 0)) / 86_400_000);
  if (days < 2) return days < 1 ? timeOf(at) : `Yesterday ${timeOf(at)}`;
  return (day.getFullYear() === new Date().getFullYear() ? SHORT : LONG).format(day);
}

class SearchPane extends LitElement {
  static properties = { org: { type: Number }, here: { type: Number }, scope: { type: Number }, isPlace: { attribute: false }, results: { state: true }, busy: { state: true }, problem: { state: true } };

  constructor() {
    super();
    this.org = 0;
    /** The room beside it; 0 for none. */ this.here = 0;
    /** The room that is searched; 0 for all. */ this.scope = 0;
    /** Whether the address is that of a search. */ this.isPlace = false;
    /** @type {any[]|null} null before anything was looked for */ this.results = null;
    this.busy = false;
    this.problem = "";
    /** What the results are of. */ this.query = "";
    /** The next page. @type {string|null} */ this.next = null;
    /** Where the list was scrolled to. */ this.top = 0;
    /** The result that had the focus last. */ this.at = 0;
    /** What is shown of the results. @type {WeakMap<object, any>} */ this.excerpts = new WeakMap();
    this.follow = new Follow(this, ["rooms"], undefined, listEvery);
    this.onWidth = () => this.requestUpdate();
  }

  createRenderRoot() {
    return this;
  }

  connectedCallback() {
    super.connectedCallback();
    wide.addEventListener("change", this.onWidth);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    wide.removeEventListener("change", this.onWidth);
    clearTimeout(this.typing);
  }

  /** @returns {HTMLInputElement} */
  get field() {
    return /** @type {HTMLInputElement} */ (this.querySelector("input"));
  }

  get list() {
    return this.querySelector(".hits");
  }

  /** Searches a room, or all of them (0), for words, or for those that stand there. @param {number} scope @param {string} [words] */
  async open(scope, words) {
    this.scope = scope;
    await this.updateComplete;
    if (words !== undefined) this.field.value = words;
    this.field.select();
    this.field.focus();
    if (this.field.value.trim() && (words !== undefined || this.results === null)) await this.search();
  }

  /** It is seen again: the list stands where it was left. */
  shown() {
    this.list?.scrollTo(0, this.top);
    (this.hits[this.at] ?? this.field).focus({ preventScroll: true });
  }

  typed() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.search(), TYPING_MS);
  }

  /** @param {number} scope */
  searchIn(scope) {
    this.scope = scope;
    this.field.focus();
    return this.search();
  }

  async search() {
    clearTimeout(this.typing);
    const mine = (this.turn = (this.turn ?? 0) + 1);
    const query = this.field.value.trim();
    this.keepAddress(query);
    this.problem = "";
    if (!query) {
      this.results = this.next = null;
      return;
    }
    if (charsIn(query) > QUERY_CHARS_MAX) {
      this.problem = `Searches can have ${QUERY_CHARS_MAX} characters at most.`;
      this.busy = false;
      this.results = this.next = null;
      return;
    }
    const params = new URLSearchParams({ q: query, limit: String(PAGE) });
    if (!board.rooms.has(this.scope)) this.scope = 0;
    if (this.scope) params.set("room", String(this.scope));
    else if (this.org) params.set("org", String(this.org));
    this.busy = true;
    const page = await this.ask(`/messages/search/?${params}`, mine);
    if (!page) return;
    Object.assign(this, { query, results: page.results, next: page.next, top: 0, at: 0 });
    await this.updateComplete;
    this.list?.scrollTo(0, 0);
  }

  async more() {
    if (!this.next || this.busy) return;
    const mine = (this.turn = (this.turn ?? 0) + 1);
    this.busy = true;
    const page = await this.ask(this.next, mine);
    if (!page) return;
    const at = this.results?.length ?? 0;
    Object.assign(this, { results: [...(this.results ?? []), ...page.results], next: page.next });
    await this.updateComplete;
    // The button may be gone, and the focus with it.
    this.hits[at]?.focus();
  }

  /** @param {string} path @param {number} mine null when the reader asked for something else meanwhile, or it failed */
  async ask(path, mine) {
    const page = await board.request("GET", path).catch((error) => {
      if (mine === this.turn) this.problem = problemOf(error);
      return null;
    });
    if (mine !== this.turn) return null;
    this.busy = false;
    return page;
  }

  /** The address leads to the same search. @param {string} query */
  keepAddress(query) {
    if (location.pathname !== "/search") return;
    const params = new URLSearchParams({ q: query, ...(this.scope ? { room: String(this.scope) } : {}) });
    history.replaceState(history.state, "", `/search?${params}`);
  }

  /** @returns {HTMLElement[]} */
  get hits() {
    return [...this.querySelectorAll("a.hit")].map((one) => /** @type {HTMLElement} */ (one));
  }

  /** Arrow keys lead from the field along the results and back. @param {KeyboardEvent} event */
  keys(event) {
    const { hits } = this;
    const at = hits.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const isInField = document.activeElement === this.field;
    if (event.key === "Escape") this.close();
    else if (event.key === "Enter" && isInField) this.search().then(() => this.hits[0]?.focus());
    else if (event.key === "ArrowDown" && (isInField || at >= 0)) hits[Math.min(at + 1, hits.length - 1)]?.focus();
    else if (event.key === "ArrowUp" && at >= 0) (hits[at - 1] ?? this.field).focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  close() {
    this.dispatchEvent(new CustomEvent("close-search", { bubbles: true }));
  }

  render() {
    const room = board.rooms.get(this.scope || this.here);
    // In the room's place, it is what the page is about.
    const isAlone = this.isPlace && !wide.matches;
    return html`<section class="search-pane" role=${isAlone ? "main" : "search"} aria-label="Search" @keydown=${this.keys}>
      <header>${isAlone ? html`<h1 class="hidden">Search</h1>` : html`<h2 class="hidden">Search</h2>`}
        <label class="search-field">${icon("search")}<input type="search" aria-label="Search messages" placeholder="Search messages" autocomplete="off" spellcheck="false" enterkeyhint="search" @input=${this.typed}></label>
        <button class="icon-button" aria-label="Close search" title="Close (Esc)" @click=${this.close}>${icon("close")}</button></header>
      ${room ? html`<div class="search-scope" role="group" aria-label="Search in"><button aria-pressed=${!this.scope} @click=${() => this.searchIn(0)}>Everywhere</button>
        <button aria-pressed=${this.scope === room.id} @click=${() => this.searchIn(room.id)}>${iconOf(room.info)}<bdi>${room.name}</bdi></button></div>` : nothing}
      ${this.problem ? html`<p class="failed" role="alert">${this.problem} <button class="link" @click=${() => this.search()}>Try again</button></p>` : nothing}
      <p class="search-count" role="status">${this.renderCount()}</p>
      <div class="hits" aria-busy=${this.busy} @focusin=${(/** @type {any} */ event) => (this.at = Math.max(0, this.hits.indexOf(event.target)))} @scroll=${(/** @type {any} */ event) => { if (event.target.clientHeight) this.top = event.target.scrollTop; }}>
        ${this.results?.length ? html`<ol aria-label="Results">${this.renderResults(this.results)}</ol>` : nothing}
        ${this.next ? html`<button class="more-hits" ?disabled=${this.busy} @click=${this.more}>Show more</button>` : nothing}</div></section>`;
  }

  renderCount() {
    if (!this.results) return "Finds words, their beginnings and “quoted phrases”.";
    const count = this.results.length;
    if (!count) return `No results for “${this.query}”.`;
    return `${this.next ? `${count}+ results` : counted(count, "result")}, newest first`;
  }

  /** @param {any[]} results */
  renderResults(results) {
    const words = wordsOf(this.query);
    return results.map((message) => {
      const room = board.rooms.get(message.room);
      return html`<li><div class="hit-head">${avatar(message.sender)}<bdi class="author">${board.nameOf(message.sender)}</bdi>
          <a class="hit-room" href=${`/r/${message.room}`}>${room ? html`${iconOf(room.info)}<bdi>${room.name}</bdi>` : "Room"}</a>
          <time datetime=${message.created_at} title=${fullTimeOf(message.created_at)}>${whenOf(message.created_at)}</time></div>
        <a class="hit" href=${`/r/${message.room}/m/${message.id}`} dir="auto">${this.renderExcerpt(message, words)}</a></li>`;
    });
  }

  /** Drawn once for each result, and for people who become known. @param {any} message @param {string[]} words */
  renderExcerpt(message, words) {
    const people = peopleOf(message);
    let { excerpt, people: drawnWith } = this.excerpts.get(message) ?? {};
    if (!excerpt || drawnWith !== people) {
      const text = gist(message, Infinity);
      let left = SHOWN;
      const parts = excerptOf(text, words).map((part) => {
        const shown = part.text.slice(0, Math.max(0, left));
        left -= part.text.length;
        return part.isFound ? html`<mark>${shown}</mark>` : shown;
      });
      this.excerpts.set(message, { people, excerpt: excerpt = html`${parts}${left < 0 ? "…" : nothing}` });
    }
    return excerpt;
  }
}

customElements.define("cb-search-pane", SearchPane);

/** @typedef {import("./chat.js").Chat} Chat */

/** What to search for once the page is at the address of a search. @type {{room: number, words?: string}|null} */
let wish = null;

/** @param {Chat} chat */
const paneOf = (chat) => /** @type {SearchPane|null} */ (chat.querySelector("cb-search-pane"));

/** Searches beside the room; where both do not fit, in its place, at an address. @param {Chat} chat @param {{room?: number, words?: string}} [what] `room`: 0 for all */
export function open(chat, { room = 0, words } = {}) {
  wish = { room, words };
  if (wide.matches || chat.searching !== null) return grant(chat);
  go("/search");
}

/** The address became that of a search: one that was asked for, one that is returned to, or a link. @param {Chat} chat */
export function come(chat) {
  const pane = paneOf(chat);
  if (pane && !wish) return pane.shown();
  const params = new URLSearchParams(chat.searching ?? "");
  wish ??= { room: Number(params.get("room")) || 0, words: params.get("q") ?? undefined };
  return grant(chat);
}

/** @param {Chat} chat */
async function grant(chat) {
  const { room = 0, words } = wish ?? {};
  wish = null;
  chat.isSearchOpen = true;
  await chat.updateComplete;
  await paneOf(chat)?.open(room, words);
}

/** @param {Chat} chat */
export async function close(chat) {
  chat.isSearchOpen = false;
  if (chat.searching !== null) go(chat.screen || (chat.room ? `/r/${chat.room}` : "/"), { replace: true });
  await chat.updateComplete;
  if (matchMedia("(hover: hover)").matches) /** @type {HTMLElement|null} */ (chat.querySelector(".composer textarea"))?.focus();
}
