// Texts of every script: the page's functions and the server agree about what a word, a mention, a
// blank and an equal text is; people with any name are offered, mentioned and found; nothing that is
// pasted is cut.

import { readFileSync } from "node:fs";
import { DESKTOP, check, eventually, isAccessible, journey, rest, same, stage } from "./stage.mjs";
import { composer, enter, message, openRoom, sees, send, timeline } from "./ui.mjs";

const cases = JSON.parse(readFileSync(new URL("../cases/text.json", import.meta.url), "utf8"));

/** Runs in the page: the cases that its functions decide otherwise. */
async function disagreements(cases) {
  const { charsIn, excerpt, isBlank } = await import("/chatboard/text.js");
  const { emailKey, identity, loose, mentionsIn, nameKey, withoutCode } = await import("/chatboard/mentions.js");
  const wrong = [];
  const expect = (holds, ...what) => holds || wrong.push(what.map((one) => JSON.stringify(one)).join(" "));
  const mentions = (body, key) => mentionsIn(withoutCode(body).normalize("NFC")).some(({ readings }) => readings.some((one) => one.key === key));
  for (const text of cases.blank) expect(isBlank(text), "blank", text, encodeURI(text));
  for (const text of cases.visible) expect(!isBlank(text), "visible", text);
  for (const [one, other] of cases.same) expect(identity(one) === identity(other), "same", one, other);
  for (const [one, other] of cases.different) expect(identity(one) !== identity(other), "different", one, other);
  for (const [text, part] of cases.found) expect(loose(text).includes(loose(part)), "found", text, part);
  for (const [text, other] of cases.missed) expect(loose(text) !== loose(other), "missed", text, other);
  for (const { first, last, ...lists } of cases.names) {
    for (const body of lists.mentions) expect(mentions(body, nameKey(first, last)), "mentions", first, last, body);
    for (const body of lists.others) expect(!mentions(body, nameKey(first, last)), "others", first, last, body);
  }
  for (const { address, ...lists } of cases.addresses) {
    for (const other of lists.same) expect(emailKey(other) === emailKey(address) && mentions(`ask @${other}, please`, emailKey(address)), "address", address, other);
    for (const other of lists.others) expect(emailKey(other) !== emailKey(address) && !mentions(`ask @${other}, please`, emailKey(address)), "other address", address, other);
  }
  expect(charsIn("🌟e\u0301") === 3, "characters");
  for (const [text, most, expected] of [["abc", 3, "abc"], ["abcd", 3, "abc…"], ["a🌟b", 2, "a…"], ["ae\u0301b", 2, "a…"], ["a👩\u200d💻b", 4, "a…"], ["कृष्ण".repeat(9), 2, "कृ…"]]) {
    expect(excerpt(text, most) === expected, "excerpt", text, most, excerpt(text, most));
  }
  return wrong;
}

/** What the server counted for somebody, and what the page shows. */
async function isMentioned(page, person, text) {
  const counted = async () => (await rest(person, "GET", "/auth/me/unread-counts/")).unread_counts.find((one) => one.room_id === stage.room).mention_count;
  const before = await counted();
  await page.keyboard.type(text);
  await page.keyboard.press("Enter");
  await eventually(`${text} mentions`, async () => (await counted()) === before + 1);
  await message(page, text).locator(".mention").waitFor();
}

await journey("texts", async (browser, step) => {
  const { alice, bob, carol, org, room } = stage;
  const page = await browser.page(0, DESKTOP);
  const rename = (person, first_name, last_name) => rest(person, "PATCH", "/auth/me/", { first_name, last_name });
  await rename(carol, "İlker", "Işık");
  await rename(bob, "कृष्ण", "शर्मा");
  await enter(page, alice, room);
  same(await page.evaluate(disagreements, cases), [], "the page decides otherwise");
  step("the page's functions agree with the table of cases");

  const option = (name) => page.getByRole("option", { name });
  let nth = 0;
  for (const [person, first, last, typed] of [
    [bob, "कृष्ण", "शर्मा", "@कृष"], [bob, "कृष्ण", "शर्मा", "@शर"], [carol, "İlker", "Işık", "@ılk"],
    [bob, "ต้น", "ใจดี", "@ต้น"], [bob, "Zoë", "Brontë", "@zoe\u0308"], [bob, "Νίκος", "Παπάς", "@ΠΑΠΑΣ"],
    [bob, "محمد", "علي", "@محم"], [bob, "ada 🌟", "love", "@ada 🌟"],
  ]) {
    if (await rest(person, "GET", "/auth/me/").then((me) => me.first_name !== first)) {
      await rename(person, first, last);
      await openRoom(page, room);
    }
    // Who is in the room may become known only after the first letters.
    await eventually(`${first} ${last} is offered for ${typed}`, async () => {
      await composer(page).fill("");
      await composer(page).pressSequentially(`for ${typed}`);
      return option(new RegExp(last)).isVisible();
    });
    await page.keyboard.press("Tab");
    await isMentioned(page, person, `case ${(nth += 1)}`);
  }
  step("people with names of every script are offered, and what the page inserts mentions them");

  const { results: [before] } = await rest(alice, "GET", `/messages/rooms/${room}/?limit=1`);
  await send(page, "\u2800\u200b\u3164");
  await send(page, "after what is blank");
  await sees(page, "after what is blank");
  const { results: [, last] } = await rest(alice, "GET", `/messages/rooms/${room}/?limit=2`);
  same(last.id, before.id, "invisible characters are no message");
  const long = "🌟".repeat(10_001);
  await composer(page).click();
  await page.keyboard.insertText(long);
  await page.keyboard.press("Enter");
  await page.getByText("10,000 characters at most").waitFor();
  check((await composer(page).inputValue()) === long, "what is too long is kept whole");
  await composer(page).fill("");
  step("blank texts are not sent, long ones are not cut");

  await rest(carol, "POST", "/rooms/", { org, name: "Überblick" });
  const name = page.getByRole("dialog").getByLabel("Name");
  await page.getByRole("button", { name: "New room" }).click();
  await name.waitFor();
  await page.keyboard.insertText("🌟".repeat(81));
  await page.keyboard.press("Enter");
  await page.getByRole("alert").filter({ hasText: "80 characters" }).waitFor();
  same([...(await name.inputValue())].length, 81, "the name is not cut");
  await name.fill("GENERAL");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").filter({ hasText: "already a room with this name" }).waitFor();
  same(await page.getByRole("button", { name: "Open general" }).evaluate((one) => getComputedStyle(one).borderStyle), "none", "the border of what looks like a link");
  await isAccessible(page, "a room's name that is taken");
  await name.fill("U\u0308BERBLICK");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Join Überblick" }).click();
  await page.getByRole("heading", { name: "Überblick", level: 1 }).waitFor();
  step("a name that is too long is refused whole; for one that is taken the room is offered");

  for (const typed of ["u\u0308berblick", "UBERBLICK", "überblick"]) {
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: /Jump to/ }).waitFor();
    await page.keyboard.insertText(typed);
    await option(/^Überblick/).first().waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
  }
  await openRoom(page, room);
  await timeline(page).locator(".mention").first().waitFor();
  step("rooms are found in any normal form, with and without accents");
});
