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
 *   first_seq: number, last_seq: number, last_message_at: string|null, settings?: RoomSettings}} RoomInfo
 * @typedef {{notify: "all"|"mentions"|"none", section: string|null, starred: boolean}} RoomSettings
 */

/** Where the server stops counting. */
const UNREAD_MOST = 1000;
/** How long a replay that is announced may say nothing. */
const REPLAY_MS = 1500;
/** When what is missing is asked for again that could not be had. */
const FILL_AGAIN_MS = 5000;

export class Room {
  /** Settles when the changes so far are saved or refused. @type {Promise<unknown>} */
  #saved = Promise.resolve();
  /** @type {RoomSettings} */
  #settings = { notify: "all", section: null, starred: false };
  /** What is being changed of them, the oldest first. @type {Partial<RoomSettings>[]} */
  #changes = [];
  unread = 0;
  unreadCapped = false;
  mentions = 0;
  /** @type {number|null} */
  lastRead = null;
  /** @type {Set<number>} */
  online = new Set();
  /** Who types, and until when that is believed. @type {Map<number, number>} */
  typing = new Map();
  /** Who is in it, once that was loaded; of many people, the first 200. @type {number[]|undefined} */
  members = undefined;
  /** How far each other member has read. @type {Map<number, number>} */
  readers = new Map();
  /** @type {Timeline} */
  timeline;
  /** What came after the server counted, and is unread. @type {{id: number, seq: number, isMention: boolean}[]} */
  #since = [];
  /** Events that came before their turn. @type {Map<number, any>} */
  #early = new Map();
  /** The last event that we heard of. */
  #head = 0;
  #filling = false;

  /**
   * @param {import("../chatboard.js").ChatBoard} board
   * @param {RoomInfo} info
   */
  constructor(board, info) {
    this.board = board;
    /** As of its `last_seq`, and of the events since. */
    this.info = info;
    if (info.settings) this.settings = info.settings;
    this.timeline = new Timeline(board.rest, info.id);
    /** The last event taken. */
    this.seq = info.last_seq;
    /** The history that `seq` belongs to, once the server has named it. @type {string|undefined} */
    this.epoch = undefined;
    /** Up to here the server's count of what is unread goes; what comes later we add. */
    this.countedTo = info.last_seq;
  }

  get id() {
    return this.info.id;
  }

  /** Where the socket goes on. */
  get place() {
    return { after: this.seq, epoch: this.epoch };
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

  /** What the server says of the room now. @param {RoomInfo} info */
  told(info) {
    if (info.settings) this.settings = info.settings;
    // Else events have told us more since. Those that we lack the socket brings.
    if (info.last_seq >= this.seq) this.info = info;
  }

  /**
   * The server's count of what is unread.
   * @param {{unread_count: number, unread_capped: boolean, mention_count: number, last_read_msg_id: number|null, last_seq: number}} count
   */
  counted({ unread_count, unread_capped, mention_count, last_read_msg_id, last_seq }) {
    const lastRead = this.lastRead ?? 0;
    if ((last_read_msg_id ?? 0) < lastRead) {
      // That we read on is on its way to the server, or went down with the line.
      if (this.board.tabs.leading) this.board.say({ type: "read", room: this.id, msg_id: lastRead });
      return;
    }
    this.countedTo = last_seq;
    this.#readTo(last_read_msg_id);
    this.#since = this.#since.filter(({ seq }) => seq > last_seq);
    this.unread = unread_count + this.#since.length;
    this.unreadCapped = unread_capped;
    this.mentions = mention_count + this.#since.filter(({ isMention }) => isMention).length;
    this.board.changed(this.id);
  }

  /** @param {number|null} message */
  #readTo(message) {
    if (message === null) return;
    this.lastRead = Math.max(message, this.lastRead ?? 0);
    this.#since = this.#since.filter(({ id }) => id > message);
  }

  /**
   * The server's log reaches to `last`: fetches what we have not seen unless it comes by itself soon.
   * @param {number} last @param {string} [epoch] another than ours is followed by `resync`
   */
  reaches(last, epoch) {
    const { seq } = this;
    this.epoch ??= epoch;
    if (last <= seq) return;
    this.#head = Math.max(last, this.#head);
    // A long replay is on its way as long as it goes on.
    setTimeout(() => (this.seq > seq ? this.reaches(last) : this.#fill()), REPLAY_MS);
  }

  async #fill() {
    if (this.#filling) return;
    this.#filling = true;
    try {
      await new Promise((done) => setTimeout(done, 50));
      let next = /** @type {string|null} */ (`/rooms/${this.id}/events/?limit=200&after_seq=${this.seq}&epoch=${this.epoch ?? ""}`);
      while (next) {
        const page = /** @type {any} */ (await this.board.request("GET", next));
        for (const frame of page.results) this.offer(frame);
        if (page.results.length && page.results[0].seq > this.seq) return this.resync(page.results.at(-1).seq);
        next = page.next;
      }
    } catch {
      // Away, the reconnect subscribes after our `seq` and repairs it; refused, we ask again.
      setTimeout(() => {
        const isOurs = this.board.rooms.get(this.id) === this;
        if (isOurs && (this.#early.size > 0 || this.#head > this.seq)) this.#fill();
      }, FILL_AGAIN_MS);
    } finally {
      for (const seq of this.#early.keys()) if (seq <= this.seq) this.#early.delete(seq);
      this.#filling = false;
    }
  }

  /**
   * Drops what we have, and goes on after `seq`: the past that we hold is no longer what is kept, or
   * in another epoch never was.
   * @param {number} seq @param {string} [epoch]
   */
  async resync(seq, epoch = this.epoch) {
    if (epoch !== this.epoch) {
      // Ids and numbers may have been given again.
      this.lastRead = null;
      this.readers.clear();
      this.#since = [];
      this.countedTo = seq;
      if (this.members) this.loadMembers().catch(() => {});
    }
    this.epoch = epoch;
    this.seq = this.#head = seq;
    this.info = { ...this.info, last_seq: seq };
    this.#early.clear();
    this.board.countsSoon();
    const open = !this.timeline.isKept && (this.timeline.loaded || this.timeline.loading);
    this.timeline.clear();
    if (open) await this.timeline.loadLatest().catch(() => {});
    this.board.changed(this.id);
  }

  /** @param {any} frame */
  #take(frame) {
    this.seq = frame.seq;
    this.#early.delete(frame.seq);
    // What `info` tells of already is not to be told again.
    const isNews = frame.seq > this.info.last_seq;
    switch (frame.type) {
      case "message":
        this.#posted(frame, isNews);
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
        if (this.members) this.members = [...new Set([...this.members, frame.user_id])];
        if (isNews) this.info = { ...this.info, members_count: this.info.members_count + 1 };
        break;
      case "member.left":
        this.online.delete(frame.user_id);
        this.readers.delete(frame.user_id);
        this.members = this.members?.filter((id) => id !== frame.user_id);
        if (isNews) this.info = { ...this.info, members_count: this.info.members_count - 1 };
        break;
      case "room.updated":
        if (isNews) this.info = { ...this.info, ...frame.changes };
        this.board.listChanged();
        break;
    }
    this.board.changed(this.id);
  }

  /** @param {any} message @param {boolean} isNews */
  #posted(message, isNews) {
    const mine = message.sender === this.board.user?.id;
    if (mine && message.nonce) this.board.confirmed(message.nonce);
    this.typing.delete(message.sender);
    this.timeline.apply(message);
    if (isNews) this.info = { ...this.info, last_message_at: message.created_at };
    if (!mine && message.id > (this.lastRead ?? 0) && message.seq > this.countedTo) this.#count(message);
    this.board.listChanged();
  }

  /** @param {any} message one more that is unread */
  #count({ id, seq, body }) {
    if (this.unread >= UNREAD_MOST) {
      this.unreadCapped = true;
      return;
    }
    const isMention = this.board.mentionsMe(body);
    this.#since.push({ id, seq, isMention });
    this.unread++;
    if (isMention) this.mentions++;
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
    this.#readTo(frame.last_read_msg_id);
    if (frame.unread_count === undefined) return;
    this.unread = frame.unread_count;
    this.unreadCapped = frame.unread_count >= UNREAD_MOST;
    if (this.unread === 0) this.mentions = 0;
    else this.board.countsSoon();
    this.board.listChanged();
  }

  /** Moves the read marker to a message that the reader saw. @param {number} message */
  read(message) {
    if (message <= (this.lastRead ?? 0) && this.unread === 0) return;
    if (message <= (this.lastRead ?? 0) && message !== this.timeline.last?.id) return;
    this.#readTo(message);
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
    this.members = page.results.map((/** @type {any} */ member) => member.user);
    this.board.changed(this.id);
  }

  /** As the server has them, with what is being changed. @returns {RoomSettings} */
  get settings() {
    return this.#changes.length ? Object.assign({}, this.#settings, ...this.#changes) : this.#settings;
  }

  set settings(settings) {
    this.#settings = settings;
  }

  /**
   * Changes the settings: seen at once, and no more if it is refused. One request at a time: the last
   * change is the one that stays. @param {Partial<RoomSettings>} change
   */
  async change(change) {
    this.#changes.push(change);
    this.board.listChanged();
    const saving = this.#saved.then(() => this.board.request("PATCH", `/rooms/${this.id}/settings/`, change));
    this.#saved = saving.catch(() => {});
    try {
      this.settings = await saving;
    } finally {
      this.#changes = this.#changes.filter((one) => one !== change);
      this.board.listChanged();
    }
  }
}
