// Finding messages: beside the room on a desk, in its place on a phone. Results can be read, are more
// than one page, lead to their rooms, and are still there after one was opened.

import { DESKTOP, PHONE, check, eventually, isAccessible, isFitting, journey, looksGood, many, rest, same, stage } from "./stage.mjs";
import { composer, enter, isInView, room as roomLink, sees, timeline } from "./ui.mjs";

const field = (page) => page.getByRole("searchbox", { name: "Search messages" });
const results = (page) => page.getByRole("list", { name: "Results" });
const hits = (page) => results(page).locator("a.hit");
const found = (page, text) => results(page).getByRole("link", { name: text });
/** How far the list is scrolled. */
const scrolled = (page) => page.locator(".hits").evaluate((one) => one.scrollTop);

await journey("search", async (browser, step) => {
  const { alice, bob, carol, org, room } = stage;
  const orchard = await rest(alice, "POST", "/rooms/", { org, name: "orchard", auto_join: true });
  const says = (person, where, body) => rest(person, "POST", `/messages/rooms/${where}/`, { body });
  await says(carol, orchard.id, "Zoë's **crème brûlée** needs a dozen eggs");
  await many(70, 6, (n) => says(n % 2 ? bob : carol, n % 3 ? room : orchard.id, `apple number ${n} of the harvest\n\nand more of it`));
  await says(bob, room, `${"A long story. ".repeat(30)}At its end stands a plum.`);
  const { id: quoted } = await says(carol, orchard.id, `ask @${bob.email} for the [recipe](https://example.test/hidden) of \`quince_jam\``);
  await rest(bob, "POST", `/messages/rooms/${orchard.id}/`, { body: "it is in the book", reply_to: quoted });
  await says(bob, room, "the last line");

  const page = await browser.page(0, DESKTOP);
  await enter(page, alice, room);
  await sees(page, "the last line");
  await page.keyboard.press("Control+Shift+F");
  await field(page).waitFor();
  await page.keyboard.type("creme");
  await found(page, /crème brûlée/).waitFor();
  same(await results(page).locator("mark").allTextContents(), ["crème"], "the words that were found are marked");
  await looksGood(page, "a search beside the room");
  await field(page).fill("plum");
  await found(page, /stands a plum/).waitFor();
  check((await hits(page).first().innerText()).startsWith("…"), "a long message is shown where the word is");
  step("words are found without accents, and marked");

  await field(page).fill("recipe");
  await found(page, "ask @Bob for the recipe of quince_jam").waitFor();
  same(await results(page).locator("mark").allTextContents(), ["recipe"], "the word is marked in plain text");
  await hits(page).first().click();
  await eventually("a quote reads as plain text too", async () => (await timeline(page).locator(".quote").innerText()).includes("ask @Bob for the recipe of quince_jam"));
  step("what is found and quoted reads as words, not as Markdown");

  await field(page).fill("harv");
  await page.getByText("30+ results, newest first").waitFor();
  same(await hits(page).count(), 30, "results of the first page");
  await page.getByRole("button", { name: "Show more" }).click();
  await page.getByText("60+ results, newest first").waitFor();
  check(await hits(page).nth(30).evaluate((one) => one === document.activeElement), "the focus is on the first new result");
  await page.keyboard.press("Enter");
  const opened = Number(new URL(page.url()).pathname.split("/m/")[1]);
  await eventually("what was found is in view", () => isInView(page, opened));
  same(await hits(page).count(), 60, "the results are still there");
  await page.getByRole("button", { name: "Show more" }).click();
  await page.getByText("70 results, newest first").waitFor();
  check(await page.getByRole("button", { name: "Show more" }).isHidden(), "there are no more");
  await results(page).getByRole("link", { name: "orchard" }).first().click();
  await page.getByRole("heading", { name: "orchard", level: 1 }).waitFor();
  await page.waitForURL(`**/r/${orchard.id}`);
  step("more than one page; a result leads to its message and to its room, and the list stays");

  await page.getByRole("group", { name: "Search in" }).getByRole("button", { name: "orchard" }).click();
  await page.getByText("24 results, newest first").waitFor();
  await page.getByRole("button", { name: "Everywhere" }).click();
  await page.getByText("30+ results, newest first").waitFor();
  await field(page).fill("nothing like this");
  await page.getByText("No results for “nothing like this”.").waitFor();
  await field(page).press("Escape");
  await field(page).waitFor({ state: "detached" });
  check(await composer(page).evaluate((one) => one === document.activeElement), "the focus is in the message field");
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: /Jump to/ }).waitFor();
  await page.keyboard.type("harvest");
  await page.getByRole("option", { name: /Search messages for “harvest”/ }).click();
  await page.getByText("30+ results, newest first").waitFor();
  await field(page).press("Enter");
  await eventually("Enter leads to the first result", () => hits(page).first().evaluate((one) => one === document.activeElement));
  await page.keyboard.press("ArrowUp");
  check(await field(page).evaluate((one) => one === document.activeElement), "the arrows lead back to the field");
  step("one room or all; keys lead there and back");

  const unread = async () => (await rest(alice, "GET", "/auth/me/unread-counts/")).unread_counts.find((one) => one.room_id === room)?.unread_count ?? 0;
  const phone = await browser.page(1, PHONE);
  await enter(phone, alice, room);
  await sees(phone, "the last line");
  await phone.getByRole("button", { name: "Search this room" }).tap();
  await field(phone).waitFor();
  await timeline(phone).waitFor({ state: "hidden" });
  await phone.getByRole("button", { name: "Everywhere" }).tap();
  await field(phone).fill("harvest");
  await phone.getByText("30+ results, newest first").waitFor();
  await isAccessible(phone, "a search on a phone");
  await isFitting(phone, "a search on a phone");
  const widths = await hits(phone).evaluateAll((all) => all.map((one) => one.getBoundingClientRect().width));
  check(widths.every((width) => width > 300), `a result has the width of the screen: ${widths[0]}`);
  // What the search covers is not read before it is seen.
  await eventually("the room is read", async () => (await unread()) === 0);
  await says(bob, room, "nobody sees this yet");
  await phone.locator("[data-message]", { hasText: "nobody sees this yet" }).waitFor({ state: "attached" });
  for (const words of ["sees", "harvest"]) {
    await field(phone).fill(words);
    await found(phone, words === "sees" ? /nobody sees this yet/ : /harvest/).first().waitFor();
  }
  same(await unread(), 1, "unread messages of a room that is covered");
  await phone.getByRole("button", { name: "Close search" }).tap();
  await eventually("what is seen is read", async () => (await unread()) === 0);
  await phone.getByRole("button", { name: "Search this room" }).tap();
  await phone.getByRole("button", { name: "Everywhere" }).tap();
  await field(phone).fill("harvest");
  await phone.getByText("30+ results, newest first").waitFor();
  await phone.getByRole("button", { name: "Show more" }).tap();
  await phone.getByText("60+ results, newest first").waitFor();
  const at = (await hits(phone).evaluateAll((all) => all.map((one) => one.getAttribute("href")))).findIndex((href, n) => n >= 40 && href.startsWith(`/r/${room}/`));
  await hits(phone).nth(at).scrollIntoViewIfNeeded();
  const before = await scrolled(phone);
  check(before > 1000, `the list is scrolled: ${before}`);
  await hits(phone).nth(at).tap();
  await field(phone).waitFor({ state: "hidden" });
  const shown = Number(new URL(phone.url()).pathname.split("/m/")[1]);
  await eventually("what was found is in view", () => isInView(phone, shown));
  await phone.goBack();
  await field(phone).waitFor();
  same([await hits(phone).count(), await scrolled(phone)], [60, before], "Back returns to the list where it was");
  check(await hits(phone).nth(at).evaluate((one) => one === document.activeElement), "and so does the focus");
  await phone.reload();
  await phone.getByText("30+ results, newest first").waitFor();
  same(await field(phone).inputValue(), "harvest", "the address keeps the search");
  await phone.getByRole("button", { name: "Close search" }).tap();
  await composer(phone).waitFor();
  await phone.getByRole("link", { name: "Rooms", exact: true }).tap();
  await roomLink(phone, "orchard").waitFor();
  step("on a phone it has the screen, and Back returns to it");
});
