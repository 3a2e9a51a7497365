// The list of rooms: starred, own sections, rooms, direct messages; what is unread stands out.

import { LitElement, html, nothing } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { Follow, board } from "/state.js";
import { icon, iconOf } from "./icons.js";
import { avatar } from "./people.js";

/** @typedef {import("/chatboard/room.js").Room} Room */

const LIST_EVERY_MS = 150;
/** The list is drawn again this often at most: counts that run faster cannot be read. */
export const listEvery = () => LIST_EVERY_MS;
/** Where the names of the sections are kept that are folded, a line each. */
const FOLDED = "chatboard.folded";

const { compare } = new Intl.Collator();

/** Whether the room asks for attention: muted rooms never do, quiet ones only with a mention. @param {Room} room */
export const wants = (room) => (room.settings.notify === "all" ? room.unread > 0 : room.settings.notify === "mentions" && room.mentions > 0);

/** The rooms of an organization under their headings. @param {Iterable<Room>} rooms @returns {[string, Room[]][]} */
export function sectionsOf(rooms) {
  /** @type {Map<string, Room[]>} */
  const named = new Map();
  const [starred, plain, direct] = /** @type {Room[][]} */ ([[], [], []]);
  for (const room of rooms) {
    const { starred: star, section } = room.settings;
    if (star) starred.push(room);
    else if (section) named.set(section, [...(named.get(section) ?? []), room]);
    else (room.info.is_dm ? direct : plain).push(room);
  }
  const byName = (/** @type {Room} */ a, /** @type {Room} */ b) => compare(a.name, b.name);
  direct.sort((a, b) => (b.info.last_message_at ?? b.info.created_at).localeCompare(a.info.last_message_at ?? a.info.created_at));
  /** @type {[string, Room[]][]} */
  const all = [["Starred", starred.sort(byName)],
    ...[...named].sort(([a], [b]) => compare(a, b)).map(([name, list]) => /** @type {[string, Room[]]} */ ([name, list.sort(byName)])),
    ["Rooms", plain.sort(byName)], ["Direct messages", direct]];
  return all.filter(([name, list]) => list.length > 0 || name === "Rooms" || name === "Direct messages");
}

class ChatSidebar extends LitElement {
  static properties = { current: { type: Number }, org: { type: Number }, alone: { attribute: false } };

  constructor() {
    super();
    this.current = 0;
    this.org = 0;
    /** Whether it is all that is shown. */ this.alone = false;
    this.follow = new Follow(this, ["rooms", "user", "status", "notification"], undefined, listEvery);
    this.onStorage = () => this.requestUpdate();
    this.folded = new Set((localStorage.getItem(FOLDED) ?? "").split("\n"));
  }

  createRenderRoot() {
    return this;
  }

  connectedCallback() {
    super.connectedCallback();
    // Another tab writes, or sends, a draft.
    addEventListener("storage", this.onStorage);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    removeEventListener("storage", this.onStorage);
  }

  /** @param {string} name @param {any} [detail] */
  ask(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
  }

  /** Of a folded section, only rooms are shown that ask for attention. @param {string} name */
  fold(name) {
    if (!this.folded.delete(name)) this.folded.add(name);
    localStorage.setItem(FOLDED, [...this.folded].join("\n"));
    this.requestUpdate();
  }

  /** @param {KeyboardEvent} event */
  keys(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !document.activeElement?.matches("a.room-link")) return;
    event.preventDefault();
    import("./ways.js").then((part) => part.nextLink(this, step), () => {});
  }

  render() {
    const rooms = [...board.rooms.values()].filter((room) => room.info.org === this.org);
    const role = board.orgs.find((org) => org.id === this.org)?.role;
    return html`<nav class="sidebar" aria-label="Rooms" @keydown=${this.keys}>
      ${this.renderTop()}
      ${role ? html`<button class="find" @click=${() => this.ask("open-switcher")}>${icon("search")}<span>Jump to…</span><kbd>Ctrl K</kbd></button>` : nothing}
      <div class="sections">${repeat(sectionsOf(rooms), ([name]) => name, ([name, list]) => html`
        <section aria-label=${name}><h2><button class="fold" aria-expanded=${!this.folded.has(name)} @click=${() => this.fold(name)}>${icon("down")}${name}</button>${this.renderAdd(name, role)}</h2>
          <ul>${repeat(this.folded.has(name) ? list.filter((room) => wants(room) || room.id === this.current) : list, (room) => room.id, (room) => this.renderRoom(room))}</ul></section>`)}</div>
      <footer><a class="me" href="/profile">${board.user ? avatar(board.user.id, board.status === "online") : nothing}<bdi>${board.user ? board.nameOf(board.user.id) : ""}</bdi></a>
        <a class="icon-button bell" href="/notifications" aria-label=${board.unreadNotifications ? `Notifications, ${board.unreadNotifications} unread` : "Notifications"} title="Notifications">${icon("bell")}${
          board.unreadNotifications ? html`<b class="badge" aria-hidden="true">${board.unreadNotifications > 99 ? "99+" : board.unreadNotifications}</b>` : nothing}</a></footer>
    </nav>`;
  }

  renderTop() {
    const name = board.orgs.find((org) => org.id === this.org)?.name ?? "ChatBoard";
    const elsewhere = (/** @type {number} */ org) => [...board.rooms.values()].some((room) => room.info.org === org && wants(room));
    return html`<header class="org-head">${this.alone ? html`<h1 class="hidden">Rooms of <bdi>${name}</bdi></h1>` : nothing}${board.orgs.length > 1 ? html`<select aria-label="Organization" @change=${(/** @type {any} */ event) => this.ask("org", Number(event.target.value))}>
        ${board.orgs.map((org) => html`<option value=${org.id} ?selected=${org.id === this.org}>${org.name}${org.id !== this.org && elsewhere(org.id) ? " •" : ""}</option>`)}</select>`
      : html`<b dir="auto">${name}</b>`}
      ${this.org ? html`<a class="icon-button" href=${`/orgs/${this.org}/settings`} aria-label="Organization settings" title="Organization settings">${icon("settings")}</a>` : nothing}</header>`;
  }

  /** @param {string} name @param {string|undefined} role */
  renderAdd(name, role) {
    // Without an organization there is nothing to add to.
    if (!role) return nothing;
    if (name === "Direct messages") return html`<button class="icon-button" aria-label="New direct message" title="New direct message" @click=${() => this.ask("open-dm")}>${icon("plus")}</button>`;
    if (name !== "Rooms") return nothing;
    return html`<button class="icon-button" aria-label="Browse rooms" title="Browse rooms" @click=${() => this.ask("open-browse")}>${icon("compass")}</button>
      ${role !== "MEMBER" ? html`<button class="icon-button" aria-label="New room" title="New room" @click=${() => this.ask("open-new-room")}>${icon("plus")}</button>` : nothing}`;
  }

  /** @param {Room} room */
  renderRoom(room) {
    const { info, settings } = room;
    const loud = wants(room);
    const count = room.unreadCapped ? "1,000+" : String(room.unread);
    const other = info.is_dm && room.others.length === 1 ? room.others[0] : null;
    return html`<li><a class=${`room-link ${loud ? "loud" : ""} ${settings.notify === "none" ? "muted" : ""}`} href=${`/r/${room.id}`}
      aria-current=${room.id === this.current ? "page" : nothing}>
      ${other ? avatar(other.id, room.online.has(other.id)) : iconOf(info)}<bdi>${room.name}</bdi>
      ${room.id !== this.current && localStorage.getItem(`chatboard.draft.${board.user?.id}.${room.id}`) ? html`${icon("edit")}<span class="hidden">draft</span>` : nothing}${settings.notify === "none" ? icon("mute") : nothing}
      ${room.mentions || (info.is_dm && loud) ? html`<b class="badge">${room.mentions || count}</b><span class="hidden">${room.mentions ? "mentions" : "unread"}</span>`
        : loud ? html`<small class="count">${count}</small><span class="hidden">unread</span>` : nothing}</a></li>`;
  }
}

customElements.define("cb-sidebar", ChatSidebar);
