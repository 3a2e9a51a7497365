// What every journey stands on: two front doors on two edges, a browser, and people in it.
//
// A front door is one origin: REST goes to the api, sockets to an edge of its own as long as that
// lives, then to another. It can be shut, which is what a cut network is. Nothing here sleeps:
// every wait is for a value, with a deadline.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer, request as forward } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";

export const stage = JSON.parse(process.env.CHATBOARD_STAGE ?? "{}");
const require = createRequire(join(stage.modules ?? process.cwd(), "node_modules", "x.js"));
const { chromium } = require("playwright-core");
const axeSource = require.resolve("axe-core/axe.min.js");

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
/** How long anything may take. */
export const DEADLINE = 20_000;

const authority = (url) => {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
};

/** What never changes is kept by the doors, as what stands before a server does. */
const kept = new Map();

/** One origin before the api and the edges, its own edge first. */
export class Door {
  #server;
  #sockets = new Set();
  #isShut = false;
  /** Whether sockets are taken and never answered; and how many were not. */
  isMute = false;
  unanswered = 0;
  /** Whether nothing else is answered. */
  isSilent = false;

  constructor(edge) {
    this.edge = edge;
  }

  static async open(edge) {
    const door = new Door(edge);
    door.#server = createServer((ask, answer) => door.#pass(ask, answer));
    door.#server.on("connection", (socket) => door.#watch(socket));
    door.#server.on("upgrade", (ask, socket, head) => door.#upgrade(ask, socket, head));
    await new Promise((done) => door.#server.listen(0, "127.0.0.1", done));
    door.url = `http://localhost:${door.#server.address().port}`;
    return door;
  }

  #watch(socket) {
    if (this.#isShut) return socket.destroy();
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
  }

  #pass(ask, answer) {
    if (this.isSilent) return;
    const name = `${ask.method} ${ask.url} ${ask.headers["accept-encoding"]}`;
    const known = kept.get(name);
    if (known) return void answer.writeHead(200, known.headers).end(known.body);
    const to = forward({ ...authority(stage.api), method: ask.method, path: ask.url, headers: ask.headers }, (from) => {
      answer.writeHead(from.statusCode, from.headers);
      from.pipe(answer);
      if (!/immutable/.test(from.headers["cache-control"] ?? "")) return;
      const parts = [];
      from.on("data", (part) => parts.push(part));
      from.on("end", () => kept.set(name, { headers: from.headers, body: Buffer.concat(parts) }));
    });
    to.on("error", () => answer.destroy());
    ask.pipe(to);
  }

  #upgrade(ask, socket, head, tried = 0) {
    if (this.isMute) return void (this.unanswered += 1);
    const edge = stage.edges[(this.edge + tried) % stage.edges.length];
    const to = connect(authority(edge.url));
    to.on("connect", () => {
      const lines = [`${ask.method} ${ask.url} HTTP/1.1`];
      for (let i = 0; i < ask.rawHeaders.length; i += 2) lines.push(`${ask.rawHeaders[i]}: ${ask.rawHeaders[i + 1]}`);
      to.write(`${lines.join("\r\n")}\r\n\r\n`);
      to.write(head);
      to.pipe(socket).pipe(to);
    });
    let isOpen = false;
    to.on("connect", () => { isOpen = true; });
    to.on("error", () => {
      if (!isOpen && tried + 1 < stage.edges.length) this.#upgrade(ask, socket, head, tried + 1);
      else socket.destroy();
    });
    to.on("close", () => { if (isOpen) socket.destroy(); });
    socket.on("close", () => to.destroy());
  }

  /** Cuts every connection, and lets none in until it is opened again. */
  shut() {
    this.#isShut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  unshut() {
    this.#isShut = false;
  }

  /** Cuts every connection once. */
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  close() {
    this.shut();
    this.#server.close();
  }
}

/** Kills the process of an edge. */
export const killEdge = (number) => process.kill(stage.edges[number].pid, "SIGKILL");

/** Kills a process, which is started again; returns when it answers. */
export async function crash(process) {
  console.log(`@crash ${process}`);
  await eventually("it is gone", () => fetch(`${stage.api}/health/live`).then(() => false, () => true), 3000).catch(() => {});
  await eventually("it is there again", () => fetch(`${stage.api}/health/ready`).then((answer) => answer.ok));
}

/** REST as a person, beside the page; a server that asks for a moment is given it. */
export async function rest(person, method, path, body) {
  if (method === "POST" && body?.body) body.nonce ??= crypto.randomUUID();
  const end = performance.now() + DEADLINE;
  const ask = () => fetch(path.startsWith("http") ? path : `${stage.api}/api/v1${path}`, {
    method,
    headers: { Authorization: `Bearer ${person.token}`, ...(body ? { "Content-Type": "application/json" } : {}) },
    body: body ? JSON.stringify(body) : undefined,
  });
  let answer = await ask();
  while (answer.status === 503 && performance.now() < end) answer = await ask();
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

/** Runs `work` on `count` numbers, so many at once. */
export async function many(count, atOnce, work) {
  let next = 0;
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (next < count) await work(next++);
  }));
}

/** What the server has of a room: every message that is not deleted, oldest first. */
export async function history(person, room) {
  const found = [];
  for (let url = `/messages/rooms/${room}/?limit=200`; url;) {
    const page = await rest(person, "GET", url);
    found.push(...page.results);
    url = page.next;
  }
  return found.filter((message) => !message.is_deleted).reverse();
}

/** Waits for a value that is neither undefined, null nor false. */
export async function eventually(what, look, deadline = DEADLINE) {
  const end = performance.now() + deadline;
  let last;
  for (;;) {
    try {
      const value = await look();
      if (value !== undefined && value !== null && value !== false) return value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`${what}: not within ${deadline} ms${last ? ` (${last})` : ""}`);
    await new Promise((done) => setTimeout(done, 25));
  }
}

export function same(found, expected, what) {
  const [one, other] = [JSON.stringify(found), JSON.stringify(expected)];
  if (one !== other) throw new Error(`${what}:\n  found    ${one}\n  expected ${other}`);
}

export function check(holds, what) {
  if (!holds) throw new Error(what);
}

/** A browser with pages of people; everything that a page complains of is kept. */
export class Browser {
  /** What went wrong in any page: errors, refusals of the policy, dialogs. */
  complaints = [];

  static async start() {
    const browser = new Browser();
    browser.chromium = await chromium.launch({ executablePath: stage.browser, headless: true, args: FLAGS });
    browser.doors = [await Door.open(0), await Door.open(1)];
    return browser;
  }

  /** A page of somebody's own, on a front door; `options` are those of a browser context. */
  async page(door = 0, options = {}) {
    const context = await this.chromium.newContext({ reducedMotion: "reduce", locale: "en-GB", ...options });
    context.setDefaultTimeout(DEADLINE);
    await context.addInitScript(() => {
      window.violations = [];
      document.addEventListener("securitypolicyviolation", (event) =>
        window.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
    });
    const page = await context.newPage();
    page.door = this.doors[door];
    page.on("pageerror", (error) => this.complaints.push(`error: ${error.stack ?? error}`));
    page.on("dialog", (dialog) => {
      this.complaints.push(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    page.on("console", (message) => {
      if (/Content Security Policy|Trusted/i.test(message.text())) this.complaints.push(`policy: ${message.text()}`);
    });
    return page;
  }

  async close() {
    await this.chromium.close();
    for (const door of this.doors) door.close();
  }
}

/** What only colours decide: all else that holds in the light holds in the dark. */
export const COLOURS = { runOnly: { type: "rule", values: ["color-contrast", "link-in-text-block"] } };
/** What colours do not decide: on a phone they are the same. */
export const SHAPES = { rules: { "color-contrast": { enabled: false } } };

/** Violations that axe-core finds on what is shown. */
export async function violations(page, options) {
  // Evaluated by the debugger: the page's policy lets no script be added.
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(readFileSync(axeSource, "utf8"));
  const found = await page.evaluate((more) => globalThis.axe.run(document, { resultTypes: ["violations"], ...more }), options ?? {});
  return found.violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 200)).join(" | ")}`);
}

/** axe-core objects to nothing; `options` are its own. */
export async function isAccessible(page, what, options) {
  const found = await violations(page, options);
  check(found.length === 0, `${what}: ${found.length} violations\n  ${found.join("\n  ")}`);
}

/** Nothing is wider than the window. */
export async function isFitting(page, what) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  check(wide <= 0, `${what}: ${wide} pixels too wide`);
}

export const DESKTOP = { colorScheme: "light", viewport: { width: 1200, height: 760 } };
export const PHONE = { colorScheme: "light", viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true };
/** A window of 1280 pixels at 400 %. */
const LARGE = { width: 320, height: 480 };

/** Looks at what a desktop shows: in the light, in the dark, and enlarged. */
export async function looksGood(page, what) {
  await isAccessible(page, `${what}, light`);
  await page.emulateMedia({ colorScheme: "dark" });
  await isAccessible(page, `${what}, dark`, COLOURS);
  await page.emulateMedia({ colorScheme: "light" });
  await isFitting(page, what);
  await page.setViewportSize(LARGE);
  await isFitting(page, `${what}, enlarged`);
  await page.setViewportSize(DESKTOP.viewport);
}

/** Looks at what a phone shows. */
export async function looksGoodOnPhone(page, what) {
  await isAccessible(page, `${what}, on a phone`, SHAPES);
  await isFitting(page, `${what}, on a phone`);
}

/** Runs a journey: its steps are told as they are taken, and nothing may have been complained of. */
export async function journey(name, walk) {
  const browser = await Browser.start();
  const began = performance.now();
  const step = (text) => console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${name}: ${text}`);
  try {
    await walk(browser, step);
    same(browser.complaints, [], "complaints");
    step("done");
  } catch (error) {
    console.error(error);
    console.error(browser.complaints);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
  process.exit();
}
