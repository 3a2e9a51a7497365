// The quick switcher, browsing of rooms, and new direct messages.

import { html, nothing } from "lit";
import { board, go } from "/state.js";
import { loose } from "/chatboard/mentions.js";
import { PickDialog } from "./dialog.js";
import { icon, iconOf } from "./icons.js";
import { avatar, counted } from "./people.js";
import { wants } from "./sidebar.js";
import { lookedAt } from "./timeline.js";

/** How well `text` fits a name: prefix, word prefix, substring, letters in order; 9 is not at all. @param {string} name @param {string} text */
export function rank(name, text) {
  const [lower, wanted] = [loose(name), loose(text)];
  if (!wanted || lower.startsWith(wanted)) return 0;
  if (lower.split(/[\s._-]+/).some((word) => word.startsWith(wanted))) return 1;
  if (lower.includes(wanted)) return 2;
  let at = -1;
  for (const letter of wanted) if ((at = lower.indexOf(letter, at + 1)) < 0) return 9;
  return 3;
}

/** @param {import("/chatboard/room.js").Room} room */
const roomIcon = (room) => (room.others.length === 1 ? avatar(room.others[0].id, room.online.has(room.others[0].id))
  : iconOf(room.info));

class QuickSwitcher extends PickDialog {
  constructor() {
    super();
    this.label = "Jump to a room or person";
    this.org = 0;
    /** The room one is in. */ this.here = 0;
    /** Rooms to join, asked for once. @type {Promise<any[]>|undefined} */ this.joinable = undefined;
  }

  /** Rooms at once; then people, rooms to join, and a search for the words. @param {string} text */
  async find(text) {
    const rooms = this.rooms(text);
    if (text.length < 2) return rooms;
    this.items = rooms;
    await new Promise((done) => setTimeout(done, 150));
    if (text !== this.text.trim()) return this.items;
    const org = this.org;
    const [people, joinable] = await Promise.all([
      board.request("GET", `/orgs/${org}/members/?${new URLSearchParams({ limit: "8", search: text })}`).then(({ results }) => results, () => []),
      (this.joinable ??= Array.fromAsync(board.items("/rooms/", { scope: "joinable", org }))).catch(() => []),
    ]);
    for (const one of people) board.learn({ id: one.user, email: one.user_email, first_name: one.user_first_name, last_name: one.user_last_name });
    const found = this.people(new Set(people.map((/** @type {any} */ one) => one.user)), text);
    const others = joinable.filter((/** @type {any} */ info) => rank(info.name, text) < 3).slice(0, 8).map((/** @type {any} */ info) => ({
      rank: rank(info.name, text), icon: iconOf(info), title: info.name, note: info.topic, hint: "Join", run: () => this.join(info.id),
    }));
    const all = [...rooms, ...found, ...others].sort((a, b) => a.rank - b.rank);
    return [...all, { icon: icon("search"), title: `Search messages for “${text}”`, run: () => this.search(text) }];
  }

  /** People whom the server found, and those of our rooms in this organization whose names fit without accents. @param {Set<number>} ids @param {string} text */
  people(ids, text) {
    for (const room of board.rooms.values()) {
      if (room.info.org === this.org) for (const id of room.members ?? []) if (rank(board.nameOf(id), text) < 3) ids.add(id);
    }
    ids.delete(board.user?.id ?? 0);
    // Whom the server found by the address fits too, after those whose names do.
    const all = [...ids].map((id) => ({ id, rank: Math.min(rank(board.nameOf(id), text), 3) })).sort((a, b) => a.rank - b.rank);
    return all.slice(0, 8).map(({ id, rank }) => ({
      rank, icon: avatar(id), title: board.nameOf(id), note: board.people.get(id)?.email, hint: "Message", run: () => this.write(id),
    }));
  }

  /** What fits best; of that, what is unread, then what was looked at last, and where one is last. @param {string} text */
  rooms(text) {
    const recent = (/** @type {any} */ room) => room.info.last_message_at ?? "";
    const looked = lookedAt();
    const place = (/** @type {import("/chatboard/room.js").Room} */ room) => (room.id === this.here ? 3 : wants(room) ? 0 : looked.includes(room) ? 1 : 2);
    return [...board.rooms.values()].map((room) => ({ room, rank: rank(room.name, text), place: place(room) })).filter((one) => one.rank < 9)
      .sort((a, b) => a.rank - b.rank || a.place - b.place || (a.place === 1 ? looked.indexOf(a.room) - looked.indexOf(b.room) : 0) || recent(b.room).localeCompare(recent(a.room)))
      .slice(0, 30).map(({ room, rank }) => ({
        rank, icon: roomIcon(room), title: room.name, hint: room.unread ? `${room.unread} unread` : undefined,
        note: board.orgs.length > 1 ? board.orgs.find((org) => org.id === room.info.org)?.name : room.info.topic,
        run: () => { this.close(); go(`/r/${room.id}`); },
      }));
  }

  /** @param {number} user */
  async write(user) {
    const room = await board.request("POST", "/rooms/dm/", { org: this.org, user_ids: [user] });
    await board.open(room.id);
    this.close();
    go(`/r/${room.id}`);
  }

  /** @param {number} id */
  async join(id) {
    await board.request("POST", `/rooms/${id}/join/`);
    await board.open(id);
    this.close();
    go(`/r/${id}`);
  }

  /** @param {string} words */
  search(words) {
    const chat = document.querySelector("cb-chat");
    this.addEventListener("left", () => chat?.dispatchEvent(new CustomEvent("open-search", { detail: { words } })), { once: true });
    this.close();
  }
}

class BrowseRooms extends PickDialog {
  constructor() {
    super();
    this.label = "Browse rooms";
    this.empty = "There are no other rooms to join.";
    this.org = 0;
    /** @type {any[]|null} */ this.all = null;
  }

  /** @param {string} text */
  async find(text) {
    this.all ??= await Array.fromAsync(board.items("/rooms/", { scope: "joinable", org: this.org }));
    return this.all.filter((info) => rank(info.name, text) < 9).slice(0, 100).map((info) => ({
      icon: iconOf(info), title: info.name, note: info.topic,
      hint: counted(info.members_count, "member"), run: () => this.join(info.id),
    }));
  }

  /** @param {number} id */
  async join(id) {
    await board.request("POST", `/rooms/${id}/join/`);
    await board.open(id);
    this.close();
    go(`/r/${id}`);
  }
}

class NewDirectMessage extends PickDialog {
  constructor() {
    super();
    this.label = "New message to";
    this.org = 0;
    /** @type {any[]} */ this.people = [];
  }

  renderMore() {
    if (!this.people.length) return nothing;
    return html`<div class="pick-more">${this.people.map((person) => html`<button aria-label=${`Remove ${person.name}`}
        @click=${() => { this.people = this.people.filter((one) => one !== person); this.typed(); }}>${person.name} ${icon("close")}</button>`)}
      <button class="primary" @click=${() => this.take({ icon: "", title: "", run: () => this.start() })}>Start conversation</button></div>`;
  }

  /** @param {string} text */
  async find(text) {
    if (text) await new Promise((done) => setTimeout(done, 150));
    const query = new URLSearchParams({ limit: "20", search: text });
    const { results } = await board.request("GET", `/orgs/${this.org}/members/?${query}`);
    const chosen = new Set(this.people.map((one) => one.id));
    return results.filter((/** @type {any} */ one) => one.user !== board.user?.id && !chosen.has(one.user)).map((/** @type {any} */ one) => {
      board.learn({ id: one.user, email: one.user_email, first_name: one.user_first_name, last_name: one.user_last_name });
      const person = { id: one.user, name: board.nameOf(one.user) };
      return { icon: avatar(one.user), title: person.name, note: one.user_email, run: () => this.add(person) };
    });
  }

  /** @param {any} person */
  add(person) {
    this.people = [...this.people, person];
    /** @type {HTMLInputElement} */ (this.querySelector("input")).value = "";
    this.typed();
  }

  async start() {
    const room = await board.request("POST", "/rooms/dm/", { org: this.org, user_ids: this.people.map((one) => one.id) });
    await board.open(room.id);
    this.close();
    go(`/r/${room.id}`);
  }
}

/** Who is in a room; choosing one opens the conversation with them. */
class RoomMembers extends PickDialog {
  constructor() {
    super();
    this.label = "Members";
    this.room = 0;
  }

  /** @param {string} text */
  async find(text) {
    if (text) await new Promise((done) => setTimeout(done, 150));
    const { results } = await board.request("GET", `/rooms/${this.room}/members/?${new URLSearchParams({ limit: "100", search: text })}`);
    return results.map((/** @type {any} */ one) => {
      board.learn({ id: one.user, email: one.user_email, first_name: one.user_first_name, last_name: one.user_last_name });
      return { icon: avatar(one.user, one.online), title: board.nameOf(one.user), note: one.user_email,
        hint: one.org_role === "MEMBER" ? undefined : one.org_role.toLowerCase(), run: () => this.write(one.user) };
    });
  }

  /** @param {number} user */
  async write(user) {
    if (user === board.user?.id) return this.close();
    const room = await board.request("POST", "/rooms/dm/", { org: board.rooms.get(this.room)?.info.org, user_ids: [user] });
    await board.open(room.id);
    this.close();
    go(`/r/${room.id}`);
  }
}

customElements.define("cb-members", RoomMembers);
customElements.define("cb-switcher", QuickSwitcher);
customElements.define("cb-browse", BrowseRooms);
customElements.define("cb-new-dm", NewDirectMessage);
