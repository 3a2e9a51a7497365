// One WebSocket for all rooms: it opens, is kept open, resumes each room after the last event seen,
// renews its token, and paces what it sends below the server's limit.

import { Backoff } from "./backoff.js";

/** The server takes 20 frames in any second, drops more and then closes: so many at once, and so many a second, stay below that. */
const FRAMES_AT_ONCE = 4;
const FRAMES_PER_SECOND = 12;
const PING_EVERY_MS = 25_000;
/** Nothing heard for this long, though we asked: the line is dead (a sleeping laptop, a lost network). */
const DEAD_AFTER_MS = 10_000;
/** A line that is not open by then never will be: something takes connections and answers none. */
const OPEN_WITHIN_MS = 8_000;
/** What we close a line with that is silent; no server says so. */
const SILENT = 4408;
/** Close codes after which trying again is of no use. */
const FINAL = new Set([1003, 1009, 4003, 4400]);

/**
 * @typedef {import("./rest.js").Rest} Rest
 * @typedef {{onFrame: (frame: any) => void, onStatus: (status: "online"|"connecting"|"offline") => void,
 *   resumeAt: (room: number) => {after: number, epoch?: string}|undefined}} Owner
 */

export class Socket {
  /** @type {WebSocket|null} */
  #ws = null;
  #backoff = new Backoff();
  #open = false;
  #stopped = true;
  /** @type {Set<number>} */
  #rooms = new Set();
  /** Frames that wait for their turn; the oldest first. @type {any[]} */
  #queue = [];
  #tokens = FRAMES_AT_ONCE;
  #filledAt = 0;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #retry;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #pace;
  /** @type {ReturnType<typeof setInterval>|undefined} */
  #pulse;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #opening;
  #heardAt = 0;

  /** @param {Rest} rest @param {Owner} owner */
  constructor(rest, owner) {
    this.rest = rest;
    this.owner = owner;
  }

  start() {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#connect();
  }

  /** Closes for good (until `start`): signed out, or another tab has the socket. */
  stop() {
    this.#stopped = true;
    this.#drop();
    this.#rooms.clear();
  }

  get online() {
    return this.#open;
  }

  /** Looks at once whether the line is alive: the page woke up, or the network came back. */
  nudge() {
    if (this.#stopped) return;
    if (!this.#open) return void this.#connect();
    // It may have outlived the network's absence; if not, asking shows it.
    if (navigator.onLine !== false) this.owner.onStatus("online");
    this.#ask();
  }

  /** @param {number} room */
  subscribe(room) {
    if (this.#rooms.has(room)) return;
    this.#rooms.add(room);
    if (this.#open) this.send(this.#subscription(room));
  }

  /** Subscribes once more: the server dropped the frame that asked for it. @param {number} room */
  subscribeAgain(room) {
    if (this.#open && this.#rooms.has(room)) this.send(this.#subscription(room));
  }

  /** @param {number} room */
  unsubscribe(room) {
    if (this.#rooms.delete(room) && this.#open) this.send({ type: "unsubscribe", room });
  }

  /** Sends soon; forgotten if the line breaks first. @param {any} frame @param {boolean} [first] */
  send(frame, first = false) {
    if (!this.#open) return;
    // What somebody wrote waits behind nothing that may be lost.
    const at = first ? 0 : frame.type === "message" ? this.#queue.findIndex(({ type }) => type !== "message") : -1;
    if (at < 0) this.#queue.push(frame);
    else this.#queue.splice(at, 0, frame);
    this.#flush();
  }

  /** @param {number} room */
  #subscription(room) {
    return { type: "subscribe", room, ...this.owner.resumeAt(room) };
  }

  #flush() {
    // By the time that has passed: the timers of a hidden page hardly tick.
    const now = performance.now();
    this.#tokens = Math.min(FRAMES_AT_ONCE, this.#tokens + ((now - this.#filledAt) / 1000) * FRAMES_PER_SECOND);
    this.#filledAt = now;
    while (this.#tokens >= 1 && this.#queue.length > 0) {
      this.#tokens -= 1;
      this.#ws?.send(JSON.stringify(this.#queue.shift()));
    }
    if (this.#queue.length === 0) return;
    this.#pace ??= setTimeout(() => {
      this.#pace = undefined;
      this.#flush();
    }, 100);
  }

  async #connect() {
    clearTimeout(this.#retry);
    if (this.#stopped || this.#ws) return;
    this.#away();
    let token;
    try {
      token = await this.rest.token();
    } catch {
      return this.#later();
    }
    if (!token || this.#stopped || this.#ws) return;
    const ws = new WebSocket(`${this.rest.origin.replace(/^http/, "ws")}/ws/`, ["chatboard.v1", token]);
    this.#ws = ws;
    this.#opening = setTimeout(() => this.#ws === ws && this.#closed(SILENT), OPEN_WITHIN_MS);
    ws.onmessage = (event) => this.#ws === ws && this.#heard(JSON.parse(event.data));
    ws.onclose = (event) => this.#ws === ws && this.#closed(event.code);
  }

  /** @param {any} frame */
  #heard(frame) {
    this.#heardAt = Date.now();
    if (frame.type === "connection") this.#opened();
    else if (frame.type === "warning" && frame.code === "token_expiring") this.#reauthenticate();
    this.owner.onFrame(frame);
  }

  #opened() {
    clearTimeout(this.#opening);
    this.#open = true;
    this.#backoff.reset();
    this.#tokens = FRAMES_AT_ONCE;
    this.#filledAt = performance.now();
    this.#queue = [...this.#rooms].map((room) => this.#subscription(room));
    this.#flush();
    this.#pulse = setInterval(() => this.#ask(), PING_EVERY_MS);
    this.owner.onStatus("online");
  }

  async #reauthenticate() {
    try {
      if (await this.rest.renew()) this.send({ type: "auth", token: await this.rest.token() }, true);
    } catch {
      // The server will close 4001 and we renew then.
    }
  }

  /** Asks for a sign of life, and gives the line up when none comes. */
  #ask() {
    const asked = Date.now();
    this.send({ type: "ping" }, true);
    setTimeout(() => {
      if (this.#open && this.#heardAt < asked) this.#closed(SILENT);
    }, DEAD_AFTER_MS);
  }

  /** @param {number} code */
  #closed(code) {
    this.#drop();
    if (this.#stopped) return;
    if (FINAL.has(code)) return this.owner.onStatus("offline");
    if (code === 4001) {
      this.rest.renew().then((alive) => alive && this.#later(), () => this.#later());
    } else {
      this.#later(code === 4429 ? 10_000 : 0);
    }
  }

  /** Tells that there is no line: because there is no network, or not yet. */
  #away() {
    this.owner.onStatus(navigator.onLine === false ? "offline" : "connecting");
  }

  #later(least = 0) {
    this.#away();
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#connect(), Math.max(least, this.#backoff.next()));
  }

  #drop() {
    const ws = this.#ws;
    this.#ws = null;
    this.#open = false;
    this.#queue = [];
    clearInterval(this.#pulse);
    clearTimeout(this.#opening);
    clearTimeout(this.#retry);
    ws?.close();
  }
}
