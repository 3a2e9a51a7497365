// Finding the way: people, rooms and words from one field; what is new, and done with; rooms that are
// gone, and files that were dropped beside the room.

import { DESKTOP, check, eventually, isAccessible, journey, looksGood, many, rest, same, stage } from "./stage.mjs";
import { composer, enter, goTo, isInView, message, openRoom, room as roomLink, sees, send, tabOf, timeline } from "./ui.mjs";

const option = (page, name) => page.getByRole("option", { name });

/** Opens the switcher, and types. */
async function jump(page, text) {
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: /Jump to/ }).waitFor();
  await page.keyboard.type(text);
}

await journey("finding", async (browser, step) => {
  const { alice, bob, carol, org, room } = stage;
  const page = await browser.page(0, DESKTOP);
  const orchard = await rest(alice, "POST", "/rooms/", { org, name: "orchard" });
  const secret = await rest(alice, "POST", "/rooms/", { org, name: "backstage", access_level: "PRIVATE" });
  await rest(alice, "POST", `/rooms/${secret.id}/invite/`, { user_id: bob.id });
  await rest(carol, "POST", `/messages/rooms/${room}/`, { body: "the recipe for quince jam" });
  await enter(page, bob, room);
  await sees(page, "quince jam");

  await jump(page, "car");
  await option(page, /Carol.*Message/).waitFor();
  await isAccessible(page, "people in the switcher");
  await option(page, /Carol.*Message/).click();
  await page.getByRole("heading", { name: /Carol/, level: 1 }).waitFor();
  await jump(page, "orch");
  await option(page, /orchard.*Join/).click();
  await page.getByRole("heading", { name: "orchard", level: 1 }).waitFor();
  await jump(page, "quince");
  await option(page, /Search messages for “quince”/).click();
  await page.getByRole("searchbox", { name: "Search messages" }).waitFor();
  await page.getByRole("list", { name: "Results" }).getByRole("link", { name: /recipe for quince jam/ }).click();
  await sees(page, "quince jam");
  await page.getByRole("button", { name: "Close search" }).click();
  step("the switcher finds people, rooms to join and words");

  // Removed while writing: one learns of it, and has the words still.
  await roomLink(page, "backstage").click();
  await composer(page, "Message backstage").fill("what I wanted to say");
  await rest(alice, "DELETE", `/rooms/${secret.id}/members/${bob.id}/`);
  await page.getByRole("alert").filter({ hasText: "You were removed from backstage, or left it on another device." }).waitFor();
  await page.getByRole("heading", { name: "backstage", level: 1 }).waitFor();
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"], { origin: page.door.url });
  await isAccessible(page, "a room that one was removed from");
  await page.getByRole("button", { name: "Copy your draft" }).click();
  await eventually("the draft is there", async () => (await page.evaluate(() => navigator.clipboard.readText())) === "what I wanted to say");
  await page.getByRole("link", { name: "Back to rooms" }).click();
  await composer(page).waitFor();
  await goTo(page, "/r/999999999");
  await page.getByRole("heading", { name: "Room not found" }).waitFor();
  await goTo(page, "/no/such/page");
  await page.getByRole("heading", { name: "Page not found" }).waitFor();
  await goTo(page, `/r/${room}/m/999999999`);
  await page.getByRole("alert").filter({ hasText: "This message was deleted, or isn't in this room." }).waitFor();
  await goTo(page, `/r/${room}`);
  await composer(page, "Message general").waitFor();
  await timeline(page).focus();
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
  await looksGood(page, "the keys");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await composer(page).focus();
  await page.keyboard.press("Control+/");
  await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Room options" }).click();
  await page.getByRole("menuitem", { name: "Keyboard shortcuts" }).click();
  await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  step("who is removed keeps what they were writing; what is not there is said; the keys are listed");

  // A draft is marked in the list; sent in one tab, it is gone in the other.
  await roomLink(page, "general").click();
  await composer(page, "Message general").fill("half of it");
  await roomLink(page, "orchard").click();
  await composer(page, "Message orchard").waitFor();
  await roomLink(page, /general.*draft/).waitFor();
  const tab = await tabOf(page);
  await openRoom(tab, room);
  same(await composer(tab, "Message general").inputValue(), "half of it", "the draft in another tab");
  await roomLink(page, "general").click();
  await composer(page, "Message general").press("Enter");
  await sees(page, "half of it");
  await eventually("the draft is gone in the other tab", async () => (await composer(tab, "Message general").inputValue()) === "");
  await tab.close();
  await roomLink(page, "orchard").click();
  await composer(page, "Message orchard").waitFor();
  same(await roomLink(page, /draft/).count(), 0, "rooms with a draft");

  // Back closes what is open before it leads anywhere.
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: /Jump to/ }).waitFor();
  await page.evaluate(() => history.back());
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.getByRole("heading", { name: "orchard", level: 1 }).waitFor();
  check(page.url().endsWith(`/r/${orchard.id}`), `Back closes a dialog, and stays: ${page.url()}`);
  await page.evaluate(() => history.back());
  await page.getByRole("heading", { name: "general", level: 1 }).waitFor();

  // The switcher begins with what is unread, then what was looked at last; where one is comes last.
  const quiet = await rest(bob, "POST", "/rooms/dm/", { org, user_ids: [alice.id] });
  await roomLink(page, /Alice/).waitFor();
  await rest(alice, "POST", `/messages/rooms/${quiet.id}/`, { body: "hello?" });
  await roomLink(page, /Alice/).locator(".badge").waitFor();
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: /Jump to/ }).waitFor();
  const names = (await page.getByRole("option").locator("bdi").allInnerTexts());
  same([names[0], names[1], names.at(-1)], ["Alice", "orchard", "general"], "the order of the switcher");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  for (const name of ["The alert", "alert station", "malert"]) await rest(alice, "POST", "/rooms/", { org, name, auto_join: true });
  for (const name of ["The alert", "alert station", "malert"]) await roomLink(page, name).waitFor();
  await jump(page, "alert");
  await page.getByRole("option", { name: /Search messages/ }).waitFor();
  same((await page.getByRole("option").locator("bdi").allInnerTexts()).slice(0, 3), ["alert station", "The alert", "malert"], "what fits best comes first");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  step("drafts are marked, Back closes dialogs first, the switcher has an order");

  await many(60, 6, (n) => rest(alice, "POST", `/messages/rooms/${orchard.id}/`, { body: `apple ${n}\n\nand more of it` }));
  await roomLink(page, "orchard").locator(".count").getByText("60").waitFor();
  await roomLink(page, "orchard").click();
  await page.getByRole("button", { name: "60 unread messages" }).waitFor();
  await page.getByRole("button", { name: "Mark as read" }).click();
  await page.getByRole("button", { name: "60 unread messages" }).waitFor({ state: "detached" });
  await eventually("nothing is unread", async () => (await roomLink(page, "orchard").locator(".count").count()) === 0);
  await rest(alice, "POST", `/messages/rooms/${room}/`, { body: "new to you" });
  await roomLink(page, "general").locator(".count").waitFor();
  await roomLink(page, "general").click();
  const divider = timeline(page).getByRole("separator").getByText("New", { exact: true });
  await divider.waitFor();
  await send(page, "and answered");
  await sees(page, "and answered");
  await divider.waitFor({ state: "detached" });
  check(await isInView(page, Number(await message(page, "and answered").getAttribute("data-message"))), "what one sent is in view");
  step("what is unread can be marked as read, and is not new once it is answered");

  await eventually("everything is loaded", () => page.evaluate(() => Boolean(document.querySelector("cb-chat").alive)));
  const isCaught = await roomLink(page, "general").evaluate((link) => {
    const data = new DataTransfer();
    data.items.add(new File(["dropped"], "dropped.txt", { type: "text/plain" }));
    return ["dragover", "drop"].map((type) => !link.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true })));
  });
  same(isCaught, [true, true], "the browser does not open what misses the room");
  const file = page.getByRole("list", { name: "Files" }).getByText("dropped.txt");
  await file.waitFor();
  await page.getByRole("button", { name: "Remove dropped.txt" }).click();

  // An upload that fails offline goes on by itself when there is a network.
  page.door.shut();
  await page.context().setOffline(true);
  await page.locator("input[type=file]").setInputFiles({ name: "later.txt", mimeType: "text/plain", buffer: Buffer.from("later") });
  await page.getByRole("button", { name: "Try again: later.txt" }).waitFor();
  page.door.unshut();
  await page.context().setOffline(false);
  await page.getByRole("button", { name: "Try again: later.txt" }).waitFor({ state: "detached" });
  await eventually("it is stored", async () => (await page.getByRole("progressbar").count()) === 0);
  await composer(page).press("Enter");
  await timeline(page).getByRole("link", { name: "later.txt" }).waitFor();
  step("files are caught wherever they are dropped, and stored when there is a network");
});
