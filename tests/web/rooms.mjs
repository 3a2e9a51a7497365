// Finding one's way: rooms and people, what is unread, the past of a long room.

import { check, eventually, history, journey, many, rest, same, stage } from "./stage.mjs";
import { composer, enter, goTo, isInView, message, room as roomLink, sees, send, shown, timeline } from "./ui.mjs";

/** Scrolls, lets the page draw, and tells which messages are there then. */
const scroll = (page, by) => timeline(page).evaluate(async (log, pixels) => {
  log.scrollBy(0, pixels);
  for (let n = 0; n < 3; n += 1) await new Promise((done) => requestAnimationFrame(done));
  return [...log.querySelectorAll("[data-message]")].map((one) => Number(one.dataset.message));
}, by);

const top = (page, id) => page.locator(`#m-${id}`).evaluate((one) => one.getBoundingClientRect().top);

await journey("rooms", async (browser, step) => {
  const { alice, bob, carol, org, room } = stage;
  const page = await browser.page(0);
  await enter(page, alice, room);

  // Rooms, by keyboard alone.
  await page.getByRole("button", { name: "New room" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByLabel("Name").waitFor();
  await page.keyboard.type("Garden");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Garden", level: 1 }).waitFor();
  await page.getByRole("button", { name: "1 member", exact: true }).waitFor();
  step("a room is made");
  const his = await browser.page(1);
  await enter(his, bob, room);
  await his.getByRole("button", { name: "Browse rooms" }).click();
  await his.getByRole("combobox", { name: "Browse rooms" }).waitFor();
  await his.keyboard.type("gar");
  await his.getByRole("option", { name: /Garden/ }).waitFor();
  await his.keyboard.press("Enter");
  await his.getByRole("heading", { name: "Garden", level: 1 }).waitFor();
  await send(his, "I found the garden");
  await sees(page, "I found the garden");
  await composer(page).pressSequentially("@bo");
  await page.getByRole("option", { name: /Bob/ }).waitFor();
  await composer(page).fill("");
  step("another one finds and joins it");

  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").waitFor();
  await page.keyboard.type("gene");
  await page.getByRole("option", { name: /general/i, selected: true }).waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL(`**/r/${room}`);
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.keyboard.press("Alt+ArrowUp");
  await page.getByRole("heading", { name: "Garden", level: 1 }).waitFor();
  await page.keyboard.press("Alt+ArrowDown");
  await page.waitForURL(`**/r/${room}`);
  step("the switcher and the keys go from room to room");

  await page.getByRole("button", { name: "New direct message" }).click();
  await page.getByRole("combobox", { name: "New message to" }).waitFor();
  await page.keyboard.type("bob");
  await page.getByRole("option", { name: /Bob/ }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Start conversation" }).click();
  await page.getByRole("heading", { name: /Bob/, level: 1 }).waitFor();
  await send(page, "just between us");
  await roomLink(his, /Alice/).locator(".badge", { hasText: "1" }).waitFor();
  await roomLink(his, /Alice/).click();
  await sees(his, "just between us");
  await page.getByRole("main").getByText("Online").waitFor();
  step("two write to each other, and see that both are there");

  await goTo(page, `/r/${room}`);
  await page.getByRole("heading", { name: "general", level: 1 }).waitFor();
  await page.getByRole("button", { name: "Star", exact: true }).click();
  await page.getByRole("region", { name: "Starred" }).getByRole("link", { name: "general" }).waitFor();
  await page.getByRole("button", { name: "Star", exact: true }).click();
  await page.getByRole("button", { name: "Room options" }).click();
  await page.getByRole("menuitem", { name: /section/ }).click();
  await page.getByRole("combobox", { name: "Section" }).fill("Work");
  await page.keyboard.press("Enter");
  await page.getByRole("region", { name: "Work" }).getByRole("link", { name: "general" }).waitFor();
  await page.getByRole("button", { name: "Room options" }).click();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await eventually("the room is muted on the server", async () => (await rest(alice, "GET", `/rooms/${room}/settings/`)).notify === "none");
  await roomLink(page, "Garden").click();
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "nobody is disturbed" });
  await eventually("the count comes", async () => (await rest(alice, "GET", "/auth/me/unread-counts/")).unread_counts.some((one) => one.room_id === room && one.unread_count > 0));
  check(await roomLink(page, "general").evaluate((one) => !one.classList.contains("loud")), "a muted room stays quiet");
  await rest(alice, "PATCH", `/rooms/${room}/settings/`, { notify: "all", section: null, starred: false });
  await page.getByRole("region", { name: "Rooms", exact: true }).getByRole("link", { name: "general" }).waitFor();
  step("stars, sections and muting, and a change from elsewhere");

  // A long room, and its past.
  const lines = (from, to) => many(to - from, 6, (n) => rest(n % 2 ? bob : carol, "POST", `/messages/rooms/${room}/`, { body: `line ${from + n}` }));
  await lines(0, 220);
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "the needle in the haystack" });
  await lines(220, 340);
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "the last line" });
  await roomLink(page, "general").locator(".count", { hasText: /^\d+$/ }).waitFor();
  await roomLink(page, "general").click();
  await sees(page, "the last line");
  await page.getByRole("button", { name: /unread messages/ }).click();
  await timeline(page).getByRole("separator").getByText("New", { exact: true }).waitFor();
  const all = await history(alice, room);
  await eventually("the first unread message is in view", () => isInView(page, all.find(({ body }) => body === "nobody is disturbed").id));
  await page.getByRole("button", { name: /Latest|new message/ }).click();
  await eventually("the end is in view", () => isInView(page, all.at(-1).id));
  await roomLink(page, "general").locator(".count").waitFor({ state: "detached" });
  step("one jumps to the first unread message, and back to the end");

  const ids = all.map(({ id }) => id);
  const seen = new Set();
  await eventually("the beginning is reached", async () => {
    for (const id of await scroll(page, -600)) seen.add(id);
    return page.getByText("The beginning of this room.").isVisible();
  });
  same([...seen].sort((a, b) => a - b), ids.filter((id) => seen.has(id)), "what was shown on the way up");
  same(seen.size, ids.length, "how many were seen on the way up");
  await timeline(page).getByRole("separator").getByText("Today").waitFor();
  const first = all[0].id;
  same((await shown(page))[0], first, "the first message");
  seen.clear();
  await eventually("the end is reached", async () => {
    const now = await scroll(page, 600);
    same(now, ids.slice(ids.indexOf(now[0]), ids.indexOf(now.at(-1)) + 1), "no message is left out or doubled");
    for (const id of now) seen.add(id);
    return now.at(-1) === ids.at(-1) && isInView(page, ids.at(-1));
  });
  same(seen.size, ids.length, "how many were seen on the way down");
  step("the whole history, up and down");

  const needle = all.find(({ body }) => body.includes("needle"));
  await page.getByRole("button", { name: "Search this room" }).click();
  await page.getByRole("searchbox", { name: "Search messages" }).waitFor();
  await page.keyboard.type("haystack");
  await page.getByRole("list", { name: "Results" }).getByRole("link", { name: /needle/ }).waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL(`**/r/${room}/m/${needle.id}`);
  await eventually("what was found is in view", () => isInView(page, needle.id));
  // Nothing that happens elsewhere moves what one reads.
  const before = await top(page, needle.id);
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "meanwhile at the end" });
  await page.getByRole("button", { name: /1 new message/ }).waitFor();
  check(Math.abs(await top(page, needle.id) - before) < 2, "what one reads stays where it is");
  const fresh = await page.context().newPage();
  fresh.door = page.door;
  await fresh.goto(`${page.door.url}/r/${room}/m/${all[40].id}`);
  await eventually("a permalink opens its place", () => isInView(fresh, all[40].id));
  await eventually("and points at it", () => fresh.evaluate((id) => document.activeElement.closest(`#m-${id}`) !== null, all[40].id));
  await fresh.close();
  await composer(page).fill("found it");
  await composer(page).press("Enter");
  await message(page, "found it").waitFor();
  step("search and permalinks open the place, and writing leads back to the end");
});
