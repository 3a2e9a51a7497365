// Many rooms on one line, with the limits of the contract on: all are heard of, each is as it was
// set, and a break of the line costs next to nothing.

import { check, eventually, journey, rest, same, stage } from "./stage.mjs";
import { enter, openRoom, room as roomLink, sees, tabOf } from "./ui.mjs";

const ROOMS = 45;
/** What is read after a break. */
const READ = ["/auth/me/unread-counts/", "/notifications/unread-count/", "/orgs/", "/rooms/"];

/** The paths that a page asks the API for, from now on. */
function asked(page) {
  const paths = [];
  page.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (pathname.startsWith("/api/v1/")) paths.push(pathname.slice(7));
  });
  return paths;
}

await journey("many", async (browser, step) => {
  const { alice, bob, org, room } = stage;
  const { results: rooms } = await rest(alice, "GET", "/rooms/?limit=200");
  same(rooms.length, ROOMS, "rooms");
  await rest(alice, "PATCH", `/rooms/${rooms.at(-1).id}/settings/`, { notify: "none" });
  const dm = (await rest(bob, "POST", "/rooms/dm/", { org, user_ids: [alice.id] })).id;
  const page = await browser.page(0);
  // Her clock is fast by as much as a token lives, nearly: no reason to renew it each time.
  await page.addInitScript(() => {
    const now = Date.now;
    Date.now = () => now() + 14 * 60_000;
  });
  const [heard, lines, refusals] = [new Set(), [], []];
  page.on("websocket", (line) => {
    lines.push(line);
    heard.clear();
    line.on("framereceived", ({ payload }) => {
      const frame = JSON.parse(String(payload));
      if (frame.type === "subscribed") heard.add(frame.room);
      if (frame.type === "error") refusals.push(frame);
    });
  });
  await enter(page, alice, room);
  await eventually("every room is heard of", () => heard.size > ROOMS);
  same([lines.length, lines[0].isClosed(), refusals], [1, false, []], "lines, and what was refused");
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "still there?" });
  await sees(page, "still there?");
  step(`${heard.size} rooms by one line`);

  const quiet = roomLink(page, rooms.at(-1).name);
  const isMuted = () => quiet.evaluate((link) => link.classList.contains("muted") && !link.classList.contains("loud"));
  check(await isMuted(), "a quiet room that is muted is drawn as one");
  await rest(bob, "POST", `/messages/rooms/${rooms.at(-1).id}/`, { body: "hush" });
  await enter(await browser.page(1), bob, room);
  const tab = await tabOf(page);
  await openRoom(tab, room);
  await sees(tab, "still there?");
  await roomLink(tab, /Bob/).locator(".dot-on").waitFor();
  step("a muted room stays so, and a second tab knows who is here");

  const [hers, others] = [asked(page), asked(tab)];
  browser.doors[0].shut();
  await eventually("the line is gone", () => lines[0].isClosed());
  for (const body of ["one", "two", "three"]) await rest(bob, "POST", `/messages/rooms/${dm}/`, { body });
  browser.doors[0].unshut();
  await eventually("every room is heard of again", () => lines.length > 1 && heard.size > ROOMS);
  await roomLink(page, /Bob/).locator(".badge", { hasText: "3" }).waitFor();
  await eventually("what may have changed is asked for", () => hers.length >= READ.length);
  same([hers.sort(), others], [READ, []], "asked for after a break, and by the other tab");
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "and now?" });
  await Promise.all([sees(page, "and now?"), sees(tab, "and now?")]);
  for (const one of [page, tab]) {
    await roomLink(one, /Bob/).locator(".badge").waitFor();
    same(await roomLink(one, /Bob/).locator(".badge").innerText(), "3", "what came meanwhile is counted once");
  }
  check(await isMuted(), "the muted room is muted still");
  step("a break costs four requests, and counts nothing twice");
});
