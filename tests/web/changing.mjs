// Changing rooms as people do: by click, key, Ctrl+K and Back. A room opens at its end, and what is
// seen there is read.

import { check, eventually, journey, many, rest, same, stage } from "./stage.mjs";
import { composer, enter, isInView, message, room as roomLink, sees, send, timeline } from "./ui.mjs";

/** Pixels between what is seen and the end of the room. */
const distance = (page) => timeline(page).evaluate((log) => Math.round(log.scrollHeight - log.scrollTop - log.clientHeight));

/** The room stands at its end: nothing offers to go there, nothing is unread, the last line is in view. */
async function standsAtEnd(page, name, last) {
  await page.getByRole("heading", { name, level: 1 }).waitFor();
  await sees(page, last);
  await eventually(`${name} stands at its end`, async () => (await distance(page)) === 0);
  check(await page.getByRole("button", { name: /Latest|new message/ }).count() === 0, `${name} offers no way to its end`);
  const row = await message(page, last).getAttribute("data-message");
  check(await isInView(page, Number(row)), `the last line of ${name} is in view`);
  await eventually(`nothing of ${name} is unread`, async () => (await roomLink(page, name).locator(".count").count()) === 0);
}

await journey("changing", async (browser, step) => {
  const { alice, bob, org, room } = stage;
  const rooms = [{ id: room, name: "general" }];
  for (const name of ["harbour", "orchard", "quarry", "willow", "vineyard"]) {
    const { id } = await rest(alice, "POST", "/rooms/", { org, name, auto_join: true });
    rooms.push({ id, name });
  }
  const [general, harbour, orchard, quarry, willow] = rooms;
  const post = (to, body) => rest(bob, "POST", `/messages/rooms/${to.id}/`, { body });
  for (const one of [general, harbour, orchard]) {
    await many(70, 6, (n) => post(one, `${one.name} line ${n}\n\nwith a second paragraph`));
    one.last = `the end of ${one.name}`;
    await post(one, one.last);
  }
  const at = (one) => standsAtEnd(page, one.name, one.last);
  const page = await browser.page(0);
  await enter(page, alice, general.id);
  const latest = page.getByRole("button", { name: /Latest|new message/ });
  for (const one of [general, harbour, orchard]) {
    await roomLink(page, one.name).click();
    await page.getByRole("heading", { name: one.name, level: 1 }).waitFor();
    await eventually(`${one.name} is drawn`, () => timeline(page).locator("[data-message]").first().isVisible());
    if (await latest.count()) await latest.click();
    await at(one);
  }
  step("three rooms are read to the end");

  await roomLink(page, "general").click();
  await at(general);
  await roomLink(page, "harbour").click();
  await at(harbour);
  step("by click");
  await page.keyboard.press("Alt+ArrowDown");
  await at(orchard);
  await page.keyboard.press("Alt+ArrowUp");
  await at(harbour);
  step("by key");
  for (const one of [general, orchard]) {
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox").waitFor();
    await page.keyboard.type(one.name);
    await page.getByRole("option", { name: new RegExp(one.name), selected: true }).waitFor();
    await page.keyboard.press("Enter");
    await at(one);
  }
  step("by Ctrl+K");
  await page.goBack();
  await at(general);
  await page.goBack();
  await at(harbour);
  await page.goForward();
  await at(general);
  step("by Back and Forward");

  await roomLink(page, "quarry").click();
  await page.getByRole("heading", { name: "quarry", level: 1 }).waitFor();
  await page.getByText("The beginning of this room.").waitFor();
  check(await latest.count() === 0, "an empty room has no newer messages");
  step("an empty room stands at its end");

  for (const count of [1, 3]) {
    for (let n = 1; n <= count; n += 1) await post(harbour, harbour.last = `${count} unread, number ${n}`);
    await roomLink(page, "harbour").locator(".count").getByText(String(count)).waitFor();
    await roomLink(page, "harbour").click();
    await at(harbour);
    await timeline(page).getByRole("separator").getByText("New", { exact: true }).waitFor();
    await roomLink(page, "quarry").click();
    await page.getByRole("heading", { name: "quarry", level: 1 }).waitFor();
  }
  step("a few unread messages are seen to the last, and read");

  // Many stay unread until one has come to their end, or says so.
  const bar = page.getByRole("button", { name: "60 unread messages" });
  const count = (text) => roomLink(page, "harbour").locator(".count").getByText(text, { exact: true }).waitFor();
  const newLine = timeline(page).getByRole("separator").getByText("New", { exact: true });
  const old = (await rest(alice, "GET", `/messages/rooms/${harbour.id}/?limit=200`)).results.find((one) => one.body.startsWith("harbour line 3\n")).id;
  await many(60, 6, (n) => post(harbour, `more of it, ${n}\n\nwith a second paragraph`));
  await count("60");
  for (let times = 0; times < 2; times += 1) {
    await roomLink(page, "harbour").click();
    await page.getByRole("heading", { name: "harbour", level: 1 }).waitFor();
    await newLine.waitFor();
    await bar.waitFor();
    check(await newLine.isVisible() && (await distance(page)) > 0, "the room opens where the unread messages begin");
    await roomLink(page, "quarry").click();
    await page.getByRole("heading", { name: "quarry", level: 1 }).waitFor();
    await count("60");
  }
  await roomLink(page, "harbour").click();
  await newLine.waitFor();
  await post(harbour, harbour.last = `see [the beginning](${page.door.url}/r/${harbour.id}/m/${old})`);
  harbour.last = "see the beginning";
  await page.getByRole("button", { name: "1 new message" }).click();
  await at(harbour);
  await bar.waitFor({ state: "detached" });
  step("many unread messages stay unread until their end is seen");

  await message(page, harbour.last).getByRole("link", { name: "the beginning" }).click();
  await eventually("the old message is in view", () => isInView(page, old));
  await page.goBack();
  await at(harbour);
  await roomLink(page, "quarry").click();
  await page.getByRole("heading", { name: "quarry", level: 1 }).waitFor();
  step("Back from an older message of the room leads to its end");

  // What was looked at is drawn from memory, with all that came meanwhile; what was not is hinted at.
  const asked = [];
  page.on("request", (request) => /\/messages\/rooms\//.test(request.url()) && asked.push(request.url()));
  await post(orchard, orchard.last = "told while she was elsewhere");
  await rest(alice, "POST", `/rooms/${orchard.id}/read/${(await rest(alice, "GET", `/messages/rooms/${orchard.id}/?limit=1`)).results[0].id}/`);
  await eventually("orchard is read elsewhere", async () => (await roomLink(page, "orchard").locator(".count").count()) === 0);
  for (const one of [orchard, general, harbour, orchard]) {
    await roomLink(page, one.name).click();
    await at(one);
  }
  same(asked, [], "what was asked for");
  await page.route(/\/messages\/rooms\//, () => {});
  await roomLink(page, "vineyard").click();
  await page.getByRole("heading", { name: "vineyard", level: 1 }).waitFor();
  await timeline(page).locator(".hints").waitFor();
  await page.unroute(/\/messages\/rooms\//);
  await roomLink(page, "harbour").click();
  await at(harbour);
  step("rooms are drawn from memory, and hinted at while they are loaded");

  page.door.shut();
  await page.context().setOffline(true);
  await roomLink(page, "general").click();
  await at(general);
  await roomLink(page, "willow").click();
  await page.getByText("Messages can't be loaded right now. They appear when the connection is back.").waitFor();
  await send(page, "written while offline");
  await timeline(page).getByText("written while offline").waitFor();
  page.door.unshut();
  await page.context().setOffline(false);
  willow.last = "written while offline";
  await at(willow);
  await page.getByText("Messages can't be loaded right now").waitFor({ state: "detached" });
  await roomLink(page, "general").click();
  await at(general);
  await composer(page).waitFor();
  step("offline, a room is drawn from memory; one that is not there fills by itself when the network is back");
});
