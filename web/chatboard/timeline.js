// A window on a room's messages: contiguous, oldest first, bounded.
//
// The window may lie anywhere in the history. While it touches the end (`atEnd`), new messages are
// appended; else they are only counted. What falls out on one side is loaded again when the reader
// comes back. Messages are never changed in place: an edit puts a new object in, so that who draws
// them can compare identities.

/**
 * @typedef {{id: number, seq: number, room: number, org: number, sender: number, body: string, file_url: string|null,
 *   upload_id: string|null, upload: any, reply_to: number|null, reactions: {emoji: string, user_ids: number[]}[],
 *   is_deleted: boolean, created_at: string, edited_at: string|null, nonce: string|null}} Message
 */

/** Messages that a window opens with: more than a screen. */
const PAGE = 50;
/** Messages that are loaded ahead of the reader. */
const MORE = 100;
/** The most that a window holds while its reader is at the end, */
const LATEST = 300;
/** What is kept of a room that nobody looks at is asked for again after this, besides what events tell of it. */
const STALE_MS = 5 * 60_000;
/** and elsewhere. */
export const WINDOW = 600;

export class Timeline {
  /** @type {Message[]} */
  messages = [];
  /** Whether the first message of the room is in the window. */
  atStart = false;
  /** Whether the last one is. */
  atEnd = false;
  loaded = false;
  /** Whether nobody looks at it now: see `settle`. */
  isKept = false;
  /** When it was loaded, by `performance.now()`. */
  #loadedAt = 0;
  /** New messages that came while the window was elsewhere. */
  missed = 0;
  /** Whether the reader looks at the end; if not, the end is what is cut. */
  following = true;
  /**
   * Messages beside the window that are shown in it as answered: kept as true as those in it. `null`
   * where there is none any more, undefined while it is asked for. @type {Map<number, Message|null|undefined>}
   */
  quoted = new Map();
  /** Frames that come while a page is loaded: the page may be older than they are. @type {any[]|null} */
  #held = null;
  #loads = 0;

  /** @param {import("./rest.js").Rest} rest @param {number} room */
  constructor(rest, room) {
    this.rest = rest;
    this.room = room;
  }

  /** Whether a page is on its way. */
  get loading() {
    return this.#held !== null;
  }

  get first() {
    return this.messages[0];
  }

  get last() {
    return this.messages.at(-1);
  }

  /** @param {number} id */
  get(id) {
    const at = this.place(id);
    return this.messages[at]?.id === id ? this.messages[at] : undefined;
  }

  /** Loads the newest page in place of what is there, and of what is being loaded. */
  loadLatest() {
    this.#giveUp();
    return this.#load(async () => {
      const page = await this.#page("");
      this.#replace(page.results.reverse(), page.next === null, true);
    });
  }

  /** Loads around a message, in place of what is there: a permalink, a search result, the first unread. @param {number} id */
  loadAround(id) {
    this.#giveUp();
    return this.#load(async () => {
      const [before, after] = await Promise.all([this.#page(`&before=${id + 1}`), this.#page(`&after=${id}`)]);
      this.#replace([...before.results.reverse(), ...after.results.reverse()], before.next === null, after.next === null);
    });
  }

  /** @returns {Promise<boolean>} whether anything came */
  async loadOlder() {
    if (this.atStart || !this.first) return false;
    return this.#load(async () => {
      const page = await this.#page(`&before=${this.first.id}`, MORE);
      this.messages = [...page.results.reverse(), ...this.messages];
      this.atStart = page.next === null;
      if (this.messages.length > WINDOW) {
        this.messages.length = WINDOW;
        this.atEnd = false;
      }
    });
  }

  /** @returns {Promise<boolean>} whether anything came */
  async loadNewer() {
    if (this.atEnd || !this.last) return false;
    return this.#load(async () => {
      const page = await this.#page(`&after=${this.last?.id}`, MORE);
      this.messages = [...this.messages, ...page.results.reverse()];
      this.atEnd = page.next === null;
      if (this.atEnd) this.missed = 0;
      this.#cutFront(WINDOW);
    });
  }

  /** Forgets everything: the server said `resync`, or nobody looks any more. */
  clear() {
    this.#giveUp();
    this.messages = [];
    this.quoted.clear();
    this.atStart = this.atEnd = this.loaded = this.isKept = false;
    this.missed = 0;
  }

  /**
   * Nobody looks any more: keeps the newest messages, which events go on changing, for when somebody
   * comes back. Returns whether there is anything to keep.
   */
  settle() {
    if (!this.loaded || !this.atEnd || this.loading) return false;
    this.isKept = this.following = true;
    this.missed = 0;
    this.#cutFront(LATEST);
    return true;
  }

  /** Whether the newest messages are there, from a message on. @param {number} [id] */
  reachesFrom(id = Infinity) {
    return this.loaded && this.atEnd && (this.atStart || (this.first?.id ?? Infinity) <= id);
  }

  get isStale() {
    return performance.now() - this.#loadedAt > STALE_MS;
  }

  /** What is being loaded comes to nothing. */
  #giveUp() {
    this.#loads++;
    this.#held = null;
  }

  /** Applies a `message`, `message.updated` or `message.deleted` frame, in the order of `seq`. @param {any} frame */
  apply(frame) {
    this.#held?.push(frame);
    if (!this.loaded) return;
    const { type, message_seq, ...message } = frame;
    if (type !== "message") message.seq = message_seq;
    if (this.quoted.has(message.id)) this.quoted.set(message.id, message);
    const at = this.place(message.id);
    if (this.messages[at]?.id === message.id) {
      this.messages = this.messages.with(at, message);
    } else if (type === "message" && at === this.messages.length) {
      this.#append(message);
    }
  }

  /** @param {Message} message */
  #append(message) {
    if (!this.atEnd) {
      this.missed++;
      return;
    }
    if (!this.following && this.messages.length >= WINDOW * 2) {
      // The reader is far up: stop growing, they load on when they come down.
      this.atEnd = false;
      this.missed = 1;
      return;
    }
    this.messages.push(message);
    this.messages = this.messages.slice();
    if (this.following) this.#cutFront(LATEST);
  }

  /** @param {number} most */
  #cutFront(most) {
    if (this.messages.length <= most) return;
    this.messages = this.messages.slice(this.messages.length - most);
    this.atStart = false;
  }

  /** Where a message with this id is, or would be. @param {number} id */
  place(id) {
    let low = 0;
    let high = this.messages.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.messages[middle].id < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @param {Message[]} messages @param {boolean} atStart @param {boolean} atEnd */
  #replace(messages, atStart, atEnd) {
    this.messages = messages;
    this.atStart = atStart;
    this.atEnd = atEnd;
    this.loaded = true;
    this.#loadedAt = performance.now();
    this.missed = 0;
  }

  /** @param {string} bounds @param {number} [limit] @returns {Promise<{results: Message[], next: string|null}>} */
  async #page(bounds, limit = PAGE) {
    const mine = this.#loads;
    const page = await this.rest.request("GET", `/messages/rooms/${this.room}/?limit=${limit}${bounds}`);
    if (mine !== this.#loads) throw new Error("the window was cleared meanwhile");
    return page;
  }

  /** Runs one load at a time. @param {() => Promise<void>} work @returns {Promise<boolean>} */
  async #load(work) {
    if (this.#held) return false;
    const mine = ++this.#loads;
    const before = this.messages;
    this.#held = [];
    try {
      await work();
    } catch (error) {
      if (mine === this.#loads) throw error;
    } finally {
      if (mine === this.#loads) {
        const held = this.#held ?? [];
        this.#held = null;
        for (const frame of held) this.apply(frame);
      }
    }
    return this.messages !== before;
  }
}
