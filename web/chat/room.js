// A room: its head, its timeline, its composer, and what is said quietly between them.

import { LitElement, html, nothing } from "lit";
import { Follow, board, go } from "/state.js";
import { icon, iconOf } from "./icons.js";
import { counted, namesOf } from "./people.js";
import { spoken } from "./timeline.js";
import "./composer.js";

/** What draws the menu, once it was opened. @type {typeof import("./room-menu.js")|undefined} */
let menu;

/** Screen readers need time to say something. */
const SAY_EVERY_MS = 1500;

/**
 * Beyond these properties it needs nothing; it tells of itself by `open-search`, `open-rooms` and
 * `open-sections`, which bubble.
 */
export class ChatRoom extends LitElement {
  static properties = { room: { attribute: false }, message: { type: Number }, said: { state: true }, dragging: { state: true }, menu: { state: true } };

  constructor() {
    super();
    /** @type {import("/chatboard/room.js").Room} */ this.room = /** @type {any} */ (null);
    this.message = 0;
    this.said = "";
    this.dragging = this.menu = false;
    /** Messages that no screen reader was told of. @type {any[]} */ this.unsaid = [];
    /** @type {any} */ this.saying = undefined;
    this.follow = new Follow(this, ["room", "rooms"], (id) => id === null || id === this.room?.id);
    this.heard = (/** @type {any} */ event) => this.announce(event.detail);
  }

  createRenderRoot() {
    return this;
  }

  connectedCallback() {
    super.connectedCallback();
    board.addEventListener("frame", this.heard);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    board.removeEventListener("frame", this.heard);
  }

  /** @param {Map<string, any>} changed */
  willUpdate(changed) {
    if (changed.has("room")) {
      this.menu = false;
      this.room.loadMembers().catch(() => {});
    }
  }

  /** Says new messages of others to screen readers; of a burst, how many. @param {any} frame */
  announce(frame) {
    if (frame.type !== "message" || frame.room !== this.room?.id || frame.sender === board.user?.id) return;
    this.unsaid.push(frame);
    this.saying ??= setTimeout(() => {
      const all = this.unsaid.splice(0);
      this.say(all.length > 3 ? counted(all.length, "new message") : all.map(spoken).join(". "));
      this.saying = undefined;
    }, SAY_EVERY_MS);
  }

  /** Only what changes is read out: the same again has a space at its end, which nobody hears. @param {string} text */
  say(text) {
    this.said = text && text === this.said ? `${text}\u00a0` : text;
  }

  get moderator() {
    const role = board.orgs.find((org) => org.id === this.room.info.org)?.role;
    return !this.room.info.is_dm && (role === "ADMIN" || role === "MANAGER");
  }

  /** @returns {any} */
  get composer() {
    return this.querySelector("cb-composer");
  }

  /** @param {CustomEvent} event */
  action({ detail }) {
    if (detail.what === "reply") this.composer.replyTo(detail.message);
    else if (detail.what === "edit") this.composer.edit(detail.message);
    else if (detail.what === "said") this.say(detail.text);
    else if (detail.what === "error") this.composer.problem = detail.error.message;
  }

  posted() {
    /** @type {any} */ (this.querySelector("cb-timeline")).answered();
    if (this.message) go(`/r/${this.room.id}`, { replace: true });
  }

  /** @param {DragEvent} event */
  drag(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.dragging = event.type === "dragover";
    if (event.type === "drop") this.composer.attach(event.dataTransfer.files);
  }

  /** @param {any} change */
  change(change) {
    this.closeMenu();
    this.room.change(change).catch((error) => (this.composer.problem = `Couldn't save this: ${error.message}`));
  }

  render() {
    const { room } = this;
    return html`<section class="room" aria-label=${room.name} @dragover=${this.drag} @dragleave=${this.drag} @drop=${this.drag}
        @message-action=${this.action} @posted=${this.posted} @leave-timeline=${() => this.composer.field.focus()}>
      ${this.renderHead()}
      <cb-timeline .room=${room} .target=${this.message} .moderator=${this.moderator}></cb-timeline>
      <p class="typing" aria-live="off">${this.renderTyping()}</p>
      <cb-composer .room=${room}></cb-composer>
      <p class="hidden" role="status" aria-live="polite">${this.said}</p>
      ${this.dragging ? html`<div class="drop-here">Drop to add to the message</div>` : nothing}
    </section>`;
  }

  renderTyping() {
    const typists = [...this.room.typing.keys()];
    if (!typists.length) return nothing;
    return html`<i class="dots" aria-hidden="true"></i>${namesOf(typists)} ${typists.length === 1 ? "is" : "are"} typing`;
  }

  renderHead() {
    const { room } = this;
    const { info, settings } = room;
    const online = info.is_dm ? room.others.some((one) => room.online.has(one.id)) : false;
    return html`<header class="room-head">
      <a class="icon-button back" href="/" aria-label="Rooms" @click=${(/** @type {Event} */ event) => { event.preventDefault(); event.stopPropagation(); this.dispatchEvent(new CustomEvent("open-rooms", { bubbles: true })); }}>${icon("menu")}</a>
      <div class="room-title"><h1 dir="auto">${info.is_dm ? html`<i class=${online ? "dot dot-on" : "dot"}></i>` : iconOf(info)}<bdi>${room.name}</bdi>${settings.notify === "none" ? icon("mute") : nothing}</h1>
        <p dir="auto">${info.is_dm ? (online ? "Online" : "Offline") : info.topic || nothing}</p></div>
      <button class="icon-button" aria-pressed=${settings.starred} aria-label="Star" title="Star" @click=${() => this.change({ starred: !settings.starred })}>${icon("star")}</button>
      <button class="icon-button" aria-label="Search this room" title="Search" @click=${() => this.dispatchEvent(new CustomEvent("open-search", { bubbles: true, detail: { room: room.id } }))}>${icon("search")}</button>
      ${info.is_dm ? nothing : html`<button class="icon-button people" aria-label=${counted(info.members_count, "member")} title="Members" @click=${() => this.dispatchEvent(new CustomEvent("open-members", { bubbles: true, detail: room.id }))}>${icon("people")}<span>${info.members_count}</span></button>`}
      <div class="menu-of" tabindex="-1" @focusout=${this.menuLeft}>
        <button class="icon-button" aria-label="Room options" aria-expanded=${this.menu} @click=${this.toggleMenu}>${icon("more")}</button>
        ${this.menu ? menu?.renderMenu(this) : nothing}
      </div>
    </header>`;
  }

  async toggleMenu() {
    this.menu = !this.menu;
    menu ??= await import("./room-menu.js").catch(() => undefined);
    this.requestUpdate();
    await this.updateComplete;
    /** @type {HTMLElement|null} */ (this.querySelector(".menu [role^=menuitem]"))?.focus();
  }

  /** Closes the menu; the focus goes back to what opened it. */
  closeMenu() {
    if (!this.menu) return;
    this.menu = false;
    /** @type {HTMLElement|null} */ (this.querySelector(".menu-of > button"))?.focus();
  }

  /** Who goes elsewhere has done with the menu. @param {FocusEvent} event */
  menuLeft(event) {
    const to = /** @type {Node|null} */ (event.relatedTarget);
    if (!/** @type {Element} */ (event.currentTarget).contains(to)) this.menu = false;
  }
}

customElements.define("cb-room", ChatRoom);
