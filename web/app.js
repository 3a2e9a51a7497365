// The page: sign in, then the rooms beside the room that is open.

import { LitElement, html, nothing } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { unsafeHTML } from "lit/directives/unsafe-html.js";
import { rendered } from "/app/markdown.js";
import { board } from "/state.js";

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const TROUBLE = { connecting: "Connecting …", offline: "You are offline. What you write is kept and sent later." };

class Page extends LitElement {
  static properties = { room: { type: Number }, fault: { type: String } };

  constructor() {
    super();
    /** @type {number | null} */
    this.room = null;
    this.fault = "";
    this.isReady = false;
    this.isAtEnd = true;
    for (const type of ["user", "status", "rooms", "room"]) board.addEventListener(type, () => this.requestUpdate());
    addEventListener("popstate", () => this.route());
    this.start();
  }

  createRenderRoot() {
    return this;
  }

  async start() {
    if (await board.restore().catch(() => false)) await board.start();
    this.isReady = true;
    this.route();
  }

  /** @param {string} path */
  go(path) {
    history.pushState(null, "", path);
    this.route();
  }

  route() {
    this.requestUpdate();
    if (!board.user) return;
    const named = Number(location.pathname.match(/^\/r\/(\d+)/)?.[1]);
    const room = named || Number(localStorage.getItem("chatboard.room")) || [...board.rooms.keys()][0];
    if (!room || !board.rooms.has(room)) { this.room = null; return; }
    localStorage.setItem("chatboard.room", String(room));
    if (!named) history.replaceState(null, "", `/r/${room}`);
    if (this.room !== room) this.isAtEnd = true;
    this.room = room;
    const { timeline } = /** @type {import("/chatboard/room.js").Room} */ (board.rooms.get(room));
    timeline.following = true;
    if (!timeline.loaded) timeline.loadLatest().then(() => this.requestUpdate());
  }

  updated() {
    const log = this.querySelector("[role=log]");
    const room = this.room ? board.rooms.get(this.room) : undefined;
    if (log && this.isAtEnd) {
      log.scrollTop = log.scrollHeight;
      const newest = room?.timeline.last;
      if (newest && document.visibilityState === "visible") room.read(newest.id);
    }
    document.title = room ? `${room.name} · ChatBoard` : "ChatBoard";
  }

  render() {
    if (!this.isReady) return nothing;
    if (!board.user) return this.signIn();
    const trouble = board.status === "online" ? nothing : html`<p class="banner" role="status">${TROUBLE[board.status]}</p>`;
    return html`<nav aria-label="Rooms">
        <h1>ChatBoard</h1>
        <ul>${repeat(board.rooms.values(), ({ id }) => id, (room) => this.entry(room))}</ul>
        <button class="quiet" @click=${() => board.signOut()}>Sign out</button>
      </nav>
      <main>${trouble}${this.room ? this.open(this.room) : html`<p class="empty">Choose a room.</p>`}</main>`;
  }

  signIn() {
    return html`<main class="gate"><form @submit=${(/** @type {SubmitEvent} */ event) => this.enter(event)}>
      <h1>ChatBoard</h1>
      <label>E-mail <input name="email" type="email" autocomplete="username" required autofocus></label>
      <label>Password <input name="password" type="password" autocomplete="current-password" required></label>
      <p role="alert">${this.fault}</p>
      <button>Sign in</button>
    </form></main>`;
  }

  /** @param {SubmitEvent} event */
  async enter(event) {
    event.preventDefault();
    const fields = new FormData(/** @type {HTMLFormElement} */ (event.target));
    try {
      await board.signIn(String(fields.get("email")), String(fields.get("password")));
      await board.start();
      this.fault = "";
      history.replaceState(null, "", "/");
      this.route();
    } catch (error) {
      this.fault = error instanceof Error ? error.message : "That did not work.";
    }
  }

  /** @param {import("/chatboard/room.js").Room} room */
  entry(room) {
    const badge = room.unread
      ? html`<span class=${room.mentions ? "badge mentions" : "badge"}>${room.unread}<span class="hidden"> unread</span></span>`
      : nothing;
    return html`<li><a href="/r/${room.id}" aria-current=${room.id === this.room ? "page" : nothing}
      @click=${(/** @type {MouseEvent} */ event) => { event.preventDefault(); this.go(`/r/${room.id}`); }}><span>${room.name}</span>${badge}</a></li>`;
  }

  /** @param {number} id */
  open(id) {
    const room = board.rooms.get(id);
    if (!room) return nothing;
    const { timeline, pending } = room;
    /** @type {string} */
    let last = "";
    const typists = [...room.typing.keys()].map((user) => board.nameOf(user));
    return html`<header><h2>${room.name}</h2><p>${room.info.topic}</p></header>
      <div role="log" aria-label="Messages" tabindex="0" @scroll=${this.scrolled}>
        ${repeat(timeline.messages, (one) => one.id, (one) => {
          const date = day.format(new Date(one.created_at));
          const separator = date === last ? nothing : html`<h3>${date}</h3>`;
          last = date;
          return html`${separator}${this.message(one)}`;
        })}
        ${!timeline.atEnd ? nothing : repeat(pending, (one) => one.nonce, (one) => html`<article class="pending">
          <p class="by"><b>${board.nameOf(one.user)}</b> <span>${one.failed ?? "sending …"}</span></p>
          <div class="body">${unsafeHTML(rendered(one.body))}</div></article>`)}
      </div>
      <p class="typing" aria-live="polite">${typists.length ? `${typists.join(", ")} …` : ""}</p>
      <form class="composer" @submit=${(/** @type {Event} */ event) => event.preventDefault()}>
        <textarea aria-label="Message ${room.name}" placeholder="Message ${room.name}" rows="1"
          @keydown=${this.pressed} @input=${() => room.types(true)}></textarea>
      </form>`;
  }

  /** @param {import("/chatboard/timeline.js").Message} one */
  message(one) {
    const body = one.is_deleted ? html`<i>This message was deleted.</i>` : unsafeHTML(rendered(one.body));
    const file = one.file_url && /^https?:/.test(one.file_url) ? html`<p><a href=${one.file_url} rel="noopener noreferrer" target="_blank">${one.file_url}</a></p>` : nothing;
    const reactions = one.reactions.length
      ? html`<p class="reactions">${one.reactions.map(({ emoji, user_ids: users }) => html`<span>${emoji} ${users.length}</span>`)}</p>`
      : nothing;
    return html`<article data-message=${one.id}>
      <p class="by"><b>${board.nameOf(one.sender)}</b> <time datetime=${one.created_at}>${time.format(new Date(one.created_at))}</time>${one.edited_at ? " · edited" : ""}</p>
      <div class="body">${body}${file}</div>${reactions}</article>`;
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    const field = /** @type {HTMLTextAreaElement} */ (event.target);
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || !this.room) return;
    event.preventDefault();
    const body = field.value.trim();
    if (!body) return;
    field.value = "";
    this.isAtEnd = true;
    board.post(this.room, body);
  }

  /** The window on the history follows the eye. @param {Event} event */
  scrolled(event) {
    const log = /** @type {HTMLElement} */ (event.target);
    const rest = log.scrollHeight - log.scrollTop - log.clientHeight;
    const room = this.room ? board.rooms.get(this.room) : undefined;
    if (!room) return;
    this.isAtEnd = rest < 40 && room.timeline.atEnd;
    room.timeline.following = this.isAtEnd;
    const more = log.scrollTop < 600 ? room.timeline.loadOlder() : rest < 600 ? room.timeline.loadNewer() : null;
    more?.then((came) => came && this.requestUpdate());
  }
}

customElements.define("chat-board", Page);
