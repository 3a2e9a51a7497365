// What was sent and is not confirmed yet, kept in IndexedDB: it survives a reload, a crash and a
// week offline. Each send has a nonce, so sending it again can never make it twice.

/**
 * @typedef {{nonce: string, user: number, room: number, body: string, reply_to?: number, upload_id?: string,
 *   upload?: any, at: number, failed?: string, acked?: boolean}} Send
 */

const STORE = "sends";

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const done = (request) => new Promise((yes, no) => {
  request.onsuccess = () => yes(request.result);
  request.onerror = () => no(request.error);
});

export class Outbox {
  /** All that is kept, in the order of sending. @type {Map<string, Send>} */
  #sends = new Map();
  /** @type {Promise<IDBDatabase|null>} */
  #db;

  constructor() {
    this.#db = this.#open();
  }

  /** @returns {Promise<IDBDatabase|null>} null where the browser has none (private windows): memory alone then */
  async #open() {
    try {
      const request = indexedDB.open("chatboard", 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "nonce" });
      return await done(request);
    } catch {
      return null;
    }
  }

  /** Reads what earlier pages, and other tabs, left. @param {number} user */
  async load(user) {
    const db = await this.#db;
    const kept = db ? await done(db.transaction(STORE).objectStore(STORE).getAll()) : [...this.#sends.values()];
    const all = new Map(this.#sends);
    // An ack that came just before the page went away is asked for again: the nonce makes that harmless.
    for (const send of kept) if (!all.has(send.nonce)) all.set(send.nonce, { ...send, acked: false });
    this.#sends = new Map([...all.values()].filter((send) => send.user === user).sort((a, b) => a.at - b.at)
      .map((send) => [send.nonce, send]));
  }

  /** Signed out: nothing is known; what is kept stays kept. */
  forget() {
    this.#sends = new Map();
  }

  /** Deletes what is kept of a person. @param {number} user */
  async clear(user) {
    const db = await this.#db;
    if (!db) return;
    const store = db.transaction(STORE, "readwrite").objectStore(STORE);
    const kept = /** @type {Send[]} */ (await done(store.getAll()));
    await Promise.all(kept.filter((send) => send.user === user).map((send) => done(store.delete(send.nonce))));
  }

  /** @param {number} [room] @returns {Send[]} */
  list(room) {
    const all = [...this.#sends.values()];
    return room === undefined ? all : all.filter((send) => send.room === room);
  }

  /** @param {string} nonce */
  get(nonce) {
    return this.#sends.get(nonce);
  }

  /** @param {Send} send */
  async put(send) {
    this.#sends.set(send.nonce, send);
    const db = await this.#db;
    if (db) await done(db.transaction(STORE, "readwrite").objectStore(STORE).put(send)).catch(() => {});
  }

  /** Takes note of a send by another tab. @param {Send} send */
  note(send) {
    this.#sends.set(send.nonce, send);
  }

  /** @param {string} nonce @returns {boolean} whether it was there */
  remove(nonce) {
    const had = this.#sends.delete(nonce);
    if (had) this.#db.then((db) => db?.transaction(STORE, "readwrite").objectStore(STORE).delete(nonce));
    return had;
  }
}
