// Writing as people do: emoji by name and from the picker, mentions of every kind of name, lists and
// code by keys; and what is written is read: groups, numbers, tables, names.

import { DESKTOP, PHONE, check, eventually, isAccessible, isFitting, journey, looksGood, looksGoodOnPhone, rest, same, stage } from "./stage.mjs";
import { composer, enter, message, openRoom, room as roomLink, sees, send, timeline } from "./ui.mjs";

const body = (page, text) => message(page, text).locator(".body");
const picker = (page) => page.getByRole("dialog", { name: "Emoji" });
const search = (page) => page.getByRole("combobox", { name: "Search emoji" });
const last = async (person, room) => (await rest(person, "GET", `/messages/rooms/${room}/?limit=1`)).results[0];
/** What the server has as the last message, once that says so. */
const sent = (person, room, text) => eventually(`the server has ${JSON.stringify(text)}`, async () => (await last(person, room)).body === text);

/** A name, as its owner sets it. */
const renames = (person, first_name, last_name) => rest(person, "PATCH", "/auth/me/", { first_name, last_name });

async function reads(page) {
  const { alice, bob, carol, room } = stage;
  const says = (person, text, more) => rest(person, "POST", `/messages/rooms/${room}/`, { body: text, ...more });
  await says(carol, "before the many");
  for (let n = 1; n <= 23; n += 1) await says(bob, `one after another ${n}`);
  await rest(alice, "POST", `/rooms/${room}/read/${(await last(bob, room)).id}/`);
  await openRoom(page, room);
  await sees(page, "one after another 23");
  const heads = await timeline(page).locator("article:not(.grouped)").evaluateAll((all) => all.map((one) => one.querySelector(".body")?.textContent.trim()).filter((text) => text?.startsWith("one after")));
  same(heads, ["one after another 1", "one after another 11", "one after another 21"], "where the author is named");

  await says(bob, "5. five\n6. six\n\n| left | right | middle |\n|:--|--:|:-:|\n| 1 | 2 | 3 |\n\nthe end of the table");
  await sees(page, "the end of the table");
  same(await body(page, "the end of the table").locator("ol").getAttribute("start"), "5", "where the list starts");
  const sides = await body(page, "the end of the table").locator("td").evaluateAll((all) => all.map((one) => getComputedStyle(one).textAlign));
  same(sides, ["start", "end", "center"], "the sides of the table");

  // Loaded afresh, before anybody is known: names come, and mentions with them.
  await says(bob, `for @${alice.email}, @Zoë.Brontë's friends and @${carol.email}!`);
  await page.reload();
  await sees(page, "friends and");
  await eventually("all three are marked", async () => (await body(page, "friends and").locator(".mention").count()) === 3);
  same(await body(page, "friends and").locator(".mention").allInnerTexts(), ["@Alice O’Hara", "@Zoë Brontë", "@Carol de la Cruz"], "how they read");
  same(await body(page, "friends and").locator(".mention-me").allInnerTexts(), ["@Alice O’Hara"], "whom it is for");
  same(await body(page, "friends and").innerText(), "for @Alice O’Hara, @Zoë Brontë's friends and @Carol de la Cruz!", "what it says");
}

async function mentions(page) {
  const { alice, bob, carol, room, org } = stage;
  const option = (name) => page.getByRole("option", { name });
  for (const [typed, name, written] of [
    ["@zoe", /Zoë Brontë/, "@Zoë Brontë "],
    ["@bronte", /Zoë Brontë/, "@Zoë Brontë "],
    ["@de la", /Carol de la Cruz/, "@Carol de la Cruz "],
    ["@cruz", /Carol de la Cruz/, "@Carol de la Cruz "],
    [`@${carol.email.slice(0, 7)}`, /Carol de la Cruz/, "@Carol de la Cruz "],
    [`@${carol.email.split("@")[0]}@`, /Carol de la Cruz/, "@Carol de la Cruz "],
  ]) {
    await composer(page).fill("");
    await composer(page).pressSequentially(`hello ${typed}`);
    await option(name).waitFor();
    await page.keyboard.press("Tab");
    await eventually(`${typed} becomes ${written}`, async () => (await composer(page).inputValue()) === `hello ${written}`);
  }
  await composer(page).fill("");
  await composer(page).pressSequentially("@");
  await option(/Carol/).waitFor();
  same((await page.getByRole("option").allInnerTexts()).slice(-2).map((text) => text.match(/here|room/)?.[0]), ["here", "room"], "everyone comes last");
  await page.keyboard.press("Escape");

  // The field has names; what is sent has what mentions people, except in code, and an edit has names again.
  const unread = async (person) => (await rest(person, "GET", "/auth/me/unread-counts/")).unread_counts.find((one) => one.room_id === room).mention_count;
  const before = [await unread(bob), await unread(carol)];
  await composer(page).fill("");
  await composer(page).pressSequentially("thanks @cruz");
  await option(/Carol de la Cruz/).waitFor();
  await page.keyboard.press("Tab");
  await composer(page).pressSequentially("and @Zoë Brontë, not `@Zoë Brontë`");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Enter");
  await sent(alice, room, `thanks @${carol.email} and @Zoë.Brontë, not \`@Zoë Brontë\``);
  same([await unread(bob), await unread(carol)], before.map((count) => count + 1), "both are mentioned");
  await page.keyboard.press("ArrowUp");
  await eventually("an edit shows names", async () => (await composer(page, "Edit").inputValue()) === "thanks @Carol de la Cruz and @Zoë Brontë, not `@Zoë Brontë`");
  await composer(page, "Edit").press("End");
  await composer(page, "Edit").pressSequentially("!");
  await page.keyboard.press("Enter");
  await sent(alice, room, `thanks @${carol.email} and @Zoë.Brontë, not \`@Zoë Brontë\`!`);

  // Whoever mentions everyone is not told so in amber.
  await send(page, "@room tea?");
  await body(page, "tea?").locator(".mention").waitFor();
  same(await body(page, "tea?").locator(".mention-me").count(), 0, "own mentions of everyone that are marked as for oneself");

  // People of the organization who are not in the room stand below the others.
  const { mallory } = stage;
  const { token } = await rest(alice, "POST", `/orgs/${org}/invite/`, { email: mallory.email });
  await rest(mallory, "POST", "/orgs/accept-invite/", { token });
  await rest(mallory, "POST", `/rooms/${room}/leave/`).catch(() => {});
  await renames(carol, "Carol", "O'Brien");
  await openRoom(page, room);
  await composer(page).pressSequentially("@obrien");
  await option(/Carol O'Brien/).waitFor();
  await composer(page).fill("");
  await composer(page).pressSequentially("@mallo");
  await page.getByRole("group", { name: "Not in this room" }).getByRole("option", { name: /Mallory/ }).waitFor();
  await isAccessible(page, "people outside the room");
  await page.keyboard.press("Escape");
  await composer(page).fill("");
}

async function byKeys(page) {
  const { alice, room } = stage;
  const field = composer(page);
  const type = async (text) => { await field.pressSequentially(text); };
  await type("```js");
  await page.waitForFunction(() => performance.getEntriesByType("resource").some(({ name, responseEnd }) => name.includes("/chat/writing") && responseEnd > 0));
  await page.keyboard.press("Enter");
  await type("if (x) {");
  await page.keyboard.press("Enter");
  await type("  y();");
  await page.keyboard.press("Enter");
  await type("z();");
  same(await field.inputValue(), "```js\nif (x) {\n  y();\n  z();", "Enter in code begins a line with its indent");
  await page.keyboard.press("Enter");
  await type("```");
  await page.keyboard.press("Enter");
  await sent(alice, room, "```js\nif (x) {\n  y();\n  z();\n  ```");
  await type("```");
  await page.keyboard.press("Enter");
  await type("    deep");
  await page.keyboard.press("Enter");
  await type("```");
  await page.keyboard.press("Enter");
  same(await field.inputValue(), "```\n    deep\n```\n", "a fence after indented code ends it");
  await page.keyboard.press("Enter");
  await sent(alice, room, "```\n    deep\n```");
  await field.fill("    four spaces");
  await page.keyboard.press("Enter");
  await sent(alice, room, "    four spaces");

  await type("2. two");
  await page.keyboard.press("Shift+Enter");
  await type("three");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.press("Shift+Enter");
  await type("done");
  same(await field.inputValue(), "2. two\n3. three\ndone", "a list goes on, and ends with an empty item");
  await field.fill("- [x] one");
  await page.keyboard.press("End");
  await page.keyboard.press("Shift+Enter");
  await type("two");
  same(await field.inputValue(), "- [x] one\n- [ ] two", "so does one of things to do");

  await field.fill("bold and slanted");
  await field.evaluate((one) => one.setSelectionRange(0, 4));
  await page.keyboard.press("Control+b");
  same(await field.inputValue(), "**bold** and slanted", "Ctrl+B");
  await page.keyboard.press("Control+b");
  same(await field.inputValue(), "bold and slanted", "Ctrl+B again");
  await field.evaluate((one) => one.setSelectionRange(9, 16));
  await page.keyboard.press("Control+i");
  same(await field.inputValue(), "bold and *slanted*", "Ctrl+I");
  await page.keyboard.press("Control+z");
  same(await field.inputValue(), "bold and slanted", "it can be undone");
  await field.evaluate((one) => one.setSelectionRange(0, 4));
  await page.keyboard.press("Control+k");
  await type("https://example.test/");
  same(await field.inputValue(), "[bold](https://example.test/) and slanted", "Ctrl+K with a selection makes a link");
  await field.fill("see the plan");
  await field.evaluate((one) => {
    one.setSelectionRange(8, 12);
    const data = new DataTransfer();
    data.setData("text/plain", "https://example.test/plan");
    one.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  });
  await eventually("an address that is pasted over words becomes their link", async () => (await field.inputValue()) === "see the [plan](https://example.test/plan)");
  await field.fill("");
  await page.keyboard.press("Control+k");
  const switcher = page.getByRole("combobox", { name: /Jump to/ });
  await switcher.waitFor();
  await page.keyboard.press("Escape");
  await switcher.waitFor({ state: "detached" });
}

async function emoji(page) {
  const { alice, bob, room } = stage;
  const field = composer(page);
  await field.focus();
  await field.pressSequentially("well done :tad");
  await page.getByRole("option", { name: /:tada:/ }).waitFor();
  await isAccessible(page, "emoji by name");
  await page.keyboard.press("Enter");
  await eventually("it is written", async () => (await field.inputValue()) === "well done 🎉 ");
  await page.keyboard.press("Enter");
  await sent(alice, room, "well done 🎉");
  await field.pressSequentially("again :tada");
  await page.getByRole("option", { name: /:tada:/ }).waitFor();
  await field.pressSequentially(":");
  same(await field.inputValue(), "again 🎉 ", "a shortcode that is written to its end");
  await field.fill("");
  await field.pressSequentially("at 10:30 and http://x");
  check((await page.getByRole("option").count()) === 0, "a time and an address are no emoji");
  await field.fill("go ");

  await page.getByRole("button", { name: "Emoji", exact: true }).click();
  await search(page).waitFor();
  await eventually("the search has the focus", () => search(page).evaluate((one) => one === document.activeElement));
  await looksGood(page, "all emoji");
  const [box, anchor] = [await picker(page).boundingBox(), await page.getByRole("button", { name: "Emoji", exact: true }).boundingBox()];
  check(box.y + box.height <= anchor.y + 1 && box.x + box.width >= anchor.x, `it stands at its button: ${JSON.stringify([box, anchor])}`);
  await page.keyboard.type("rocket");
  await page.getByRole("option", { name: "rocket", exact: true, selected: true }).waitFor();
  await page.keyboard.press("Enter");
  await picker(page).waitFor({ state: "detached" });
  same(await field.inputValue(), "go 🚀", "what was taken");
  check(await field.evaluate((one) => one === document.activeElement), "the focus is back in the field");
  await page.keyboard.press("Enter");
  await sent(alice, room, "go 🚀");

  // A double click opens it, and reacts with nothing; a double click in it takes one.
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "what do you think?" });
  await sees(page, "what do you think?");
  await message(page, "what do you think?").locator("article").hover();
  await message(page, "what do you think?").getByRole("button", { name: "More reactions" }).dblclick();
  await search(page).waitFor();
  same((await last(bob, room)).reactions, [], "reactions after a double click on the button");
  await page.getByRole("button", { name: "Medium skin tone", exact: true }).click();
  await search(page).fill("wave");
  await page.getByRole("option", { name: "waving hand", exact: true }).dblclick();
  await picker(page).waitFor({ state: "detached" });
  await message(page, "what do you think?").getByRole("button", { name: /^👋🏽 1/ }).waitFor();
  await eventually("one reaction with that skin tone", async () => JSON.stringify((await last(bob, room)).reactions.map((one) => one.emoji)) === '["👋🏽"]');
  await message(page, "what do you think?").locator("article").hover();
  await message(page, "what do you think?").getByRole("button", { name: "React with 👋🏽" }).waitFor();

  // By keys: up and down, left and right; what is not found is said.
  await message(page, "what do you think?").locator("article").focus();
  await page.keyboard.press("+");
  await search(page).waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  const chosen = await page.getByRole("option", { selected: true }).getAttribute("data-emoji");
  await page.keyboard.press("Enter");
  await message(page, "what do you think?").getByRole("button", { name: new RegExp(`^${chosen} 1`) }).waitFor();
  await picker(page).waitFor({ state: "detached" });
  check(await message(page, "what do you think?").evaluate((one) => one.contains(document.activeElement)), "the focus is back on the message");
  await page.keyboard.press("+");
  await search(page).fill("no such thing");
  await page.getByText("No emoji found for “no such thing”.").waitFor();
  await isAccessible(page, "no emoji found");
  await page.keyboard.press("Escape");
  await picker(page).waitFor({ state: "detached" });
}

/** A finger that rests on a message. Whether the sheet opened: a row that moves under the finger ends the press. */
async function longPress(page, text) {
  const box = await body(page, text).boundingBox();
  const touch = await page.context().newCDPSession(page);
  const at = { x: box.x + 20, y: box.y + box.height / 2 };
  await touch.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [at] });
  const isOpen = await page.getByRole("dialog", { name: "Message" }).waitFor({ timeout: 3000 }).then(() => true, () => false);
  await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  return isOpen;
}

async function onPhone(browser) {
  const { bob, room, alice } = stage;
  const phone = await browser.page(1, PHONE);
  await enter(phone, bob, room);
  await send(phone, "from my pocket");
  await sees(phone, "from my pocket");
  await body(phone, "from my pocket").tap();
  check((await phone.getByRole("toolbar").count()) === 0, "a touch opens no bar");
  await eventually("everything is loaded", () => phone.evaluate(() => Boolean(document.querySelector("cb-chat").alive)));
  await eventually("a long press opens the sheet", () => longPress(phone, "from my pocket"));
  await looksGoodOnPhone(phone, "what one does with a message");
  const sizes = await phone.getByRole("dialog", { name: "Message" }).getByRole("button").evaluateAll((all) => all.map((one) => Math.min(one.getBoundingClientRect().width, one.getBoundingClientRect().height)));
  check(sizes.length > 8 && sizes.every((size) => size >= 44), `a finger finds every button: ${sizes}`);
  await phone.getByRole("button", { name: "React with 👍" }).tap();
  await message(phone, "from my pocket").getByRole("button", { name: /^👍 1/ }).waitFor();
  await longPress(phone, "from my pocket");
  await phone.getByRole("button", { name: "Edit" }).tap();
  await composer(phone, "Edit").fill("from my other pocket");
  await phone.getByRole("button", { name: "Save" }).tap();
  await sees(phone, "from my other pocket");
  await longPress(phone, "from my other pocket");
  await phone.getByRole("button", { name: "More reactions" }).tap();
  await search(phone).waitFor();
  await isFitting(phone, "all emoji on a phone");
  await search(phone).fill("rocket");
  await phone.getByRole("option", { name: "rocket", exact: true }).tap();
  await message(phone, "from my other pocket").getByRole("button", { name: /^🚀 1/ }).waitFor();
  await picker(phone).waitFor({ state: "detached" });
  await longPress(phone, "from my other pocket");
  await phone.getByRole("button", { name: "Delete" }).tap();
  await phone.getByRole("dialog", { name: "Message" }).getByRole("button", { name: "Delete" }).tap();
  await eventually("it is gone", async () => (await last(alice, room)).is_deleted);
}

await journey("writing", async (browser, step) => {
  const { alice, bob, carol, room, org } = stage;
  await renames(alice, "Alice", "O’Hara");
  await renames(bob, "Zoë", "Brontë");
  await renames(carol, "Carol", "de la Cruz");
  await rest(alice, "POST", "/rooms/", { org, name: "elsewhere" });
  const page = await browser.page(0, DESKTOP);
  await enter(page, alice, room);
  await reads(page);
  step("groups are bounded, lists and tables keep what they say, mentions read as names");
  await mentions(page);
  step("names are found whatever is in them");
  await byKeys(page);
  step("code, lists and marks by keys");
  await emoji(page);
  step("emoji by name, from the picker, by keys and click");
  await roomLink(page, "elsewhere").click();
  await composer(page, "Message elsewhere").waitFor();
  await page.goBack();
  await sees(page, "what do you think?");
  await onPhone(browser);
  step("a long press opens what one does with a message");
});
