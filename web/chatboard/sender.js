// Sending: what was posted is kept on this device until the server has it, and sent again until then.
//
// One send of a room at a time is on its way, so that the order of writing is kept; the nonce of each
// makes repeating harmless. Only the tab that has the socket sends.

import { Outbox } from "./outbox.js";

/** How long a send waits for its ack before it is sent again. */
const ACK_MS = 10_000;
/** How long a send that has its ack stays in sight, should its message not come. */
const IN_SIGHT_MS = 3000;
/** Refusals that a retry may overcome. */
const PASSING = new Set(["rate_limited", "unavailable", "internal", "unauthenticated", "token_expired"]);

/** @typedef {import("./outbox.js").Send} Send */

/** A nonce; pages that came over plain HTTP have no `randomUUID`. */
const nonceOf = () => crypto.randomUUID?.()
  ?? Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export class Sender {
  outbox = new Outbox();
  /** Rooms with a send on its way, and the timer that repeats it. @type {Map<number, {nonce: string, timer: any}>} */
  #sending = new Map();

  /** @param {import("../chatboard.js").ChatBoard} board */
  constructor(board) {
    this.board = board;
  }

  /** Reads what earlier pages, and other tabs, left. @param {number} user */
  load(user) {
    return this.outbox.load(user).catch(() => {});
  }

  /** Sends nothing any more: signed out. What is kept stays kept. */
  stop() {
    this.#giveUp();
    this.outbox.forget();
  }

  /** What is on its way got lost with the line. */
  #giveUp() {
    for (const { timer } of this.#sending.values()) clearTimeout(timer);
    this.#sending.clear();
  }

  /** @param {number} room @param {string} body @param {{reply_to?: number, upload_id?: string, upload?: any}} more @returns {Promise<Send>} once it is kept */
  async post(room, body, more) {
    const send = { nonce: nonceOf(), user: this.board.user?.id ?? 0, room, body, at: Date.now(), ...more };
    const kept = this.outbox.put(send);
    this.board.changed(room);
    this.board.tabs.ask({ type: "post", send });
    await kept;
    return send;
  }

  /** @param {string} nonce */
  async retry(nonce) {
    const { failed, ...send } = /** @type {Partial<Send>} */ (this.outbox.get(nonce) ?? {});
    if (!send.nonce) return;
    await this.outbox.put(/** @type {Send} */ (send));
    this.board.changed(/** @type {Send} */ (send).room);
    this.board.tabs.ask({ type: "post", send });
  }

  /** @param {string} nonce */
  discard(nonce) {
    const send = this.outbox.get(nonce);
    this.outbox.remove(nonce);
    if (send) this.board.changed(send.room);
  }

  /** Sends what some tab posted: we have the socket. @param {Send} send */
  take(send) {
    // Told of again, by a tab that does not know whether its last leader heard it.
    const known = this.outbox.get(send.nonce);
    if (!known || known.failed) this.outbox.note(send);
    this.#drain(send.room);
    this.board.changed(send.room);
  }

  /** There is a line, a new one perhaps: sends what waits, in every room; or has the tab that leads do so. */
  restart() {
    if (this.board.tabs.leading) {
      this.#giveUp();
      this.drain();
    } else {
      for (const send of this.outbox.list()) if (!send.failed) this.board.tabs.ask({ type: "post", send });
    }
  }

  /** Gives up what was refused in rooms that are no longer ours: it is shown nowhere. */
  prune() {
    for (const send of this.outbox.list()) if (send.failed && !this.board.rooms.has(send.room)) this.discard(send.nonce);
  }

  /** Sends what waits, in every room. */
  drain() {
    for (const room of new Set(this.outbox.list().map((send) => send.room))) this.#drain(room);
  }

  /** @param {number} room */
  #drain(room) {
    const { tabs, socket } = this.board;
    if (!tabs.leading || !socket.online || this.#sending.has(room)) return;
    const send = this.#next(room);
    if (!send) return;
    const { nonce, body, reply_to, upload_id } = send;
    socket.send({ type: "message", room, nonce, body, reply_to, upload_id });
    this.#sending.set(room, { nonce, timer: setTimeout(() => this.#again(room), ACK_MS) });
  }

  /** What a room sends next. @param {number} room @param {string} [but] the nonce of what is done */
  #next(room, but) {
    return this.outbox.list(room).find((one) => !one.failed && !one.acked && one.nonce !== but);
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

  /** The server has it. @param {{nonce: string}} frame */
  acked({ nonce }) {
    const send = this.outbox.get(nonce);
    if (!send) return;
    // It stays in sight until its frame is there; then `confirmed` takes it away. Nothing flickers.
    const isInSight = this.board.rooms.has(send.room);
    if (!send.acked) this.board.emit("sent", send);
    if (this.#sending.get(send.room)?.nonce === nonce) {
      this.outbox.put({ ...send, acked: true });
      this.#nextAfter(send.room, nonce);
    } else this.outbox.note({ ...send, acked: true });
    if (isInSight) setTimeout(() => this.confirmed(nonce), IN_SIGHT_MS);
  }

  /** @param {number} room @param {string} nonce */
  #nextAfter(room, nonce) {
    clearTimeout(this.#sending.get(room)?.timer);
    this.#sending.delete(room);
    if (this.#next(room, nonce)) queueMicrotask(() => this.#drain(room));
  }

  /** The message of this nonce is in the log. @param {string} nonce */
  confirmed(nonce) {
    const send = this.outbox.get(nonce);
    if (!send) return;
    this.outbox.remove(nonce);
    // The message may come before its ack.
    if (!send.acked) this.board.emit("sent", send);
    if (this.#sending.get(send.room)?.nonce === nonce) this.#nextAfter(send.room, nonce);
    this.board.changed(send.room);
  }

  /** The server does not take it: not now, or never. @param {any} error */
  refused(error) {
    const send = this.outbox.get(error.nonce);
    if (!send) return;
    if (PASSING.has(error.code)) return this.#again(send.room, (error.retry_after_ms ?? 1000) + Math.random() * 500);
    this.outbox.put({ ...send, failed: error.detail || error.code });
    if (this.#sending.get(send.room)?.nonce === send.nonce) this.#nextAfter(send.room, send.nonce);
    this.board.emit("failed", send);
    this.board.changed(send.room);
  }
}
