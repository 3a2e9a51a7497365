// The chat for who uses keys alone, hears it, sees it large, dark or without motion: a room with
// every kind of message, and everything that opens over it.

import { DESKTOP, PHONE, check, eventually, isAccessible, journey, looksGood, looksGoodOnPhone, many, rest, same, stage } from "./stage.mjs";
import { composer, enter, message, room as roomLink, sees, send, timeline } from "./ui.mjs";

const MARKDOWN = `# A title\n## Below it\n\nSome *stress*, **weight**, ~~regret~~ and \`code\`.\n\n- one\n- two\n\n1. first\n\n- [x] done\n\n> said before\n\n---\n\n\`\`\`js\nlet ${"long".repeat(60)} = 1;\n\`\`\`\n\n| a | b |\n|---|---|\n| 1 | ${"wide ".repeat(30)} |\n\nhttps://example.test/${"x".repeat(200)}`;

/** One message of each kind; returns what stands in the last. */
async function fill() {
  const { alice, bob, carol, room } = stage;
  const says = (person, body, more) => rest(person, "POST", `/messages/rooms/${room}/`, { body, ...more });
  await rest(alice, "PATCH", `/rooms/${room}/`, { topic: "הכול על הכול, and more" });
  const first = await says(bob, "the first");
  await says(bob, "and one right below it");
  await says(carol, MARKDOWN);
  await says(carol, "שלום לכולם, this is from right to left");
  await says(bob, "🎉🎉");
  await says(bob, "a link of its own", { file_url: "https://example.test/a/file.pdf" });
  const edited = await says(alice, "not yet right");
  await rest(alice, "PATCH", `/messages/${edited.id}/`, { body: "edited since" });
  for (const person of [alice, bob]) await rest(person, "POST", `/messages/${edited.id}/reactions/`, { emoji: "👍" });
  await rest(carol, "POST", `/messages/${edited.id}/reactions/`, { emoji: "🎉" });
  const gone = await says(carol, "soon gone");
  await says(bob, "this answers it", { reply_to: first.id });
  await says(bob, "this answers what is gone", { reply_to: gone.id });
  await rest(carol, "DELETE", `/messages/${gone.id}/`);
  await says(bob, `for @${alice.email} and @${carol.email} and @room`);
  return "for @";
}

/** What opens over the room: how, and what is there then. */
const OVER = (page) => [
  ["the switcher", () => page.keyboard.press("Control+k"), () => page.getByRole("dialog").getByRole("option").first()],
  ["search", () => page.getByRole("button", { name: "Search this room" }).click(), () => page.getByRole("searchbox", { name: "Search messages" })],
  ["members", () => page.getByRole("button", { name: /members/ }).click(), () => page.getByRole("dialog").getByRole("option").nth(2)],
  ["the menu", () => page.getByRole("button", { name: "Room options" }).click(), () => page.getByRole("menuitem").first()],
];

/** Opens everything that opens in a room, and looks at it. */
async function opensAll(page, last, look) {
  const { room } = stage;
  await page.locator("input[type=file]").setInputFiles({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("x\n") });
  await page.getByRole("list", { name: "Files" }).getByText("notes.txt").waitFor();
  await eventually("it is stored", async () => (await page.getByRole("progressbar").count()) === 0);
  await message(page, last).locator("article").focus();
  await page.keyboard.press("r");
  await page.getByText(/^Replying to/).waitFor();
  await composer(page).pressSequentially("@bo");
  await page.getByRole("option", { name: /Bob/ }).waitFor();
  await look("an answer with a mention and a file");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await send(page, "with a file");
  await timeline(page).getByRole("link", { name: /notes.txt/ }).last().waitFor();
  const own = "with a file";

  await page.getByRole("complementary", { name: "Notifications" }).waitFor();
  await look("the question whether to notify");
  await message(page, own).locator("article").focus();
  await page.keyboard.press("+");
  await page.getByRole("combobox", { name: "Search emoji" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog", { name: "Emoji" }).waitFor({ state: "detached" });
  for (const name of ["Star", "Room options"]) await page.getByRole("button", { name }).click({ trial: true });
  await page.getByRole("button", { name: "Not now" }).click();
  await message(page, own).locator("article").focus();
  await page.keyboard.press("Delete");
  await message(page, own).getByRole("group", { name: "Delete message?" }).waitFor();
  await look("the question before deleting");
  await page.keyboard.press("Escape");

  for (const [what, open, there] of OVER(page)) {
    await open();
    await there().waitFor();
    await look(what);
    // It was out of sight in a small window, and lost the focus.
    if (what === "search") await there().focus();
    await page.keyboard.press("Escape");
    await there().waitFor({ state: "detached" });
  }
  same((await rest(stage.alice, "GET", `/messages/rooms/${room}/?limit=1`)).results[0].upload.filename, "notes.txt", "what was sent");
}

/** Without a network: what waits, and the banner. */
async function offline(page) {
  await page.context().setOffline(true);
  page.door.shut();
  await send(page, "waits");
  await page.getByText("You're offline. 1 message will be sent when you reconnect.").waitFor();
  await looksGood(page, "offline");
  page.door.unshut();
  await page.context().setOffline(false);
  await page.getByText("You're offline").waitFor({ state: "detached" });
  await eventually("it was sent", async () => (await page.locator("cb-message.pending").count()) === 0);
  same(await page.evaluate(() => document.getAnimations().filter(({ playState }) => playState === "running").length), 0, "what moves");
}

/** What has the focus: its role or tag, and its name. */
const focused = (page) => page.evaluate(() => {
  const one = document.activeElement;
  const name = one?.getAttribute("aria-label") ?? one?.labels?.[0]?.textContent ?? one?.textContent ?? "";
  return `${one?.getAttribute("role") ?? one?.tagName.toLowerCase()} ${name.replace(/\s+/g, " ").trim().slice(0, 60)}`;
});

/** Goes through everything that Tab reaches; nothing may be nameless, unseen or a trap. */
async function tabs(page) {
  const all = [];
  // From where the focus is to the end, and once around.
  let ends = 0;
  for (let n = 0; n < 200; n += 1) {
    await page.keyboard.press("Tab");
    const one = await page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return null;
      const [box, style] = [element.getBoundingClientRect(), getComputedStyle(element)];
      const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
      const ring = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || getComputedStyle(element.closest("form") ?? element).boxShadow !== "none";
      return { inside, ring, isFile: element.matches("input[type=file]") };
    });
    if (!one && (ends += 1) === 2) break;
    if (!one) continue;
    const name = await focused(page);
    check(!one.isFile, "the hidden field for files is reached by Tab");
    check(/\s\S/.test(name), `without a name: ${name}`);
    check(one.inside, `out of sight: ${name}`);
    check(one.ring, `one does not see that it has the focus: ${name}`);
    all.push(name);
  }
  check(ends === 2, `Tab does not come to an end: ${all.slice(-5)}`);
  return all;
}

async function signsInByKeys(page) {
  const { alice, room } = stage;
  await page.goto(`${page.door.url}/sign-in?to=/r/${room}`);
  await page.getByLabel(/e-?mail/i).waitFor();
  await eventually("the first field has the focus, or Tab leads there", async () => {
    if (/^input .*mail/i.test(await focused(page))) return true;
    await page.keyboard.press("Tab");
    return false;
  });
  await page.keyboard.type(alice.email);
  await page.keyboard.press("Tab");
  await page.keyboard.type(alice.password);
  await page.keyboard.press("Enter");
  await composer(page).waitFor();
}

async function keysAlone(page) {
  const { bob, room } = stage;
  const { id } = await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "all by keys" });
  const onServer = () => rest(bob, "GET", `/messages/${id}/`);
  await sees(page, "all by keys");
  const reached = await tabs(page);
  for (const what of ["Search this room", "Room options", "Message", "Add files", "Notifications", "New room", "Messages in"]) {
    check(reached.some((one) => one.includes(what)), `Tab does not reach ${what}: ${reached.join(" | ")}`);
  }

  // The focus stays where one works: on the message, in the menu's button, in the field.
  const onMessage = async (what) => eventually(`${what}: the focus is on the message`, () => message(page, "all by keys").evaluate((one) => one.contains(document.activeElement)));
  await composer(page).focus();
  await page.keyboard.press("F6");
  check((await focused(page)).startsWith("a general"), `F6 from the field: ${await focused(page)}`);
  await page.keyboard.press("F6");
  await onMessage("F6 from the rooms");
  await page.keyboard.press("F6");
  check((await focused(page)).includes("Message"), `F6 from the messages: ${await focused(page)}`);
  await page.keyboard.press("Shift+F6");
  await onMessage("back");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowDown");
  await onMessage("up and down");
  await page.keyboard.press("+");
  await page.getByRole("combobox", { name: "Search emoji" }).waitFor();
  await page.keyboard.type("+1");
  await page.getByRole("option", { name: "thumbs up", exact: true, selected: true }).waitFor();
  await page.keyboard.press("Enter");
  await message(page, "all by keys").getByRole("button", { name: /^👍 1/ }).waitFor();
  same((await onServer()).reactions.length, 1, "reactions that the server has");
  await onMessage("having reacted");
  await page.keyboard.press("Escape");
  await message(page, "all by keys").locator("article").focus();
  await page.keyboard.press("Delete");
  await message(page, "all by keys").getByRole("button", { name: "Cancel" }).focus();
  await page.keyboard.press("Enter");
  await onMessage("having kept it");
  await message(page, "all by keys").locator("article").focus();
  await page.keyboard.press("Delete");
  await message(page, "all by keys").getByRole("button", { name: "Delete", exact: true }).waitFor();
  await page.keyboard.press("Enter");
  await eventually("the server has deleted it", async () => (await onServer()).is_deleted);
  await eventually("having deleted it, one is still among the messages", () => timeline(page).evaluate((log) => log.contains(document.activeElement)));
  await page.keyboard.press("End");
  await page.keyboard.press("ArrowDown");
  check((await focused(page)).includes("Message"), `below the last message: ${await focused(page)}`);

  const options = page.getByRole("button", { name: "Room options" });
  await options.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("menu").waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.getByRole("menu").waitFor({ state: "detached" });
  await eventually("the focus is back on the menu's button", async () => (await focused(page)).includes("Room options"));
  await page.keyboard.press("Enter");
  await page.getByRole("menu").waitFor();
  await page.keyboard.press("Tab");
  await page.getByRole("menu").waitFor({ state: "detached" });
  await page.getByRole("button", { name: /members/ }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByRole("option").first().waitFor();
  await page.keyboard.press("Escape");
  await eventually("the focus is back on what opened the dialog", async () => /members/.test(await focused(page)));
}

async function isHeard(page) {
  const { bob, room } = stage;
  await page.evaluate(() => {
    window.heard = [];
    const watch = new MutationObserver((changes) => {
      for (const { target } of changes) {
        const live = (target.nodeType === 1 ? target : target.parentElement)?.closest("[aria-live]:not([aria-live=off]), [role=status], [role=alert]");
        if (live?.textContent.trim()) window.heard.push(live.textContent.trim());
      }
    });
    watch.observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "just one" });
  await eventually("it is said", () => page.evaluate(() => window.heard.some((one) => one.includes("just one"))));
  const said = () => page.evaluate(() => [...new Set(window.heard)]);
  same((await said()).filter((one) => one.includes("just one")).length, 1, "how it was said");
  await send(page, "her own");
  await message(page, "her own").waitFor();
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "and his" });
  await eventually("his is said", async () => (await said()).some((one) => one.includes("and his")));
  check(!(await said()).some((one) => one.includes("her own")), "one's own message is said");
  await many(60, 2, (n) => rest(bob, "POST", `/messages/rooms/${room}/`, { body: `flood ${n}` }));
  await eventually("how many is said", async () => (await said()).some((one) => /new messages/.test(one)));
  const all = await said();
  check(all.length < 12, `${all.length} things were said of a flood: ${all.join(" | ")}`);
}

await journey("access", async (browser, step) => {
  const last = await fill();
  const page = await browser.page(0, DESKTOP);
  // A browser without a window refuses unasked.
  const permit = async (one) => (await one.context().newCDPSession(one)).send("Browser.setPermission", { permission: { name: "notifications" }, setting: "prompt", origin: one.door.url });
  await permit(page);
  await signsInByKeys(page);
  await sees(page, last);
  await eventually("everything is loaded", () => page.evaluate(() => Boolean(document.querySelector("cb-chat").alive)));
  await looksGood(page, "a room");
  const isolated = await message(page, "right to left").locator(".body p").evaluate((one) => [getComputedStyle(one).direction, getComputedStyle(one).unicodeBidi]);
  same(isolated, ["rtl", "isolate"], "Hebrew");
  step("signed in by keys; a room with every kind of message");
  await opensAll(page, last, (what) => looksGood(page, what));
  await offline(page);
  step("all that opens in a room, light, dark and large");
  await keysAlone(page);
  step("keys alone do everything, and the focus is never lost");
  await isHeard(page);
  step("a screen reader hears what is new, and is not flooded");
  await page.context().close();

  const phone = await browser.page(1, PHONE);
  await permit(phone);
  await enter(phone, stage.carol, stage.room);
  await send(phone, "from a phone");
  await sees(phone, "from a phone");
  await isAccessible(phone, "a room on a phone");
  await opensAll(phone, "from a phone", (what) => looksGoodOnPhone(phone, what));
  step("all that opens in a room, on a phone");
  await phone.getByRole("link", { name: "Rooms", exact: true }).click();
  await roomLink(phone, "general").waitFor();
  await looksGoodOnPhone(phone, "the list of rooms");
});
