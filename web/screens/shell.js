// `<cb-screen path="/orgs/1/settings/webhooks">`: what stands in the room's place, with its parts at
// the side. Everything here is fetched when a screen is first opened.

import { LitElement, html, nothing } from "lit";
import { Follow, board, go } from "/state.js";
import { icon } from "/chat/icons.js";
import "./members.js";
import "./notifications.js";
import "./organization.js";
import "./profile.js";
import "./retention.js";
import { roleIn } from "./room.js";
import "./webhooks.js";
import { dress } from "/dress.js";

// Nothing is drawn before it has its look.
await dress("settings-style");

/**
 * @typedef {{name: string, label: string, draw: (place: {id: number, rest: string}) => any, may?: (role: string) => boolean}} PartOf
 * @typedef {{pattern: RegExp, base: (id: string) => string, title: (id: number) => string, back: (id: number) => string, parts: PartOf[], role: (id: number) => string}} Place
 */

const isAdmin = (/** @type {string} */ role) => role === "ADMIN";
const isManager = (/** @type {string} */ role) => role === "ADMIN" || role === "MANAGER";
const orgOf = (/** @type {number} */ id) => board.orgs.find((org) => org.id === id);

/** @type {Place[]} */
const PLACES = [
  {
    pattern: /^\/orgs\/(?<id>\d+)\/settings(?:\/(?<name>[a-z]+))?(?:\/(?<rest>[\w-]+))?$/,
    base: (id) => `/orgs/${id}/settings`,
    title: (id) => orgOf(id)?.name ?? "",
    role: (id) => orgOf(id)?.role ?? "",
    back: () => "/",
    parts: [
      { name: "general", label: "General", draw: (place) => html`<cb-org-general .place=${place}></cb-org-general>` },
      { name: "members", label: "Members", draw: (place) => html`<cb-members-of .place=${place}></cb-members-of>` },
      { name: "invites", label: "Invitations", draw: (place) => html`<cb-invites .place=${place}></cb-invites>`, may: isManager },
      { name: "webhooks", label: "Webhooks", draw: (place) => html`<cb-webhooks .place=${place}></cb-webhooks>`, may: isAdmin },
      { name: "retention", label: "Retention", draw: (place) => html`<cb-retention .place=${place}></cb-retention>`, may: isAdmin },
    ],
  },
  {
    pattern: /^\/r\/(?<id>\d+)\/settings(?:\/(?<name>[a-z]+))?$/,
    base: (id) => `/r/${id}/settings`,
    title: (id) => board.rooms.get(id)?.name ?? "",
    role: roleIn,
    back: (id) => `/r/${id}`,
    parts: [
      { name: "room", label: "Settings", draw: (place) => html`<cb-room-settings .place=${place}></cb-room-settings>` },
      { name: "members", label: "Members", draw: (place) => html`<cb-room-members .place=${place}></cb-room-members>`, may: (role) => role !== "DM" },
    ],
  },
  {
    pattern: /^\/orgs\/new$/,
    base: () => "/orgs/new",
    title: () => "Organizations",
    role: () => "MEMBER",
    back: () => "/",
    parts: [{ name: "new", label: "New organization", draw: (place) => html`<cb-org-new .place=${place}></cb-org-new>` }],
  },
  {
    pattern: /^\/notifications(?:\/(?<name>[a-z]+))?$/,
    base: () => "/notifications",
    title: () => "Notifications",
    role: () => "MEMBER",
    back: () => "/",
    parts: [
      { name: "list", label: "Notifications", draw: (place) => html`<cb-notifications .place=${place}></cb-notifications>` },
      { name: "desktop", label: "Desktop", draw: (place) => html`<cb-desktop-preferences .place=${place}></cb-desktop-preferences>` },
      { name: "mails", label: "E-mail", draw: (place) => html`<cb-mail-preferences .place=${place}></cb-mail-preferences>` },
    ],
  },
  {
    pattern: /^\/profile(?:\/(?<name>[a-z]+))?$/,
    base: () => "/profile",
    title: () => "Your account",
    role: () => "MEMBER",
    back: () => "/",
    parts: [
      { name: "account", label: "Profile", draw: (place) => html`<cb-profile .place=${place}></cb-profile>` },
      { name: "devices", label: "Devices", draw: (place) => html`<cb-devices .place=${place}></cb-devices>` },
      { name: "orgs", label: "Organizations", draw: (place) => html`<cb-organizations .place=${place}></cb-organizations>` },
    ],
  },
];

/** @param {string} path */
function find(path) {
  for (const place of PLACES) {
    const found = path.match(place.pattern);
    if (!found) continue;
    const { id = "0", name = "", rest = "" } = /** @type {any} */ (found).groups ?? {};
    const role = place.role(Number(id));
    const parts = place.parts.filter((part) => !part.may || part.may(role));
    return { place, id: Number(id), rest, parts, part: parts.find((part) => part.name === name) ?? (name ? undefined : parts[0]), base: place.base(id), isKnown: role !== "" };
  }
  return null;
}

/** What the window is called. @param {string} path */
export function titleOf(path) {
  const found = find(path);
  if (!found?.part || !found.isKnown) return board.orgs.length ? "Nothing here" : "Settings";
  const title = found.place.title(found.id);
  return found.part.label === title ? title : `${found.part.label} · ${title}`;
}

class Screen extends LitElement {
  static properties = { path: { type: String } };

  constructor() {
    super();
    this.path = "";
    this.follow = new Follow(this, ["rooms", "user"]);
  }

  createRenderRoot() {
    return this;
  }

  /** @param {Map<string, any>} changed */
  updated(changed) {
    if (!changed.has("path")) return;
    this.querySelector(".screen-body")?.scrollTo(0, 0);
    this.querySelector(".screen-parts [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
    // Who reads by ear hears where they are; who came by the keyboard goes on from here.
    if (!this.contains(document.activeElement)) /** @type {HTMLElement|null} */ (this.querySelector("h1"))?.focus();
  }

  /** @param {KeyboardEvent} event */
  keys(event) {
    if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    if (/** @type {Element} */ (event.target).matches("input, textarea, select")) return;
    go(this.found?.place.back(this.found.id) ?? "/");
  }

  openRooms() {
    this.dispatchEvent(new CustomEvent("open-rooms", { bubbles: true }));
  }

  render() {
    const found = (this.found = find(this.path));
    const menu = html`<button class="icon-button back" aria-label="Rooms" @click=${this.openRooms}>${icon("menu")}</button>`;
    if (!found?.part || !found.isKnown) {
      const isLoading = board.status !== "online" && !board.orgs.length;
      return html`<section class="screen"><header class="screen-head">${menu}<h1 tabindex="-1">${isLoading ? "" : "Nothing here"}</h1></header>
        ${isLoading ? nothing : html`<div class="empty"><p>You don't have access to this page.</p><p><a href="/">Back to rooms</a></p></div>`}</section>`;
    }
    const { place, id, part, parts, base, rest } = found;
    return html`<section class="screen" data-path=${this.path} aria-label=${place.title(id)} @keydown=${this.keys}>
      <header class="screen-head">${menu}<h1 tabindex="-1" dir="auto">${place.title(id)}</h1>
        <a class="icon-button" href=${place.back(id)} aria-label="Close" title="Close (Esc)">${icon("close")}</a></header>
      ${parts.length > 1 ? html`<nav class="screen-parts" aria-label="Settings">${parts.map((one) => html`
        <a href=${`${base}/${one.name}`} aria-current=${one === part ? "page" : nothing}>${one.label}</a>`)}</nav>` : nothing}
      <div class=${parts.length > 1 ? "screen-body" : "screen-body wide"} tabindex="-1">${part.draw({ id, rest })}</div></section>`;
  }
}

customElements.define("cb-screen", Screen);
