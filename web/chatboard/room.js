// One room as its member sees it: what it is, what is unread, who types and who is here, and its log.
//
// Every durable event has the room's next `seq`. The room takes events in that order only: one that
// it has is dropped, and one that comes too early waits until the gap is filled from
// `GET /rooms/{id}/events/`. Who is told by whom (a socket, another tab, a replay) makes no difference.

import { Timeline } from "./timeline.js";

/** A typist is shown this long after their last sign; the server repeats itself sooner. */
const TYPING_MS = 8_000;

/**
 * @typedef {{id: number, email: string, first_name: string, last_name: string}} Person
 * @typedef {{id: number, org: number, name: string, topic: string, is_dm: boolean, dm_users?: Person[],
 *   access_level: string, auto_join: boolean, created_by: number, created_at: string, members_count: number,
 *   first_seq: number, last_seq: number, last_message_at: string|null}} RoomInfo
 * @typedef {{notify: "all"|"mentions"|"none", section: string|null, starred: boolean}} RoomSettings
 */

/** When what is missing is asked for again that could not be had. */
const FILL_AGAIN_MS = 5000;

export class Room {
  /** @type {RoomSettings} */
  settings = { notify: "all", section: null, starred: false };
  unread = 0;
  unreadCapped = false;
  mentions = 0;
  /** @type {number|null} */
  lastRead = null;
  /** @type {Set<number>} */
  online = new Set();
  /** Who types, and until when that is believed. @type {Map<number, number>} */
  typing = new Map();
  /** How far each other member has read. @type {Map<number, number>} */
  readers = new Map();
  /** @type {Timeline} */
  timeline;
  /** Events that came before their turn. @type {Map<number, any>} */
  #early = new Map();
  #filling = false;

  /**
   * @param {import("../chatboard.js").ChatBoard} board
   * @param {RoomInfo} info
   */
  constructor(board, info) {
    this.board = board;
    this.info = info;
    this.timeline = new Timeline(board.rest, info.id);
    /** The last event taken. */
    this.seq = info.last_seq;
  }

  get id() {
    return this.info.id;
  }

  /** The room's name; of a direct message, the names of the others. */
  get name() {
    if (!this.info.is_dm) return this.info.name;
    const others = this.others;
    return others.length ? others.map((person) => this.board.nameOf(person.id)).join(", ") : "Just you";
  }

  /** The other people of a direct message. */
  get others() {
    return (this.info.dm_users ?? []).filter((person) => person.id !== this.board.user?.id);
  }

  /** Sends of ours that are not confirmed. */
  get pending() {
    return this.board.outbox.list(this.id);
  }

  /** Takes a durable event; in its turn. @param {any} frame */
  offer(frame) {
    if (frame.seq <= this.seq) return;
    if (frame.seq > this.seq + 1) {
      this.#early.set(frame.seq, frame);
      // A replay may be on its way: the next frames decide, and if they do not, we ask.
      this.#fill();
      return;
    }
    this.#take(frame);
    for (let next; (next = this.#early.get(this.seq + 1)); ) this.#take(next);
  }

  /** The server's log reaches to `last`: fetches what we have not seen unless it comes by itself soon. @param {number} last */
  reaches(last) {
    if (last <= this.seq) return;
    setTimeout(() => last > this.seq && this.#fill(), 1500);
    // What comes now may have been counted already.
    this.board.countsSoon();
  }

  async #fill() {
    if (this.#filling) return;
    this.#filling = true;
    try {
      await new Promise((done) => setTimeout(done, 50));
      let next = /** @type {string|null} */ (`/rooms/${this.id}/events/?limit=200&after_seq=${this.seq}`);
      while (next && (this.#early.size > 0 || next)) {
        const page = /** @type {any} */ (await this.board.request("GET", next));
        for (const frame of page.results) this.offer(frame);
        if (page.results.length && page.results[0].seq > this.seq) return this.resync(page.results.at(-1).seq);
        next = page.next;
      }
    } catch {
      // Away, the reconnect subscribes after our `seq` and repairs it; refused, we ask again.
      setTimeout(() => this.#early.size > 0 && this.#fill(), FILL_AGAIN_MS);
    } finally {
      for (const seq of this.#early.keys()) if (seq <= this.seq) this.#early.delete(seq);
      this.#filling = false;
    }
  }

  /** Drops what we have, and goes on after `seq`: the past that we hold is no longer what is kept. @param {number} seq */
  async resync(seq) {
    this.seq = seq;
    this.#early.clear();
    const open = this.timeline.loaded;
    this.timeline.clear();
    if (open) await this.timeline.loadLatest().catch(() => {});
    this.board.changed(this.id);
  }

  /** @param {any} frame */
  #take(frame) {
    this.seq = frame.seq;
    this.#early.delete(frame.seq);
    switch (frame.type) {
      case "message":
        this.#posted(frame);
        break;
      case "message.deleted":
        if (frame.id > (this.lastRead ?? 0)) this.board.countsSoon();
        this.timeline.apply(frame);
        break;
      case "message.updated":
        this.timeline.apply(frame);
        break;
      case "member.joined":
        this.board.learn({ id: frame.user_id, email: frame.user_email, ...frame });
        this.info = { ...this.info, members_count: this.info.members_count + 1 };
        break;
      case "member.left":
        this.online.delete(frame.user_id);
        this.info = { ...this.info, members_count: this.info.members_count - 1 };
        break;
      case "room.updated":
        this.info = { ...this.info, ...frame.changes };
        this.board.listChanged();
        break;
    }
    this.board.changed(this.id);
  }

  /** @param {any} message */
  #posted(message) {
    const mine = message.sender === this.board.user?.id;
    if (mine && message.nonce) this.board.confirmed(message.nonce);
    this.typing.delete(message.sender);
    this.timeline.apply(message);
    this.info = { ...this.info, last_message_at: message.created_at };
    if (!mine && message.id > (this.lastRead ?? 0)) {
      if (this.unread >= 1000) this.unreadCapped = true;
      else this.unread++;
      if (this.board.mentionsMe(message.body)) this.mentions++;
    }
    this.board.listChanged();
  }

  /** Takes a frame without a `seq`. @param {any} frame */
  hint(frame) {
    switch (frame.type) {
      case "typing":
        if (frame.is_typing) this.#types(frame.user_id);
        else this.typing.delete(frame.user_id);
        break;
      case "presence":
        if (frame.status === "online") this.online.add(frame.user_id);
        else this.online.delete(frame.user_id);
        if (this.info.is_dm) this.board.listChanged();
        break;
      case "presence.snapshot":
        this.online = new Set(frame.online);
        if (this.info.is_dm) this.board.listChanged();
        break;
      case "read":
        this.#readBy(frame);
        break;
    }
    this.board.changed(this.id);
  }

  /** @param {number} user */
  #types(user) {
    if (user === this.board.user?.id) return;
    this.typing.set(user, Date.now() + TYPING_MS);
    setTimeout(() => {
      if ((this.typing.get(user) ?? Infinity) > Date.now()) return;
      this.typing.delete(user);
      this.board.changed(this.id);
    }, TYPING_MS + 50);
  }

  /** @param {any} frame */
  #readBy(frame) {
    if (frame.user_id !== this.board.user?.id) {
      this.readers.set(frame.user_id, Math.max(frame.last_read_msg_id, this.readers.get(frame.user_id) ?? 0));
      return;
    }
    this.lastRead = Math.max(frame.last_read_msg_id, this.lastRead ?? 0);
    if (frame.unread_count === undefined) return;
    this.unread = frame.unread_count;
    this.unreadCapped = frame.unread_count >= 1000;
    if (this.unread === 0) this.mentions = 0;
    else this.board.countsSoon();
    this.board.listChanged();
  }

  /** Moves the read marker to a message that the reader saw. @param {number} message */
  read(message) {
    if (message <= (this.lastRead ?? 0) && this.unread === 0) return;
    if (message <= (this.lastRead ?? 0) && message !== this.timeline.last?.id) return;
    this.lastRead = Math.max(message, this.lastRead ?? 0);
    if (this.timeline.atEnd && message >= (this.timeline.last?.id ?? 0)) this.unread = this.mentions = 0;
    this.board.say({ type: "read", room: this.id, msg_id: message });
    this.board.listChanged();
    this.board.changed(this.id);
  }

  /** Tells the others that we type. @param {boolean} typing */
  types(typing) {
    this.board.say({ type: "typing", room: this.id, is_typing: typing });
  }

  /** Loads who is in the room: their names, whether they are online, how far they have read. */
  async loadMembers() {
    const page = await this.board.request("GET", `/rooms/${this.id}/members/?limit=200`);
    for (const member of page.results) {
      this.board.learn({
        id: member.user, email: member.user_email,
        first_name: member.user_first_name, last_name: member.user_last_name,
      });
      if (member.last_read_msg_id && member.user !== this.board.user?.id) {
        this.readers.set(member.user, Math.max(member.last_read_msg_id, this.readers.get(member.user) ?? 0));
      }
      if (member.online) this.online.add(member.user);
    }
    /** @type {number[]} */
    this.members = page.results.map((/** @type {any} */ member) => member.user);
    this.board.changed(this.id);
  }

  /** @param {Partial<RoomSettings>} change */
  async change(change) {
    this.settings = { ...this.settings, ...change };
    this.board.listChanged();
    this.settings = await this.board.request("PATCH", `/rooms/${this.id}/settings/`, change);
    this.board.listChanged();
  }
}
