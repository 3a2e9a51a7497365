// What a person has: their organizations, rooms, what is unread in these, and how each is set.
//
// It is read once at the start and after each break of the connection; in between, frames change it,
// and where a frame does not say enough, the exact answer is asked for, once for many causes.

import { Room } from "./room.js";

/** Of so many rooms, the liveliest, the settings are asked for at the start. */
const SETTINGS_MOST = 40;
const COUNTS_AFTER_MS = 2000;
const NOTIFICATIONS_AFTER_MS = 1500;
const ORGS_AFTER_MS = 500;

export class Directory {
  /** @type {Map<number, Room>} */
  rooms = new Map();
  /** @type {any[]} */
  orgs = [];
  unreadNotifications = 0;
  /** Whether what is added from now on is not yet subscribed to. */
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
    this.isLoaded = false;
  }

  /** Reads everything; keeps the rooms that are there already. */
  async load() {
    const [orgs, counts] = await Promise.all([
      Array.fromAsync(this.board.items("/orgs/")), this.board.request("GET", "/auth/me/unread-counts/"), this.#loadRooms(),
      this.countNotifications(),
    ]);
    this.orgs = orgs;
    this.#count(counts);
    this.board.listChanged();
  }

  async #loadRooms() {
    const seen = new Set();
    for await (const info of this.board.items("/rooms/")) {
      seen.add(info.id);
      this.#add(info);
    }
    for (const id of this.rooms.keys()) if (!seen.has(id)) this.remove(id);
  }

  /** @param {import("./room.js").RoomInfo} info */
  #add(info) {
    for (const person of info.dm_users ?? []) this.board.learn(person);
    const known = this.rooms.get(info.id);
    if (known) {
      known.info = info;
      known.reaches(info.last_seq);
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

  /** @param {number} id */
  remove(id) {
    if (!this.rooms.delete(id)) return;
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

  /** The list of rooms says nothing of settings: they come after it. */
  async loadSettings() {
    const rooms = [...this.rooms.values()]
      .sort((a, b) => (b.info.last_message_at ?? "").localeCompare(a.info.last_message_at ?? "")).slice(0, SETTINGS_MOST);
    for (const room of rooms) {
      const before = room.settings;
      try {
        const found = await this.board.request("GET", `/rooms/${room.id}/settings/`);
        // What was said meanwhile, here or elsewhere, is newer than this answer.
        if (room.settings === before) room.settings = found;
      } catch {
        return;
      }
      this.board.listChanged();
    }
  }

  /** @param {any} frame */
  settingsCame({ room_id, notify, section, starred }) {
    const room = this.rooms.get(room_id);
    if (room) room.settings = { notify, section, starred };
    this.board.listChanged();
  }

  /** @param {any} answer */
  #count({ unread_counts }) {
    for (const count of unread_counts) {
      const room = this.rooms.get(count.room_id);
      if (!room) continue;
      room.unread = count.unread_count;
      room.unreadCapped = count.unread_capped;
      room.mentions = count.mention_count;
      room.lastRead = count.last_read_msg_id;
      this.board.changed(room.id);
    }
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
    this.#later("counts", COUNTS_AFTER_MS, async () => this.#count(await this.board.request("GET", "/auth/me/unread-counts/")));
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
