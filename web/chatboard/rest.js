// REST calls and the login they go by.
//
// The two tokens are kept in localStorage, so that all tabs share one login. Renewal is done by one
// tab at a time (a Web Lock); the others find the fresh tokens in storage. A renewal whose answer
// was lost is safe to repeat: the server hands out the same successor again.

import { pause } from "./backoff.js";
import { sentence } from "./text.js";

const KEY = "chatboard.login";
/** Renew this long before the access token ends, or in the second half of its life. */
const EARLY_MS = 90_000;
const TIMEOUT_MS = 20_000;

/**
 * @typedef {{id: number, email: string, first_name: string, last_name: string, avatar_url: string|null,
 *   email_verified?: boolean, email_notifications?: string, created_at?: string, last_login?: string|null}} User
 * @typedef {{access: string, refresh: string, user: User|null, at?: number}} Login `at`: when the tokens came, by our clock
 */

/** What the server refused, or `code` `"offline"` (status 0) when it could not be reached. */
export class ApiError extends Error {
  /** @param {number} status @param {any} problem the RFC 9457 body */
  constructor(status, problem) {
    super(sentence(problem?.detail || problem?.title || `The server answered ${status}`));
    this.name = "ApiError";
    this.status = status;
    /** A stable word: `validation_failed`, `forbidden`, … */
    this.code = /** @type {string} */ (problem?.code ?? "unknown");
    this.detail = this.message;
    /** For each field at fault, what is wrong with it. @type {Record<string, string[]>} */
    this.errors = problem?.errors ?? {};
    this.requestId = /** @type {string|undefined} */ (problem?.request_id);
    /** Seconds to wait, where the server said so. @type {number|undefined} */
    this.retryAfter = undefined;
  }
}

/**
 * When to have a new access token, by our clock: it may be wrong, so that only how long the token
 * lives is taken from the server's.
 * @param {Login} login
 */
function renewAt({ access, at }) {
  try {
    const { iat, exp } = JSON.parse(atob(access.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    const life = (exp - iat) * 1000;
    return (at ?? iat * 1000) + life - Math.min(EARLY_MS, life / 2);
  } catch {
    return 0;
  }
}

/** One origin's REST API. Tells its owner through `onLogin(user | null)` when the login begins or ends. */
export class Rest {
  /** @type {Login|null} */
  #login = null;
  /** @type {Promise<boolean>|null} */
  #renewing = null;
  /** How the last login ended, where nobody signed out here: on another device, or in another tab. @type {""|"elsewhere"|"tab"} */
  ending = "";

  /** @param {string} origin @param {(user: User|null) => void} onLogin */
  constructor(origin, onLogin) {
    this.origin = origin;
    this.onLogin = onLogin;
    this.#login = this.#stored();
    globalThis.addEventListener?.("storage", (event) => event.key === KEY && this.#fromOtherTab());
  }

  get user() {
    return this.#login?.user ?? null;
  }

  get signedIn() {
    return this.#login !== null;
  }

  /** @returns {Login|null} */
  #stored() {
    try {
      return JSON.parse(localStorage.getItem(KEY) ?? "null");
    } catch {
      return null;
    }
  }

  #fromOtherTab() {
    const before = this.user?.id;
    this.#login = this.#stored();
    if (before && !this.#login) this.ending = "tab";
    if (this.user?.id !== before) this.onLogin(this.user);
  }

  /** @param {Login|null} login */
  #keep(login) {
    this.#login = login;
    try {
      if (login) localStorage.setItem(KEY, JSON.stringify(login));
      else localStorage.removeItem(KEY);
    } catch {
      // Storage is full or forbidden: the login lives as long as the page.
    }
  }

  /** With a device token, kept after signing out, other people's attempts never block this device. @param {string} email @param {string} [fresh] */
  deviceToken(email, fresh) {
    const key = `chatboard.device.${email.trim().toLowerCase()}`;
    try {
      if (fresh) localStorage.setItem(key, fresh);
      return localStorage.getItem(key) ?? undefined;
    } catch {
      return undefined;
    }
  }

  /** @param {User} user */
  setUser(user) {
    if (this.#login) this.#keep({ ...this.#login, user });
    this.onLogin(user);
  }

  /** @param {{access: string, refresh: string}} tokens */
  async begin(tokens) {
    this.ending = "";
    this.#keep({ ...tokens, at: Date.now(), user: null });
    this.setUser(await this.request("GET", "/auth/me/"));
  }

  /** Forgets the login; tells the server when it can. */
  async end() {
    const refresh = this.#login?.refresh;
    this.#keep(null);
    this.onLogin(null);
    if (refresh) await this.#fetch("POST", "/auth/logout/", { refresh }, null).catch(() => {});
  }

  /** An access token that is good for a while yet; null when there is no login. */
  async token() {
    if (!this.#login) return null;
    if (renewAt(this.#login) < Date.now()) await this.renew(this.#login.access);
    return this.#login?.access ?? null;
  }

  /**
   * Replaces an access token that is no good any more.
   * @param {string|undefined} bad the token that failed
   * @returns {Promise<boolean>} whether there is a login still
   */
  renew(bad = this.#login?.access) {
    const run = () => this.#renew(bad);
    /** @returns {Promise<boolean>} */
    const inTurn = async () => (navigator.locks ? navigator.locks.request("chatboard-renew", run) : run());
    const renewing = this.#renewing ?? inTurn().finally(() => (this.#renewing = null));
    this.#renewing = renewing;
    return renewing;
  }

  /** @param {string|undefined} bad */
  async #renew(bad) {
    const stored = this.#stored();
    if (stored && stored.access !== bad) {
      this.#login = stored; // another tab was first
      return true;
    }
    if (!this.#login) return false;
    const { refresh } = this.#login;
    const answer = await this.#fetch("POST", "/auth/token/refresh/", { refresh }, null);
    // Signed out, or in as another, meanwhile.
    if (this.#login?.refresh !== refresh) return this.#login !== null;
    if (answer.ok) {
      this.#keep({ ...this.#login, ...(await answer.json()), at: Date.now() });
      return true;
    }
    if (answer.status !== 401) throw await this.#problem(answer);
    this.ending = "elsewhere";
    this.#keep(null);
    this.onLogin(null);
    return false;
  }

  /**
   * Calls the API. Renews the token once on 401; waits once, briefly, where the server asks for it.
   * @param {string} method
   * @param {string} path below `/api/v1`, such as `/rooms/1/`; or an absolute address (a page's `next`)
   * @param {any} [body] is sent as JSON
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<any>} the JSON answered; null where there is none
   */
  async request(method, path, body, options = {}) {
    let token = await this.token();
    let answer = await this.#fetch(method, path, body, token, options.signal);
    if (answer.status === 401 && token && (await this.renew(token))) {
      token = await this.token();
      answer = await this.#fetch(method, path, body, token, options.signal);
    }
    const wait = Number(answer.headers.get("retry-after"));
    if (answer.status === 429 && method === "GET" && wait > 0 && wait <= 10) {
      await pause(wait * 1000);
      answer = await this.#fetch(method, path, body, token, options.signal);
    }
    if (!answer.ok) throw await this.#problem(answer);
    const text = await answer.text();
    return text ? JSON.parse(text) : null;
  }

  /** A page's `next` is asked for where we are: the server may be known here by another name, and the token is for it alone. @param {string} path */
  #address(path) {
    if (!path.startsWith("http")) return `${this.origin}/api/v1${path}`;
    const { pathname, search } = new URL(path);
    return this.origin + pathname + search;
  }

  /**
   * @param {string} method @param {string} path @param {any} body @param {string|null} token
   * @param {AbortSignal} [signal]
   */
  async #fetch(method, path, body, token, signal) {
    /** @type {Record<string, string>} */
    const headers = {};
    if (body !== undefined && body !== null) headers["Content-Type"] = "application/json";
    if (token) headers.Authorization = `Bearer ${token}`;
    const limit = AbortSignal.timeout(TIMEOUT_MS);
    try {
      return await fetch(this.#address(path), {
        method,
        headers,
        body: headers["Content-Type"] ? JSON.stringify(body) : undefined,
        signal: signal ? AbortSignal.any([signal, limit]) : limit,
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(0, { code: "offline", detail: "The server can't be reached." });
    }
  }

  /** @param {Response} answer */
  async #problem(answer) {
    const problem = await answer.json().catch(() => null);
    const error = new ApiError(answer.status, problem);
    error.retryAfter = Number(answer.headers.get("retry-after")) || undefined;
    return error;
  }
}
