// How fast the page is, by the browser's own clocks: the first screen, a room of ten thousand
// messages, three hundred messages a second arriving. The bounds leave room for a busy machine.

import { check, eventually, journey, many, rest, stage } from "./stage.mjs";
import { openRoom, sees, shown, signIn, timeline } from "./ui.mjs";

/** Bytes of code that the first screen may take, compressed. */
const CODE_MAX = 100 * 1024;
/** Messages in the document at once. */
const SHOWN_MAX = 400;
const HEAP_MAX = 150 * 1024 * 1024;
const ARRIVING = 900;
const PER_SECOND = 300;
/** Above twice the rate from which rows are drawn in batches, only those are made that somebody may see. */
const [BUSY, ROWS_MAX] = [60, 45];

/** Long tasks and the longest pause between two frames, from here on. */
const watch = (page) => page.evaluate(() => {
  window.watched = { long: 0, longest: 0, pause: 0, frames: 0, draws: 0, rows: Infinity, since: performance.now() };
  const log = document.querySelector("[role=log]");
  new MutationObserver((changes) => {
    window.watched.draws += changes.some(({ addedNodes }) => [...addedNodes].some((one) => one.localName === "cb-message"));
    window.watched.rows = Math.min(window.watched.rows, log.querySelectorAll("[data-message]").length);
  }).observe(log, { childList: true, subtree: true });
  let last = performance.now();
  const frame = (now) => {
    window.watched.pause = Math.max(window.watched.pause, now - last);
    window.watched.frames += 1;
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => {
    window.watched.long += 1;
    window.watched.longest = Math.max(window.watched.longest, duration);
  })).observe({ type: "longtask" });
});

const watched = (page) => page.evaluate(() => {
  const { long, longest, pause, frames, draws, rows, since } = window.watched;
  const seconds = (performance.now() - since) / 1000;
  return { long, longest: Math.round(longest), pause: Math.round(pause), perSecond: Math.round(frames / seconds), draws, rows, seconds };
});

await journey("figures", async (browser, step) => {
  const { alice, bob, room } = stage;
  const page = await browser.page(0);
  await page.addInitScript(() => {
    window.shift = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((one) => { if (!one.hadRecentInput) window.shift += one.value; }))
      .observe({ type: "layout-shift", buffered: true });
  });
  // What comes later (dialogs, other screens, what is kept for being offline) makes nobody wait.
  let isDrawn = false;
  const code = new Map();
  page.on("requestfinished", async (request) => {
    const path = new URL(request.url()).pathname;
    if (!isDrawn && /\.(js|css)$/.test(path) && !code.has(path)) code.set(path, (await request.sizes()).responseBodySize);
  });
  await signIn(page, alice);
  await openRoom(page, room);
  await sees(page, "Message");
  isDrawn = true;
  await page.waitForLoadState("networkidle");
  const bytes = [...code.values()].reduce((sum, one) => sum + one, 0);
  const [paint, shift] = await page.evaluate(() =>
    [performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0, window.shift]);
  step(`${code.size} files, ${(bytes / 1024).toFixed(1)} KiB of code as it was sent; first paint after ${Math.round(paint)} ms; layout shift ${shift.toFixed(3)}`);
  check(bytes > 0 && bytes <= CODE_MAX, `${bytes} bytes of code`);
  check(shift < 0.1, `the layout shifts by ${shift}`);

  await eventually("messages are shown", async () => (await shown(page)).length > 10);
  await watch(page);
  const first = (await shown(page))[0];
  await timeline(page).hover();
  for (let turn = 0; turn < 60; turn += 1) {
    await page.mouse.wheel(0, -900);
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  }
  await eventually("older messages are shown", async () => (await shown(page))[0] < first);
  const scrolled = await watched(page);
  const [count, heap] = [(await shown(page)).length, await page.evaluate(() => performance.memory.usedJSHeapSize)];
  step(`scrolling in a long room: ${scrolled.perSecond} frames/s, ${scrolled.long} long tasks (longest ${scrolled.longest} ms), ${count} messages in the document, heap ${(heap / 1048576).toFixed(0)} MiB`);
  check(count <= SHOWN_MAX, `${count} messages in the document`);
  check(heap < HEAP_MAX, `${heap} bytes of heap`);
  check(scrolled.longest < 500, `a task of ${scrolled.longest} ms`);

  await openRoom(page, room);
  await eventually("messages are shown", async () => (await shown(page)).length > 10);
  await watch(page);
  const began = performance.now();
  await many(ARRIVING, 32, async (number) => {
    const due = began + (number / PER_SECOND) * 1000;
    if (due > performance.now()) await new Promise((done) => setTimeout(done, due - performance.now()));
    await rest(bob, "POST", `/messages/rooms/${room}/`, { body: `arriving ${number}` });
  });
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "the last to arrive" });
  await sees(page, "the last to arrive");
  const arrived = await watched(page);
  const rate = Math.round(ARRIVING / arrived.seconds);
  step(`${rate} messages/s arriving: ${arrived.perSecond} frames/s, ${arrived.long} long tasks (longest ${arrived.longest} ms), longest pause ${arrived.pause} ms, drawn ${arrived.draws} times, ${arrived.rows} messages in the document at the least`);
  if (rate > BUSY) check(arrived.rows <= ROWS_MAX, `${arrived.rows} rows are kept while they arrive`);
  check(arrived.pause < 1000, `the page stood still for ${arrived.pause} ms`);
});
