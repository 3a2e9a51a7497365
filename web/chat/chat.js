// `<cb-chat room="1" message="9">`: the rooms, the room, and the keys that work everywhere.

import { LitElement, html, nothing } from "lit";
import { Follow, board, go } from "/state.js";
import { counted } from "./people.js";
import { listEvery, wants } from "./sidebar.js";
import "./room.js";
import "./timeline.js";

const dialogs = () => Promise.all([import("./modal.js"), import("./pickers.js"), import("./forms.js")]);

/** Opens a dialog. Their code comes when the room is there, or with the first of them. @param {string} tag @param {Record<string, any>} [properties] */
async function show(tag, properties = {}) {
  const [modal] = await dialogs();
  modal.show(tag, properties);
}

/** What stands where there is no room, once it is loaded. @type {typeof import("./empty.js")|undefined} */
let empty;

const LATER_MS = 700;
/** A break of the connection that is shorter is not spoken of. */
const QUIET_MS = 2500;
/** Where the list and the room do not fit side by side; as in chat.css. */
const narrow = matchMedia("(max-width: 46rem)");
const search = () => import("./search.js");
/** Where keys lead, once it is loaded: then they do so at once. @type {typeof import("./ways.js")|undefined} */
let known;
/** @param {(part: typeof import("./ways.js")) => void} lead */
const ways = async (lead) => lead((known ??= await import("./ways.js")));

/** The room of an organization to begin with: the one that was looked at last. @param {number} org */
function homeOf(org) {
  const rooms = [...board.rooms.values()].filter((room) => room.info.org === org);
  const last = Number(localStorage.getItem(`chatboard.room.${org}`));
  return rooms.find(({ id }) => id === last) ?? rooms.find((room) => !room.info.is_dm) ?? rooms[0];
}

export class Chat extends LitElement {
  static properties = { room: { type: Number }, message: { type: Number }, screen: { type: String }, searching: { attribute: false }, isSearchOpen: { state: true }, lost: { type: Boolean }, screens: { state: true }, drawer: { state: true }, org: { state: true }, quiet: { state: true }, asking: { state: true } };

  constructor() {
    super();
    this.room = 0;
    this.message = 0;
    /** Whether the address is none of ours. */ this.lost = false;
    /** The address of what stands in the room's place; empty for the room. */ this.screen = "";
    /** What the address searches for, where a search has the address. @type {string|null} */ this.searching = null;
    this.isSearchOpen = false;
    /** What draws the screens; fetched when one is first opened. @type {typeof import("/screens/shell.js")|null|Error} */ this.screens = null;
    this.org = Number(localStorage.getItem("chatboard.org")) || 0;
    /** Whether the list covers the room, on a narrow screen. */ this.drawer = false;
    /** Whether a break of the connection is too short to speak of. */ this.quiet = true;
    /** @type {any} */ this.speakUp = undefined;
    /** Whether it is the moment to ask for notifications. */ this.asking = false;
    this.hasSent = false;
    /** What goes on beside the page, once it is loaded. @type {typeof import("./alive.js")|null} */ this.alive = null;
    this.onSent = () => {
      this.hasSent = true;
      this.asking = this.alive?.mayAsk() ?? false;
    };
    this.follow = new Follow(this, ["rooms", "user"], undefined, listEvery);
    // The banner tells how many messages wait.
    this.followWaiting = new Follow(this, ["room"], () => board.status !== "online", listEvery);
    this.onKey = (/** @type {KeyboardEvent} */ event) => this.keys(event);
    this.onStatus = () => this.statusChanged();
    this.onWidth = () => this.requestUpdate();
    this.addEventListener("open-search", (/** @type {any} */ { detail }) => this.openSearch(detail));
  }

  createRenderRoot() {
    return this;
  }

  connectedCallback() {
    super.connectedCallback();
    addEventListener("keydown", this.onKey);
    board.addEventListener("status", this.onStatus);
    board.addEventListener("sent", this.onSent);
    narrow.addEventListener("change", this.onWidth);
    board.start();
    this.statusChanged();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    removeEventListener("keydown", this.onKey);
    board.removeEventListener("status", this.onStatus);
    this.speakUp = clearTimeout(this.speakUp);
    board.removeEventListener("sent", this.onSent);
    narrow.removeEventListener("change", this.onWidth);
  }

  statusChanged() {
    if (board.status === "online") {
      clearTimeout(this.speakUp);
      this.speakUp = undefined;
      this.quiet = true;
    } else {
      // Counted from the break on, however often a new line is tried meanwhile.
      this.speakUp ??= setTimeout(() => (this.quiet = false), QUIET_MS);
    }
    this.requestUpdate();
  }

  /** @param {KeyboardEvent} event */
  keys(event) {
    const command = event.ctrlKey || event.metaKey;
    if (command && !event.shiftKey && event.key.toLowerCase() === "k") show("cb-switcher", { org: this.org, here: this.room });
    else if (command && event.shiftKey && event.key.toLowerCase() === "f") this.openSearch();
    else if ((command && event.key === "/") || (event.key === "?" && !/** @type {Element} */ (event.target).matches("input, textarea, select"))) this.openHelp();
    else if (event.key === "F6" && !document.querySelector("dialog[open]")) ways((part) => part.nextPart(this, event.shiftKey ? -1 : 1)).catch(() => {});
    else if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) ways((part) => part.nextRoom(this, event.key === "ArrowUp" ? -1 : 1, event.shiftKey)).catch(() => {});
    else return;
    event.preventDefault();
  }

  /** @param {Map<string, any>} changed */
  willUpdate(changed) {
    if (this.searching !== null && !this.room && !this.screen) this.room = homeOf(this.org)?.id ?? 0;
    const room = board.rooms.get(this.room);
    if (changed.has("screen") && this.screen) this.openScreens();
    const settled = Number(this.screen.match(/^\/orgs\/(\d+)/)?.[1]);
    if (settled && board.orgs.some((org) => org.id === settled)) this.org = settled;
    else if (room) {
      this.org = room.info.org;
      if (changed.has("room") || !this.kept) {
        this.kept = true;
        localStorage.setItem("chatboard.org", String(this.org));
        localStorage.setItem(`chatboard.room.${this.org}`, String(this.room));
      }
    } else if (board.orgs.length && !board.orgs.some((org) => org.id === this.org)) this.org = board.orgs[0].id;
    if ((changed.has("room") && this.room) || (changed.has("screen") && this.screen) || changed.get("searching") === null) this.drawer = false;
    const loud = [...board.rooms.values()].filter(wants).reduce((sum, one) => sum + (one.info.is_dm ? one.unread : one.mentions), 0);
    this.alive?.sign(loud);
    document.title = `${loud ? `(${loud}) ` : ""}${this.titleFor(room)}ChatBoard`;
  }

  /** Whether there is a room to choose in this organization. */
  get hasRooms() {
    return [...board.rooms.values()].some((room) => room.info.org === this.org);
  }

  /** @param {import("/chatboard/room.js").Room|undefined} room */
  titleFor(room) {
    const name = this.searching !== null ? "Search" : this.screen ? this.screens && "titleOf" in this.screens && this.screens.titleOf(this.screen) : room?.name;
    return name ? `${name} · ` : "";
  }

  async openScreens() {
    if (this.screens && !(this.screens instanceof Error)) return;
    this.screens = null;
    this.screens = await import("/screens/shell.js").catch((error) => {
      this.alive?.look();
      return error;
    });
  }

  firstUpdated() {
    setTimeout(() => this.loadRest(), LATER_MS);
  }

  /** Loads what the first screen can do without, once that is there. */
  loadRest() {
    if (!this.isConnected) return;
    if (this.room && !board.rooms.get(this.room)?.timeline.loaded) return void setTimeout(() => this.loadRest(), LATER_MS);
    const idle = globalThis.requestIdleCallback ?? setTimeout;
    idle(async () => {
      board.names.loadMentions();
      this.alive = await import("./alive.js").catch(() => null);
      this.alive?.install();
      // Who was quicker than this is asked now.
      if (this.hasSent) this.asking = this.alive?.mayAsk() ?? false;
      this.requestUpdate();
      await import("./verify.js").catch(() => {});
      await Promise.all([import("./actions.js"), import("./room-menu.js"), ways(() => {})]).catch(() => {});
      await dialogs().catch(() => {});
    });
  }

  /** @param {Map<string, any>} changed */
  updated(changed) {
    if (changed.has("searching") && this.searching !== null) search().then((part) => part.come(this), () => {});
    if (this.room || this.screen || !board.rooms.size) return;
    const home = homeOf(this.org);
    if (home && location.pathname === "/") go(`/r/${home.id}`, { replace: true });
  }

  openHelp() {
    import("./help.js").then(() => show("cb-keys"), () => {});
  }

  /** @param {any} [what] see `open` in search.js */
  openSearch(what) {
    search().then((part) => part.open(this, what), () => {});
  }

  /** @param {CustomEvent<number>} event */
  changeOrg({ detail }) {
    this.org = detail;
    localStorage.setItem("chatboard.org", String(detail));
    const home = homeOf(detail);
    go(home ? `/r/${home.id}` : "/");
  }

  render() {
    const room = board.rooms.get(this.room);
    const isNowhere = board.status === "online" && !this.hasRooms;
    const isList = this.drawer || !(this.room || this.screen || this.searching !== null || isNowhere);
    // On a narrow screen the list is all there is.
    const isAlone = isList && narrow.matches;
    return html`<div class=${`chat${isList ? " drawer" : this.searching !== null ? " at-search" : ""}${this.isSearchOpen ? " with-search" : ""}`}
        @open-switcher=${() => show("cb-switcher", { org: this.org, here: this.room })} @open-dm=${() => show("cb-new-dm", { org: this.org })}
        @open-browse=${() => show("cb-browse", { org: this.org })} @open-new-room=${() => show("cb-new-room", { org: this.org })}
        @close-search=${() => search().then((part) => part.close(this))}
        @open-sections=${(/** @type {CustomEvent} */ event) => show("cb-section", { room: event.detail })}
        @open-members=${(/** @type {CustomEvent} */ event) => show("cb-members", { room: event.detail })}
        @open-help=${this.openHelp} @open-rooms=${() => (this.drawer = true)} @org=${this.changeOrg}
        @click=${(/** @type {Event} */ event) => /** @type {Element} */ (event.target).closest?.(".sidebar a") && (this.drawer = false)}>
      <cb-sidebar .current=${this.room} .org=${this.org} .alone=${isAlone} role=${isAlone ? "main" : nothing}></cb-sidebar>
      <main>${this.renderBanner()}${this.screen ? this.renderScreen() : room ? html`<cb-room .room=${room} .message=${this.message}></cb-room>` : this.renderEmpty()}</main>
      ${this.isSearchOpen ? html`<cb-search-pane .org=${this.org} .here=${this.room} .isPlace=${this.searching !== null && !isAlone}></cb-search-pane>` : nothing}
      ${this.renderStatus()}
    </div>`;
  }

  /** What is asked or told above the room, one thing at a time; it covers nothing. */
  renderBanner() {
    return html`<cb-verify></cb-verify>${this.alive?.renderBanner(this) ?? nothing}`;
  }

  renderScreen() {
    if (this.screens instanceof Error) return html`<div class="empty" role="alert"><p>This could not be loaded.</p><p><button class="link" @click=${this.openScreens}>Try again</button></p></div>`;
    return this.screens ? html`<cb-screen .path=${this.screen}></cb-screen>` : html`<div class="empty" aria-busy="true"></div>`;
  }

  renderEmpty() {
    const isOnItsWay = location.pathname === "/" && this.hasRooms;
    if ((board.status !== "online" && !board.rooms.size) || isOnItsWay) return html`<div class="empty" aria-busy="true"></div>`;
    if (!empty) import("./empty.js").then((loaded) => { empty = loaded; this.requestUpdate(); }, () => {});
    return empty?.renderEmpty(this, show) ?? nothing;
  }

  renderStatus() {
    if (this.quiet || board.status === "online") return html`<div class="status" role="status"></div>`;
    const waiting = board.outbox.list().filter((send) => !send.failed).length;
    const kept = waiting ? ` ${counted(waiting, "message")} will be sent when you reconnect.` : "";
    return html`<div class="status shown" role="status">${board.status === "offline" ? "You're offline." : "Reconnecting…"}${kept}</div>`;
  }
}

customElements.define("cb-chat", Chat);
