/**
 * ChatBoard's client library: everything that a client needs between a person and the API, and
 * nothing that needs a page. How to use it: docs/web-client.md.
 *
 * Promises: a room's events are taken in the order of `seq`, each once, none missing, through
 * reconnects, sleep, restarts and changes of tab; what was posted is kept until the server has it,
 * and is never there twice.
 */

import { ApiError, Rest } from "./chatboard/rest.js";
import { Backoff, pause } from "./chatboard/backoff.js";
import { Directory } from "./chatboard/directory.js";
import { People } from "./chatboard/people.js";
import { Sender } from "./chatboard/sender.js";
import { Socket } from "./chatboard/socket.js";
import { Tabs } from "./chatboard/tabs.js";

export { ApiError };

/**
 * @typedef {import("./chatboard/rest.js").User} User
 * @typedef {import("./chatboard/room.js").Person} Person
 * @typedef {import("./chatboard/outbox.js").Send} Send
 * @typedef {"online"|"connecting"|"offline"} Status
 */

/**
 * Events: `user` (detail: User or null), `status` (Status), `rooms` (the list changed), `room` (a room's id:
 * anything about it changed), `notification`, `frame` (every server frame), `sent` / `failed` (a Send).
 */
export class ChatBoard extends EventTarget {
  /** @type {Status} */
  status = "connecting";
  #directory = new Directory(this);
  #people = new People(this);
  #sender = new Sender(this);
  #started = false;
  #backoff = new Backoff();
  /** The reading of rooms and counts that is on its way, and whether it came too early. @type {Promise<void>|null} */
  #reading = null;
  #isStale = false;
  /** The last epoch that the server named in a `resync`. @type {string|undefined} */
  #epoch;
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
      resumeAt: (room) => this.rooms.get(room)?.place,
    });
    this.tabs = new Tabs({
      onLead: () => this.#lead(),
      onFrame: (frame) => this.#frame(frame),
      onStatus: (status) => this.#setStatus(status),
      onLoaded: (loaded) => this.#loaded(loaded),
      onAsk: (ask) => this.#wanted(ask),
    });
    // The tab that has the socket may be hidden, and hardly awake.
    const nudge = () => this.tabs.ask({ type: "nudge" });
    globalThis.addEventListener?.("online", nudge);
    globalThis.addEventListener?.("offline", () => this.#setStatus("offline"));
    globalThis.document?.addEventListener("visibilitychange", () => !document.hidden && nudge());
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
    const { device_token, ...tokens } = await this.request("POST", "/auth/token/", { email, password, device_token: this.rest.deviceToken(email) });
    this.rest.deviceToken(email, device_token);
    await this.rest.begin(tokens);
    return this.user;
  }

  /** Makes an account and signs in. @param {{email: string, password: string, first_name?: string, last_name?: string, invite_token?: string}} fields */
  async register(fields) {
    await this.request("POST", "/auth/register/", fields);
    return this.signIn(fields.email, fields.password);
  }

  /** What could not be sent stays on this device; see `forget`. */
  async signOut() {
    await this.rest.end();
  }

  /** Deletes from this device what a person posted and could not be sent. @param {number} user */
  forget(user) {
    return this.outbox.clear(user);
  }

  /** @param {User|null} user */
  #loginChanged(user) {
    if (!user) this.#stop();
    this.emit("user", user);
  }

  #stop() {
    this.socket.stop();
    this.tabs.leave();
    this.#sender.stop();
    this.#directory.forget();
    this.#people.forget();
    this.#started = false;
    this.#isStale = false;
    this.status = "connecting";
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
  async upload(file, options) {
    const { upload } = await import("./chatboard/upload.js");
    return upload(this.rest, file, options);
  }

  // --- What is known -----------------------------------------------------------------------

  /** The caller's rooms by id. */
  get rooms() {
    return this.#directory.rooms;
  }

  /** Rooms that went while the page was open: what they were called, and whether they were deleted. */
  get lostRooms() {
    return this.#directory.lost;
  }

  /** The caller's organizations. */
  get orgs() {
    return this.#directory.orgs;
  }

  get unreadNotifications() {
    return this.#directory.unreadNotifications;
  }

  /** Everyone we heard of, by id. */
  get people() {
    return this.#people.known;
  }

  /** Rises when `people` changes. */
  get peopleVersion() {
    return this.#people.version;
  }

  /** What was posted and is not confirmed. */
  get outbox() {
    return this.#sender.outbox;
  }

  /** Reads organizations, rooms and unread counts; keeps the rooms that are there already. */
  async load() {
    const loaded = await this.#directory.load();
    if (!loaded) return;
    this.tabs.tellLoaded(loaded);
    this.#sender.prune();
  }

  /** Another tab has read them. @param {any} loaded */
  #loaded(loaded) {
    if (this.#directory.isLoaded) this.#directory.take(loaded);
  }

  /** Shows a room that we just made or joined, without waiting for its frame. @param {number} id */
  open(id) {
    return this.#directory.open(id);
  }

  /** Asks how many notifications are unread. */
  countNotifications() {
    return this.#directory.countNotifications();
  }

  /** Asks for the exact unread counts, once for many causes. */
  countsSoon() {
    this.#directory.countsSoon();
  }

  /** @param {Person} person */
  learn(person) {
    this.#people.learn(person);
  }

  /** A person's name as people read it; asks the server once for whom we do not know. @param {number} id */
  nameOf(id) {
    return this.#people.nameOf(id);
  }

  /** What reads mentions of people. */
  get names() {
    return this.#people;
  }

  /**
   * Whether a text mentions us; near enough for a badge, until the exact counts come.
   * @param {string} body @param {{here?: boolean}} [options] `here`: whether `@here` does; it notifies, and is not counted
   */
  mentionsMe(body, { here = false } = {}) {
    return this.#people.mentionsMe(body, here ? ["room", "here"] : ["room"]);
  }

  // --- Going live --------------------------------------------------------------------------

  /** Loads the rooms, then holds the socket (or shares that of another tab). Returns once there is a list to show. */
  async start() {
    if (this.#started || !this.user) return;
    this.#started = true;
    await this.#sender.load(this.user.id);
    await this.#read();
    if (this.user && this.#directory.isLoaded) this.tabs.join(this.user.id);
  }

  /** Reads what there is, and tries until that works; what is being read already may be too old. @returns {Promise<void>} */
  #read() {
    this.#isStale = true;
    this.#reading ??= this.#readUntilDone().finally(() => (this.#reading = null));
    return this.#reading;
  }

  async #readUntilDone() {
    while (this.#started && this.#isStale) {
      this.#isStale = false;
      try {
        await this.load();
        this.#backoff.reset();
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) return;
        // Away, the next line does it.
        if (this.#directory.isLoaded && !this.socket.online) return;
        if (!this.#directory.isLoaded) this.#setStatus("offline");
        this.#isStale = true;
        await pause(this.#backoff.next());
      }
    }
  }

  /** We hold the socket, for all tabs. */
  #lead() {
    for (const id of this.rooms.keys()) this.socket.subscribe(id);
    // What the last leader left unsent is ours now.
    this.#sender.load(this.user?.id ?? 0).then(() => this.#sender.drain());
    this.socket.start();
  }

  /** What a tab wants of the leader. @param {any} ask */
  #wanted(ask) {
    if (ask.type === "hello") this.#introduce();
    else if (ask.type === "nudge") this.socket.nudge();
    else if (ask.type === "subscribe") this.socket.subscribe(ask.room);
    else if (ask.type === "unsubscribe") this.socket.unsubscribe(ask.room);
    else if (ask.type === "say") this.socket.send(ask.frame);
    else if (ask.type === "post") this.#sender.take(ask.send);
  }

  /** A tab has come: it learns what the server says once only. */
  #introduce() {
    for (const { id, seq, epoch, online } of this.rooms.values()) {
      this.tabs.tell({ type: "subscribed", room: id, last_seq: seq, epoch });
      this.tabs.tell({ type: "presence.snapshot", room: id, online: [...online] });
    }
    this.tabs.tellStatus(this.status);
  }

  /** Sends a frame that may be lost (typing, read). @param {any} frame */
  say(frame) {
    this.tabs.ask({ type: "say", frame });
  }

  /** @param {Status} status */
  #setStatus(status) {
    if (status === this.status) return;
    this.status = status;
    this.emit("status", status);
    if (status === "online") this.#cameOnline();
  }

  #cameOnline() {
    this.#sender.restart();
    // What happened between what was read and the socket's opening was told to nobody.
    if (this.tabs.leading && this.#directory.isLoaded) this.#read();
  }

  /** @param {any} frame */
  #frame(frame) {
    const room = this.rooms.get(frame.room);
    switch (frame.type) {
      case "subscribed":
        // What the leading tab hears of is ours too; we may have read too early.
        if (room) room.reaches(frame.last_seq, frame.epoch);
        else if (!this.tabs.leading) this.open(frame.room).catch(() => {});
        break;
      case "resync":
        room?.resync(frame.last_seq, frame.epoch);
        // Another history: the list of rooms, and all that is counted, may be another too.
        if (frame.epoch !== this.#epoch && this.tabs.leading) this.#read();
        this.#epoch = frame.epoch;
        break;
      case "ack":
        this.#sender.acked(frame);
        break;
      case "error":
        if (frame.code === "rate_limited" && frame.room && !frame.nonce) {
          setTimeout(() => this.socket.subscribeAgain(frame.room), frame.retry_after_ms ?? 1000);
        } else if (frame.code === "removed" || (frame.code === "not_a_member" && !frame.nonce)) this.#directory.remove(frame.room);
        else this.#sender.refused(frame);
        break;
      case "room.added":
        this.#directory.added(frame.room);
        break;
      case "room.removed":
      case "room.deleted":
        this.#directory.remove(frame.room_id ?? frame.room, frame.type === "room.deleted");
        this.#directory.orgsSoon();
        break;
      case "room.settings":
        this.#directory.settingsCame(frame);
        break;
      case "notification":
        this.#directory.unreadNotifications++;
        if (frame.notification.notification_type === "role_change") this.#directory.orgsSoon();
        this.emit("notification", frame.notification);
        break;
      default:
        if (frame.seq !== undefined) room?.offer(frame);
        else room?.hint(frame);
        if (frame.type === "read" && frame.user_id === this.user?.id) this.#directory.notificationsSoon();
    }
    this.emit("frame", frame);
  }

  // --- Posting -----------------------------------------------------------------------------

  /**
   * Posts a message: it is shown at once (`room.pending`), kept on this device, and sent until the server has it.
   * @param {number} room @param {string} body @param {{reply_to?: number, upload_id?: string, upload?: any}} [more]
   * @returns {Promise<Send>} once it is kept
   */
  post(room, body, more = {}) {
    return this.#sender.post(room, body, more);
  }

  /** Sends again what was refused. @param {string} nonce */
  retry(nonce) {
    return this.#sender.retry(nonce);
  }

  /** Gives up what was refused. @param {string} nonce */
  discard(nonce) {
    this.#sender.discard(nonce);
  }

  /** The message of this nonce is in the log. @param {string} nonce */
  confirmed(nonce) {
    this.#sender.confirmed(nonce);
  }

  // --- Telling -----------------------------------------------------------------------------

  /** @param {string} type @param {any} detail */
  emit(type, detail) {
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
      for (const room of rooms) this.emit("room", room);
      if (list) this.emit("rooms", null);
    });
  }
}
