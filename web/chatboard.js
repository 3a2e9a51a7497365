/**
 * ChatBoard's client library: everything that a client needs between a person and the API, and
 * nothing that needs a page. Docs: docs/web-client.md.
 *
 * ```js
 * const board = new ChatBoard({ origin: "https://chat.example" });
 * if (!(await board.restore())) await board.signIn("ada@acme.example", "secret");
 * await board.start();
 * board.addEventListener("room", (event) => draw(board.rooms.get(event.detail).timeline.messages));
 * board.post(1, "Hello!");
 * ```
 *
 * Promises: a room's events are taken in the order of `seq`, each once, none missing, through
 * reconnects, sleep, restarts and changes of tab; what was posted is kept until the server has it,
 * and is never there twice.
 */

import { ApiError, Rest } from "./chatboard/rest.js";
import { Backoff } from "./chatboard/backoff.js";
import { Outbox } from "./chatboard/outbox.js";
import { Room } from "./chatboard/room.js";
import { Socket } from "./chatboard/socket.js";
import { Tabs } from "./chatboard/tabs.js";
import { upload } from "./chatboard/upload.js";

export { ApiError };

/**
 * @typedef {import("./chatboard/rest.js").User} User
 * @typedef {import("./chatboard/room.js").Person} Person
 * @typedef {import("./chatboard/outbox.js").Send} Send
 * @typedef {"online"|"connecting"|"offline"} Status
 */

/** How long a send waits for its ack before it is sent again. */
const ACK_MS = 10_000;
/** How long the rooms' settings wait for the socket. */
const SETTINGS_WITHIN_MS = 3000;
/** Refusals that a retry may overcome. */
const PASSING = new Set(["rate_limited", "unavailable", "internal", "unauthenticated", "token_expired"]);

/**
 * Events: `user` (detail: User or null), `status` (Status), `rooms` (the list changed), `room` (a room's id:
 * anything about it changed), `notification`, `frame` (every server frame), `sent` / `failed` (a Send).
 */
export class ChatBoard extends EventTarget {
  /** The caller's rooms by id. @type {Map<number, Room>} */
  rooms = new Map();
  /** Everyone we heard of. @type {Map<number, Person>} */
  people = new Map();
  /** @type {any[]} */
  orgs = [];
  /** @type {Status} */
  status = "connecting";
  unreadNotifications = 0;
  outbox = new Outbox();
  #started = false;
  #loaded = false;
  #backoff = new Backoff();
  /** Rooms with a send on its way, and the timer that repeats it. @type {Map<number, {nonce: string, timer: any}>} */
  #sending = new Map();
  /** @type {Set<number>} */
  #asked = new Set();
  /** @type {any} */
  #countsTimer;
  /** @type {any} */
  #notificationsTimer;
  /** @type {any} */
  #orgsTimer;
  /** Rooms that changed and are told of soon, together. @type {Set<number>} */
  #dirty = new Set();
  #listDirty = false;
  #telling = false;

  /** @param {{origin?: string}} [options] */
  constructor({ origin = location.origin } = {}) {
    super();
    this.rest = new Rest(origin, (user) => this.#loginChanged(user));
    this.socket = new Socket(this.rest, {
      onFrame: (frame) => {
        this.#frame(frame);
        this.tabs.tell(frame);
      },
      onStatus: (status) => {
        this.#setStatus(status);
        this.tabs.tellStatus(status);
      },
      resumeAt: (room) => this.rooms.get(room)?.seq,
    });
    this.tabs = new Tabs({
      onLead: () => this.#lead(),
      onFrame: (frame) => this.#frame(frame),
      onStatus: (status) => this.#setStatus(status),
      onAsk: (ask) => this.#asked_(ask),
    });
    globalThis.addEventListener?.("online", () => this.socket.nudge());
    globalThis.addEventListener?.("offline", () => this.#setStatus("offline"));
    globalThis.document?.addEventListener("visibilitychange", () => !document.hidden && this.socket.nudge());
  }

  // --- Login -------------------------------------------------------------------------------

  /** The signed-in user, or null. */
  get user() {
    return this.rest.user;
  }

  /** Whether a stored login works; renews it when needed. Offline, what is stored is believed. */
  async restore() {
    if (!this.rest.signedIn) return false;
    try {
      this.rest.setUser(await this.request("GET", "/auth/me/"));
    } catch (error) {
      if (!(error instanceof ApiError) || error.status === 401) return false;
    }
    return this.user !== null;
  }

  /** @param {string} email @param {string} password @returns {Promise<User|null>} */
  async signIn(email, password) {
    await this.rest.begin(await this.request("POST", "/auth/token/", { email, password }));
    return this.user;
  }

  /** Makes an account and signs in. @param {{email: string, password: string, first_name?: string, last_name?: string}} fields */
  async register(fields) {
    await this.request("POST", "/auth/register/", fields);
    return this.signIn(fields.email, fields.password);
  }

  async signOut() {
    await this.rest.end();
  }

  /** @param {User|null} user */
  #loginChanged(user) {
    if (!user) this.#stop();
    this.#emit("user", user);
  }

  #stop() {
    this.socket.stop();
    this.tabs.leave();
    for (const { timer } of this.#sending.values()) clearTimeout(timer);
    this.#sending.clear();
    this.rooms = new Map();
    this.orgs = [];
    this.#started = this.#loaded = false;
  }

  // --- REST --------------------------------------------------------------------------------

  /**
   * Calls the API with the login. Throws ApiError.
   * @param {string} method @param {string} path below `/api/v1` @param {any} [body] @param {{signal?: AbortSignal}} [options]
   */
  request(method, path, body, options) {
    return this.rest.request(method, path, body, options);
  }

  /** Walks the pages of a list. @param {string} path @param {Record<string, any>} [params] */
  async *items(path, params = {}) {
    let next = /** @type {string|null} */ (`${path}?${new URLSearchParams({ limit: "200", ...params })}`);
    while (next) {
      const page = /** @type {any} */ (await this.request("GET", next));
      yield* page.results;
      next = page.next;
    }
  }

  /** Stores a file. @param {File} file @param {{onProgress?: (part: number) => void, signal?: AbortSignal}} [options] */
  upload(file, options) {
    return upload(this.rest, file, options);
  }

  // --- Going live --------------------------------------------------------------------------

  /** Loads the rooms, then holds the socket (or shares that of another tab). Returns once there is a list to show. */
  async start() {
    if (this.#started || !this.user) return;
    this.#started = true;
    await this.outbox.load(this.user.id).catch(() => {});
    await this.#loadUntilDone();
    if (!this.user) return;
    this.tabs.join(this.user.id);
  }

  async #loadUntilDone() {
    while (this.#started && !this.#loaded) {
      try {
        await this.load();
        this.#loaded = true;
        this.#backoff.reset();
        // Coming online reads them; who does not, sees them all the same.
        setTimeout(() => this.status !== "online" && this.#loadSettings(), SETTINGS_WITHIN_MS);
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) return;
        this.#setStatus("offline");
        await new Promise((done) => setTimeout(done, this.#backoff.next()));
      }
    }
  }

  /** Reads organizations, rooms and unread counts; keeps the rooms that are there already. */
  async load() {
    const [orgs, counts] = await Promise.all([
      Array.fromAsync(this.items("/orgs/")), this.request("GET", "/auth/me/unread-counts/"), this.#loadRooms(),
      this.countNotifications(),
    ]);
    this.orgs = orgs;
    this.#count(counts);
    this.listChanged();
  }

  async #loadRooms() {
    const seen = new Set();
    for await (const info of this.items("/rooms/")) {
      seen.add(info.id);
      this.#addRoom(info);
    }
    for (const id of this.rooms.keys()) if (!seen.has(id)) this.#removeRoom(id);
  }

  /** @param {import("./chatboard/room.js").RoomInfo} info */
  #addRoom(info) {
    for (const person of info.dm_users ?? []) this.learn(person);
    const known = this.rooms.get(info.id);
    if (known) {
      known.info = info;
      known.reaches(info.last_seq);
      return known;
    }
    const room = new Room(this, info);
    this.rooms.set(info.id, room);
    if (this.#loaded) this.tabs.ask({ type: "subscribe", room: info.id });
    return room;
  }

  /** @param {number} id */
  #removeRoom(id) {
    if (!this.rooms.delete(id)) return;
    this.tabs.ask({ type: "unsubscribe", room: id });
    this.changed(id);
    this.listChanged();
  }

  /** Shows a room that we just made or joined, without waiting for its frame. @param {number} id */
  async open(id) {
    const room = this.#addRoom(await this.request("GET", `/rooms/${id}/`));
    this.listChanged();
    return room;
  }

  /** The list of rooms says nothing of settings: they come after it, the liveliest rooms first. */
  async #loadSettings() {
    const rooms = [...this.rooms.values()]
      .sort((a, b) => (b.info.last_message_at ?? "").localeCompare(a.info.last_message_at ?? "")).slice(0, 40);
    for (const room of rooms) {
      try {
        room.settings = await this.request("GET", `/rooms/${room.id}/settings/`);
      } catch {
        return;
      }
      this.listChanged();
    }
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
      this.changed(room.id);
    }
    this.listChanged();
  }

  /** Asks how many notifications are unread. */
  async countNotifications() {
    const before = this.unreadNotifications;
    this.unreadNotifications = (await this.request("GET", "/notifications/unread-count/")).unread_count;
    if (before !== this.unreadNotifications) this.listChanged();
  }

  /** Reading a room reads what its messages notified of: asks, once for many reads. */
  #notificationsSoon() {
    if (!this.unreadNotifications) return;
    clearTimeout(this.#notificationsTimer);
    this.#notificationsTimer = setTimeout(() => this.countNotifications().catch(() => {}), 1500);
  }

  /** Asks for the exact unread counts, once for many causes. */
  countsSoon() {
    this.#countsTimer ??= setTimeout(async () => {
      this.#countsTimer = undefined;
      await this.request("GET", "/auth/me/unread-counts/").then((counts) => this.#count(counts), () => {});
    }, 2000);
  }

  /** Rooms come and go with their organization, and roles change: reads the organizations anew, once for many causes. */
  #orgsSoon() {
    this.#orgsTimer ??= setTimeout(async () => {
      this.#orgsTimer = undefined;
      const orgs = await Array.fromAsync(this.items("/orgs/")).catch(() => null);
      if (!orgs || !this.user) return;
      this.orgs = orgs;
      this.listChanged();
    }, 500);
  }

  // --- The socket and the tabs that share it ----------------------------------------------------

  #lead() {
    for (const id of this.rooms.keys()) this.socket.subscribe(id);
    // What the last leader left unsent is ours now.
    this.outbox.load(this.user?.id ?? 0).catch(() => {}).then(() => this.#drainAll());
    this.socket.start();
  }

  /** What a tab wants of the leader. @param {any} ask */
  #asked_(ask) {
    if (ask.type === "hello") this.tabs.tellStatus(this.status);
    else if (ask.type === "subscribe") this.socket.subscribe(ask.room);
    else if (ask.type === "unsubscribe") this.socket.unsubscribe(ask.room);
    else if (ask.type === "say") this.socket.send(ask.frame);
    else if (ask.type === "post") {
      this.outbox.note(ask.send);
      this.#drain(ask.send.room);
      this.changed(ask.send.room);
    }
  }

  /** Sends a frame that may be lost (typing, read). @param {any} frame */
  say(frame) {
    this.tabs.ask({ type: "say", frame });
  }

  /** @param {Status} status */
  #setStatus(status) {
    if (status === this.status) return;
    this.status = status;
    this.#emit("status", status);
    if (status === "online") this.#cameOnline();
  }

  async #cameOnline() {
    this.#drainAll();
    if (!this.#loaded) return;
    // What happened between what was read and the socket's opening was told to nobody.
    await this.load().then(() => this.#loadSettings(), () => {});
  }

  /** @param {any} frame */
  #frame(frame) {
    const room = this.rooms.get(frame.room);
    switch (frame.type) {
      case "subscribed":
        room?.reaches(frame.last_seq);
        break;
      case "resync":
        room?.resync(frame.last_seq);
        break;
      case "ack":
        this.#acked(frame);
        break;
      case "error":
        this.#refused(frame);
        break;
      case "room.added":
        this.#addRoom(frame.room);
        if (!this.orgs.some((org) => org.id === frame.room.org)) this.#orgsSoon();
        this.listChanged();
        break;
      case "room.removed":
        this.#removeRoom(frame.room_id);
        this.#orgsSoon();
        break;
      case "room.deleted":
        this.#removeRoom(frame.room);
        this.#orgsSoon();
        break;
      case "room.settings":
        this.#settingsCame(frame);
        break;
      case "notification":
        this.unreadNotifications++;
        if (frame.notification.notification_type === "role_change") this.#orgsSoon();
        this.#emit("notification", frame.notification);
        break;
      default:
        if (frame.seq !== undefined) room?.offer(frame);
        else room?.hint(frame);
        if (frame.type === "read" && frame.user_id === this.user?.id) this.#notificationsSoon();
    }
    this.#emit("frame", frame);
  }

  /** @param {any} frame */
  #settingsCame({ room_id, notify, section, starred }) {
    const room = this.rooms.get(room_id);
    if (room) room.settings = { notify, section, starred };
    this.listChanged();
  }

  // --- Posting -----------------------------------------------------------------------------

  /**
   * Posts a message: it is shown at once (`room.pending`), kept on this device, and sent until the server has it.
   * @param {number} room @param {string} body @param {{reply_to?: number, upload_id?: string, upload?: any}} [more]
   * @returns {Promise<Send>} once it is kept
   */
  async post(room, body, more = {}) {
    const send = { nonce: crypto.randomUUID(), user: this.user?.id ?? 0, room, body, at: Date.now(), ...more };
    const kept = this.outbox.put(send);
    this.changed(room);
    this.tabs.ask({ type: "post", send });
    await kept;
    return send;
  }

  /** Sends again what was refused. @param {string} nonce */
  async retry(nonce) {
    const { failed, ...send } = /** @type {Partial<Send>} */ (this.outbox.get(nonce) ?? {});
    if (!send.nonce) return;
    await this.outbox.put(/** @type {Send} */ (send));
    this.changed(/** @type {Send} */ (send).room);
    this.tabs.ask({ type: "post", send });
  }

  /** Gives up what was refused. @param {string} nonce */
  discard(nonce) {
    const send = this.outbox.get(nonce);
    this.outbox.remove(nonce);
    if (send) this.changed(send.room);
  }

  #drainAll() {
    for (const room of new Set(this.outbox.list().map((send) => send.room))) this.#drain(room);
  }

  /** One send of a room at a time is on its way, so that order is kept. @param {number} room */
  #drain(room) {
    if (!this.tabs.leading || !this.socket.online || this.#sending.has(room)) return;
    const send = this.outbox.list(room).find((one) => !one.failed && !one.acked);
    if (!send) return;
    const { nonce, body, reply_to, upload_id } = send;
    this.socket.send({ type: "message", room, nonce, body, reply_to, upload_id });
    this.#sending.set(room, { nonce, timer: setTimeout(() => this.#again(room), ACK_MS) });
  }

  /** @param {number} room @param {number} [wait] */
  #again(room, wait = 0) {
    clearTimeout(this.#sending.get(room)?.timer);
    if (wait > 0) {
      const nonce = this.#sending.get(room)?.nonce ?? "";
      this.#sending.set(room, { nonce, timer: setTimeout(() => this.#again(room), wait) });
      return;
    }
    this.#sending.delete(room);
    this.#drain(room);
  }

  /** @param {{nonce: string}} frame */
  #acked({ nonce }) {
    const send = this.outbox.get(nonce);
    if (!send) return;
    // It stays in sight until its frame is there; then `confirmed` takes it away. Nothing flickers.
    if (!send.acked) this.#emit("sent", send);
    const room = this.rooms.get(send.room);
    if (this.#sending.get(send.room)?.nonce === nonce) {
      this.outbox.put({ ...send, acked: true });
      this.#nextAfter(send.room, nonce);
    } else this.outbox.note({ ...send, acked: true });
    setTimeout(() => room && this.outbox.get(nonce) && this.confirmed(nonce), 3000);
  }

  /** @param {number} room @param {string} nonce */
  #nextAfter(room, nonce) {
    clearTimeout(this.#sending.get(room)?.timer);
    this.#sending.delete(room);
    const next = this.outbox.list(room).find((one) => !one.failed && !one.acked && one.nonce !== nonce);
    if (next) queueMicrotask(() => this.#drain(room));
  }

  /** The message of this nonce is in the log. @param {string} nonce */
  confirmed(nonce) {
    const send = this.outbox.get(nonce);
    if (!send) return;
    this.outbox.remove(nonce);
    // The message may come before its ack.
    if (!send.acked) this.#emit("sent", send);
    if (this.#sending.get(send.room)?.nonce === nonce) this.#nextAfter(send.room, nonce);
    this.changed(send.room);
  }

  /** @param {any} error */
  #refused(error) {
    if (error.code === "removed" || (error.code === "not_a_member" && !error.nonce)) return this.#removeRoom(error.room);
    const send = this.outbox.get(error.nonce);
    if (!send) return;
    if (PASSING.has(error.code)) return this.#again(send.room, (error.retry_after_ms ?? 1000) + Math.random() * 500);
    this.outbox.put({ ...send, failed: error.detail || error.code });
    if (this.#sending.get(send.room)?.nonce === send.nonce) this.#nextAfter(send.room, send.nonce);
    this.#emit("failed", send);
    this.changed(send.room);
  }

  // --- People ------------------------------------------------------------------------------

  /** @param {Person} person */
  learn({ id, email, first_name, last_name }) {
    this.people.set(id, { id, email, first_name, last_name });
  }

  /** A person's name as people read it; asks the server once for whom we do not know. @param {number} id */
  nameOf(id) {
    const person = id === this.user?.id ? this.user : this.people.get(id);
    if (!person) {
      this.#ask(id);
      return "…";
    }
    return `${person.first_name ?? ""} ${person.last_name ?? ""}`.trim() || person.email.split("@")[0];
  }

  /** @param {number} id */
  async #ask(id) {
    if (this.#asked.has(id)) return;
    this.#asked.add(id);
    try {
      this.learn(await this.request("GET", `/users/${id}/`));
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) return this.#asked.delete(id);
      this.learn({ id, email: "", first_name: "Deleted", last_name: "user" });
    }
    this.listChanged();
    for (const room of this.rooms.values()) if (room.timeline.loaded) this.changed(room.id);
  }

  /** Whether a text mentions us; near enough for a badge, until the exact counts come. @param {string} body */
  mentionsMe(body) {
    if (!body.includes("@") || !this.user) return false;
    const { email, first_name, last_name } = this.user;
    const names = [email, `${first_name}.${last_name}`, "room", "here"].map((name) => name.toLowerCase());
    const text = body.replace(/`[^`]*`/g, "").toLowerCase();
    return names.some((name) => {
      const at = text.indexOf(`@${name}`);
      return at >= 0 && !/\w/.test(text[at - 1] ?? " ") && !/[\w-]/.test(text[at + 1 + name.length] ?? " ");
    });
  }

  // --- Telling -----------------------------------------------------------------------------

  /** @param {string} type @param {any} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** Something about a room changed: said once for all changes of a moment. @param {number} room */
  changed(room) {
    this.#dirty.add(room);
    this.#tellSoon();
  }

  listChanged() {
    this.#listDirty = true;
    this.#tellSoon();
  }

  #tellSoon() {
    if (this.#telling) return;
    this.#telling = true;
    queueMicrotask(() => {
      this.#telling = false;
      const rooms = [...this.#dirty];
      const list = this.#listDirty;
      this.#dirty.clear();
      this.#listDirty = false;
      for (const room of rooms) this.#emit("room", room);
      if (list) this.#emit("rooms", null);
    });
  }
}
