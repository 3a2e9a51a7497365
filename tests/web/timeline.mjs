// Answers that come late, or not at all: what one asked for last is what one sees.

import { check, eventually, history, journey, many, rest, stage } from "./stage.mjs";
import { composer, enter, goTo, isInView, message, room as roomLink, sees, send, timeline } from "./ui.mjs";

/** Holds requests back until `go`. */
async function hold(page, wanted) {
  let go = () => {};
  const held = new Promise((done) => (go = done));
  const one = { isAsked: false, go: () => go() };
  await page.route(wanted, async (route) => {
    one.isAsked = true;
    await held;
    await route.fallback();
  });
  return one;
}

await journey("timeline", async (browser, step) => {
  const { alice, bob, org, room } = stage;
  const post = (body, more) => rest(bob, "POST", `/messages/rooms/${room}/`, { body, ...more });
  const other = await rest(alice, "POST", "/rooms/", { org, name: "elsewhere" });
  await many(240, 6, (n) => post(`line ${n}`));
  await post("the last line");
  const all = await history(alice, room);
  const page = await browser.page(0);
  await enter(page, alice, room);
  await sees(page, "the last line");
  const latest = page.getByRole("button", { name: /Latest|new message/ });
  const messages = new RegExp(`/messages/rooms/${room}/\\?`);

  const older = await hold(page, /[?&]limit=100&before=/);
  await goTo(page, `/r/${room}/m/${all[100].id}`);
  await eventually("the place is in view", () => isInView(page, all[100].id));
  await eventually("older messages are asked for", () => older.isAsked);
  await latest.click();
  await eventually("the end is in view", () => isInView(page, all.at(-1).id));
  const late = page.waitForResponse(/[?&]limit=100&before=/);
  older.go();
  await late;
  check(await isInView(page, all.at(-1).id), "the end stays in view");
  step("a jump goes ahead of a page that is on its way");

  const answered = all.find(({ body }) => body === "line 3");
  await post("as I said", { reply_to: answered.id });
  const quote = message(page, "as I said").locator(".quote");
  await quote.getByText("line 3").waitFor();
  await rest(bob, "PATCH", `/messages/${answered.id}/`, { body: "line three" });
  await quote.getByText("line three").waitFor();
  for (const time of ["once", "and once more"]) {
    await quote.click();
    await eventually(`what was answered is in view, ${time}`, () => isInView(page, answered.id));
    await latest.click();
    await quote.waitFor();
  }
  await rest(bob, "DELETE", `/messages/${answered.id}/`);
  await quote.getByText("a deleted message").waitFor();
  step("a quote follows what it answers, and leads there as often as one likes");

  await roomLink(page, "elsewhere").click();
  await send(page, "quiet here");
  await post("somebody writes");
  await roomLink(page, "general").locator(".count").waitFor();
  // Nothing of the other room is in memory then.
  await page.reload();
  await sees(page, "quiet here");
  const left = await hold(page, messages);
  await roomLink(page, "general").click();
  await eventually("the other room's messages are asked for", () => left.isAsked);
  await roomLink(page, "elsewhere").click();
  await sees(page, "quiet here");
  const tooLate = page.waitForResponse(messages);
  left.go();
  await tooLate;
  await send(page, "still quiet");
  check(await timeline(page).getByRole("separator").getByText("New", { exact: true }).count() === 0, "nothing of the other room");
  check(await page.getByText("can't be loaded").count() === 0, "nothing is said to be wrong");
  step("what comes for the room one has left does not reach the next");

  page.door.shut();
  await roomLink(page, "general").click();
  await page.getByText("Messages can't be loaded right now.").waitFor();
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("Messages can't be loaded right now.").waitFor();
  await composer(page).fill("said all the same");
  await composer(page).press("Enter");
  await timeline(page).getByText("said all the same").waitFor();
  page.door.unshut();
  await sees(page, "somebody writes");
  await sees(page, "said all the same");
  check((await rest(alice, "GET", `/rooms/${other.id}/`)).last_seq === 2, "each message went where it was written");
  step("what cannot be had is said, and asked for again; what one writes is seen meanwhile");

  // A server that is there, and too busy once.
  await page.reload();
  await sees(page, "said all the same");
  await page.route(/\/messages\/rooms\//, (route) => route.fulfill({ status: 503, json: { title: "Busy", status: 503, code: "unavailable" } }), { times: 1 });
  await roomLink(page, "elsewhere").click();
  await page.getByText("Messages can't be loaded right now.").waitFor();
  await sees(page, "still quiet");
  check(await page.getByText("can't be loaded").count() === 0, "nothing is said to be wrong any more");
  step("a busy server is asked again");
});
