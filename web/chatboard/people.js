// Everyone we heard of, and their names as people read them.

import { ApiError } from "./rest.js";
import { isBlank } from "./text.js";

/** @typedef {import("./room.js").Person} Person */

/** Whom the server did not tell of is asked for again after this, by whoever draws them then. */
const ASK_AGAIN_MS = 5000;

export class People {
  /** @type {Map<number, Person>} */
  known = new Map();
  /** Rises with every person, or name, that is new. */
  version = 0;
  /** Who has which name or address, of which `version`. @type {{version: number, user: any, ids: Map<string, number[]>}} */
  #names = { version: -1, user: null, ids: new Map() };
  /** Whom the server was asked for. @type {Set<number>} */
  #asked = new Set();

  /** Names and addresses that the server was asked for. @type {Set<string>} */
  #sought = new Set();

  /** What reads mentions, once it is loaded. @type {typeof import("./mentions.js")|undefined} */
  #mentions;
  /** Whether a text came before that, of which it is not known whether it mentions us. */
  #isUndecided = false;

  /** @param {import("../chatboard.js").ChatBoard} board */
  constructor(board) {
    this.board = board;
  }

  /** Signed out: nobody is known. */
  forget() {
    this.known.clear();
    this.#asked.clear();
    this.#sought.clear();
  }

  /** @param {Person} person */
  learn({ id, email, first_name, last_name }) {
    const was = this.known.get(id);
    if (was?.email === email && was.first_name === first_name && was.last_name === last_name) return;
    this.known.set(id, { id, email, first_name, last_name });
    this.version++;
  }

  /** @param {number} id */
  nameOf(id) {
    const { user } = this.board;
    const person = id === user?.id ? user : this.known.get(id);
    if (!person) {
      this.#ask(id);
      return "…";
    }
    const name = `${person.first_name ?? ""} ${person.last_name ?? ""}`.trim();
    // Older versions took names of invisible characters.
    return isBlank(name) ? person.email.split("@")[0] : name;
  }

  /** @param {number} id */
  async #ask(id) {
    if (this.#asked.has(id)) return;
    this.#asked.add(id);
    try {
      this.learn(await this.board.request("GET", `/users/${id}/`));
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) return void setTimeout(() => this.#asked.delete(id), ASK_AGAIN_MS);
      this.learn({ id, email: "", first_name: "Deleted", last_name: "user" });
    }
    this.#redraw();
  }

  #redraw() {
    this.board.listChanged();
    for (const room of this.board.rooms.values()) if (room.timeline.loaded) this.board.changed(room.id);
  }

  /** The mentions of a text without code; none until what reads them is loaded: then texts are drawn again. @param {string} text */
  mentionsIn(text) {
    if (!this.#mentions) this.loadMentions();
    return this.#mentions?.mentionsIn(text.normalize("NFC")) ?? [];
  }

  async loadMentions() {
    if (this.#mentions) return;
    const loaded = await import("./mentions.js").catch(() => undefined);
    if (!loaded || this.#mentions) return;
    this.#mentions = loaded;
    this.version++;
    // The server knows whether we were mentioned before that.
    if (this.#isUndecided) this.board.countsSoon();
    this.#redraw();
  }

  /** Finds out whom a mention names that nobody is known for. @param {import("./mentions.js").Reading[]} readings */
  seek(readings) {
    this.#mentions?.seek(this.board, readings, this.#sought).then((isFound) => isFound && this.#redraw(), () => {});
  }

  /** Whom a reading of a mention names, as far as we know people. @param {string} key @returns {number[]} */
  named(key) {
    const { user } = this.board;
    if (!this.#mentions) return [];
    const { emailKey, nameKey } = this.#mentions;
    if (this.#names.version !== this.version || this.#names.user !== user) {
      this.#names = { version: this.version, user, ids: new Map() };
      for (const { id, email, first_name, last_name } of [...this.known.values(), ...(user ? [user] : [])]) {
        for (const one of [emailKey(email), nameKey(first_name, last_name)]) {
          if (one) this.#names.ids.set(one, [...new Set(this.#names.ids.get(one)).add(id)]);
        }
      }
    }
    return this.#names.ids.get(key) ?? [];
  }

  /** @param {string} body @param {string[]} words which mention everyone */
  mentionsMe(body, words) {
    const { user } = this.board;
    if (!body.includes("@") || !user) return false;
    this.#isUndecided ||= !this.#mentions;
    return this.mentionsIn(this.#mentions?.withoutCode(body) ?? body).some(({ everyone, readings }) => (everyone ? words.includes(everyone)
      : readings.map(({ key }) => this.named(key)).find((ids) => ids.length)?.includes(user.id)));
  }
}
