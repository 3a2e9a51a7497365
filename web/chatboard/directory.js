// What a person has: their organizations, rooms, what is unread in these, and how each is set.
//
// It is read once at the start, and after each break of the connection by the tab that has the
// socket, which tells the others; in between, frames change it, and where a frame does not say
// enough, the exact answer is asked for, once for many causes.

import { Room } from "./room.js";

const COUNTS_AFTER_MS = 2000;
const NOTIFICATIONS_AFTER_MS = 1500;
const ORGS_AFTER_MS = 500;
const LOST_MAX = 20;

/**
 * @typedef {{orgs: any[], rooms: import("./room.js").RoomInfo[], counts: any[], notifications: number, before: number[]}} Loaded
 *   what one reading found; `before`: the rooms that there were when it began
 */

export class Directory {
  /** @type {Map<number, Room>} */
  rooms = new Map();
  /** @type {any[]} */
  orgs = [];
  unreadNotifications = 0;
  /** Rooms that went while the page was open, and how: the last `LOST_MAX`. @type {Map<number, {name: string, isDeleted: boolean}>} */
  lost = new Map();
  /** Whether it was read, and what is added from now on is not yet subscribed to. */
  isLoaded = false;
  /** Questions that are asked soon, by name. @type {Map<string, any>} */
  #soon = new Map();

  /** @param {import("../chatboard.js").ChatBoard} board */
  constructor(board) {
    this.board = board;
  }

  forget() {
    for (const timer of this.#soon.values()) clearTimeout(timer);
    this.#soon.clear();
    this.rooms = new Map();
    this.orgs = [];
    this.lost.clear();
    this.unreadNotifications = 0;
    this.isLoaded = false;
  }

  /** Reads everything; keeps the rooms that are there already. @returns {Promise<Loaded|null>} null: signed out meanwhile */
  async load() {
    const user = this.board.user?.id;
    const settings = new Map([...this.rooms.values()].map((room) => [room.id, room.settings]));
    const [orgs, listed, notifications] = await Promise.all([
      Array.fromAsync(this.board.items("/orgs/")), Array.fromAsync(this.board.items("/rooms/")), this.board.request("GET", "/notifications/unread-count/"),
    ]);
    // After the rooms: what these reach is counted then.
    const counts = await this.board.request("GET", "/auth/me/unread-counts/");
    if (user !== this.board.user?.id) return null;
    // What happened while it was read is newer than it: a room left, settings changed.
    const rooms = listed.filter(({ id }) => !settings.has(id) || this.rooms.has(id));
    for (const info of rooms) {
      const now = this.rooms.get(info.id)?.settings;
      if (now !== settings.get(info.id)) info.settings = now;
    }
    const loaded = { orgs, rooms, counts: counts.unread_counts, notifications: notifications.unread_count, before: [...settings.keys()] };
    this.take(loaded);
    return loaded;
  }

  /** Takes in what a reading found, our own or another tab's. @param {Loaded} loaded */
  take({ orgs, rooms, counts, notifications, before }) {
    for (const info of rooms) this.#add(info);
    // What came while it was read may be in no answer, and stays.
    const listed = new Set(rooms.map(({ id }) => id));
    for (const id of before) if (!listed.has(id)) this.remove(id);
    this.orgs = orgs;
    this.unreadNotifications = notifications;
    this.isLoaded = true;
    this.#count(counts);
  }

  /** @param {import("./room.js").RoomInfo} info */
  #add(info) {
    for (const person of info.dm_users ?? []) this.board.learn(person);
    const known = this.rooms.get(info.id);
    if (known) {
      known.told(info);
      return known;
    }
    const room = new Room(this.board, info);
    this.rooms.set(info.id, room);
    if (this.isLoaded) this.board.tabs.ask({ type: "subscribe", room: info.id });
    return room;
  }

  /** The server says that we have a room now. @param {import("./room.js").RoomInfo} info */
  added(info) {
    this.#add(info);
    if (!this.orgs.some((org) => org.id === info.org)) this.orgsSoon();
    this.board.listChanged();
  }

  /** @param {number} id @param {boolean} [isDeleted] whether it is gone for everyone */
  remove(id, isDeleted = false) {
    const room = this.rooms.get(id);
    if (!room) return;
    this.rooms.delete(id);
    this.lost.set(id, { name: room.name, isDeleted });
    for (const first of this.lost.keys()) if (this.lost.size > LOST_MAX) this.lost.delete(first);
    this.board.tabs.ask({ type: "unsubscribe", room: id });
    this.board.changed(id);
    this.board.listChanged();
  }

  /** @param {number} id */
  async open(id) {
    const room = this.#add(await this.board.request("GET", `/rooms/${id}/`));
    this.board.listChanged();
    return room;
  }

  /** @param {any} frame */
  settingsCame({ room_id, notify, section, starred }) {
    const room = this.rooms.get(room_id);
    if (room) room.settings = { notify, section, starred };
    this.board.listChanged();
  }

  /** @param {any[]} counts */
  #count(counts) {
    for (const count of counts) this.rooms.get(count.room_id)?.counted(count);
    this.board.listChanged();
  }

  async countNotifications() {
    const before = this.unreadNotifications;
    this.unreadNotifications = (await this.board.request("GET", "/notifications/unread-count/")).unread_count;
    if (before !== this.unreadNotifications) this.board.listChanged();
  }

  /** @param {string} name @param {number} wait @param {() => Promise<void>} ask */
  #later(name, wait, ask) {
    this.#soon.set(name, setTimeout(() => {
      this.#soon.delete(name);
      ask().catch(() => {});
    }, wait));
  }

  /** Reading a room reads what its messages notified of: asks when it has been quiet for a moment. */
  notificationsSoon() {
    if (!this.unreadNotifications) return;
    clearTimeout(this.#soon.get("notifications"));
    this.#later("notifications", NOTIFICATIONS_AFTER_MS, () => this.countNotifications());
  }

  countsSoon() {
    if (this.#soon.has("counts")) return;
    this.#later("counts", COUNTS_AFTER_MS, async () => this.#count((await this.board.request("GET", "/auth/me/unread-counts/")).unread_counts));
  }

  /** Rooms come and go with their organization, and roles change: reads the organizations anew. */
  orgsSoon() {
    if (this.#soon.has("orgs")) return;
    this.#later("orgs", ORGS_AFTER_MS, async () => {
      const orgs = await Array.fromAsync(this.board.items("/orgs/"));
      if (!this.board.user) return;
      this.orgs = orgs;
      this.board.listChanged();
    });
  }
}
