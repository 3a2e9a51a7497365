// One socket for all tabs of a login.
//
// The tab that holds a Web Lock is the leader: it has the socket and repeats every frame on a
// BroadcastChannel. The others ask the leader to subscribe and to send. When the leader's tab
// closes, or crashes, the browser hands the lock to another tab, which opens a socket and resumes.
// What it reads after a break it tells them too; who comes later says hello, and is told the rest.
// What is lost in between each tab notices by itself: a gap in a room's `seq` is filled over REST.

/** How often a leader looks whether it is followed, while it hears anything. */
const LOOK_EVERY_MS = 5000;

/**
 * @typedef {{onLead: () => void, onFrame: (frame: any) => void, onAsk: (ask: any) => void,
 *   onLoaded: (loaded: any) => void, onStatus: (status: "online"|"connecting"|"offline") => void}} Owner
 */

export class Tabs {
  /** @type {BroadcastChannel|null} */
  #channel = null;
  #leading = false;
  /** Whether another tab follows us; believed until we have looked. */
  #isFollowed = true;
  #lookedAt = 0;
  #name = "";
  /** Gives the lock back. @type {(() => void)|null} */
  #release = null;
  /** @type {AbortController|null} */
  #waiting = null;

  /** @param {Owner} owner */
  constructor(owner) {
    this.owner = owner;
  }

  get leading() {
    return this.#leading;
  }

  /** @param {number} user tabs of another user share nothing with us */
  join(user) {
    this.leave();
    const name = this.#name = `chatboard-${user}`;
    if (!navigator.locks || !globalThis.BroadcastChannel) return this.#lead();
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => this.#heard(data);
    this.#waiting = new AbortController();
    const hold = () => new Promise((done) => {
      this.#release = () => done(undefined);
      this.#lead();
    });
    navigator.locks.request(name, { signal: this.#waiting.signal }, hold).catch(() => {});
    this.ask({ type: "hello" });
  }

  leave() {
    this.#waiting?.abort();
    this.#release?.();
    this.#channel?.close();
    this.#channel = this.#release = this.#waiting = null;
    this.#leading = false;
  }

  /** Has the leader do something: ourselves, or another tab. @param {any} ask */
  ask(ask) {
    if (this.#leading) this.owner.onAsk(ask);
    else this.#channel?.postMessage({ ask });
  }

  /** The leader tells all others what it heard, if there are any. @param {any} frame */
  tell(frame) {
    if (!this.#channel) return;
    if (this.#lookedAt + LOOK_EVERY_MS < Date.now()) this.#look();
    if (this.#isFollowed) this.#channel?.postMessage({ frame });
  }

  /** Whether other tabs are there: they wait for our lock. */
  async #look() {
    this.#lookedAt = Date.now();
    const { pending = [] } = await navigator.locks.query();
    this.#isFollowed = pending.some(({ name }) => name === this.#name);
  }

  /** What the leader has read of the server, the others need not read. @param {any} loaded */
  tellLoaded(loaded) {
    if (this.#leading) this.#channel?.postMessage({ loaded });
  }

  /** @param {string} status */
  tellStatus(status) {
    this.#channel?.postMessage({ status });
  }

  #lead() {
    this.#leading = true;
    this.owner.onLead();
  }

  /** @param {any} data */
  #heard({ ask, frame, loaded, status }) {
    if (ask && this.#leading) {
      this.#isFollowed = true;
      this.#lookedAt = Date.now();
      this.owner.onAsk(ask);
    }
    if (frame) this.owner.onFrame(frame);
    if (loaded) this.owner.onLoaded(loaded);
    if (status && !this.#leading) this.owner.onStatus(status);
  }
}
