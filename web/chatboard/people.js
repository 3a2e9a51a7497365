// Everyone we heard of, and their names as people read them.

import { ApiError } from "./rest.js";

/** @typedef {import("./room.js").Person} Person */

export class People {
  /** @type {Map<number, Person>} */
  known = new Map();
  /** Whom the server was asked for. @type {Set<number>} */
  #asked = new Set();

  /** @param {import("../chatboard.js").ChatBoard} board */
  constructor(board) {
    this.board = board;
  }

  /** @param {Person} person */
  learn({ id, email, first_name, last_name }) {
    this.known.set(id, { id, email, first_name, last_name });
  }

  /** @param {number} id */
  nameOf(id) {
    const { user } = this.board;
    const person = id === user?.id ? user : this.known.get(id);
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
      this.learn(await this.board.request("GET", `/users/${id}/`));
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) return this.#asked.delete(id);
      this.learn({ id, email: "", first_name: "Deleted", last_name: "user" });
    }
    this.board.listChanged();
    for (const room of this.board.rooms.values()) if (room.timeline.loaded) this.board.changed(room.id);
  }

  /** @param {string} body */
  mentionsMe(body) {
    const { user } = this.board;
    if (!body.includes("@") || !user) return false;
    const names = [user.email, `${user.first_name}.${user.last_name}`, "room", "here"].map((name) => name.toLowerCase());
    const text = body.replace(/`[^`]*`/g, "").toLowerCase();
    return names.some((name) => {
      const at = text.indexOf(`@${name}`);
      return at >= 0 && !/\w/.test(text[at - 1] ?? " ") && !/[\w-]/.test(text[at + 1 + name.length] ?? " ");
    });
  }
}
