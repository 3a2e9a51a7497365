// Waiting before trying again: exponential, with full jitter, so that a thousand clients that lost
// one server do not return in the same moment.

const FIRST_MS = 500;
const LONGEST_MS = 30_000;

/** Counts failures and says how long to wait after each. */
export class Backoff {
  #failures = 0;

  /** Forgets the failures: something worked. */
  reset() {
    this.#failures = 0;
  }

  /** @returns {number} milliseconds to wait after one more failure */
  next() {
    const most = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#failures++);
    return most / 4 + Math.random() * most * 0.75;
  }
}

/** @param {number} ms @returns {Promise<void>} */
export const pause = (ms) => new Promise((done) => setTimeout(done, ms));
