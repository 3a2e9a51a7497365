// Two people in two browsers, on two edges: what a day of chatting is made of.

import { check, eventually, isAccessible, isFitting, journey, rest, same, stage } from "./stage.mjs";
import { act, agreesWithServer, composer, enter, goTo, message, room as roomLink, sees, send, timeline } from "./ui.mjs";

await journey("conversation", async (browser, step) => {
  const { alice, bob, room } = stage;
  const other = await rest(alice, "POST", "/rooms/", { org: stage.org, name: "elsewhere", access_level: "PUBLIC" });
  await rest(bob, "POST", `/rooms/${other.id}/join/`);
  const [hers, his] = [await browser.page(0), await browser.page(1)];
  await Promise.all([enter(hers, alice, room), enter(his, bob, room)]);
  step("both are in the room");

  await send(hers, "Good morning, *Bob*");
  await sees(his, "Good morning");
  await message(his, "Good morning").locator("em", { hasText: "Bob" }).waitFor();
  await send(his, "Morning! `x = 1`");
  await sees(hers, "Morning!");
  await message(hers, "Morning!").locator("code", { hasText: "x = 1" }).waitFor();
  await his.getByText("Seen by Alice").waitFor();
  step("each sees what the other writes, and that it was seen");

  await composer(his).pressSequentially("Well");
  await hers.getByText(/Bob.* is typing/).waitFor();
  await composer(his).fill("");
  await hers.getByText(/Bob.* is typing/).waitFor({ state: "hidden" });
  step("each sees the other typing");

  await act(hers, "Good morning", "Edit (e)");
  await composer(hers, "Edit").fill("Good evening, Robert");
  await composer(hers, "Edit").press("Enter");
  await message(his, "Robert").getByText("(edited)").waitFor();
  await act(his, "Robert", "React with 👍");
  const thumb = (page) => message(page, "Robert").getByRole("button", { name: /^👍 1/ });
  await thumb(hers).waitFor();
  await thumb(his).click();
  await thumb(hers).waitFor({ state: "detached" });
  step("edits and reactions arrive, and reactions go");

  await act(hers, "Morning!", "Reply (r)");
  await composer(hers).fill("That one?");
  await composer(hers).press("Enter");
  await message(his, "That one?").getByRole("link", { name: /^In reply to/ }).getByText("Morning!").waitFor();
  await act(his, "Morning!", "Delete");
  await message(his, "Morning!").getByRole("button", { name: "Delete", exact: true }).click();
  await message(hers, "That one?").getByRole("link", { name: /^In reply to/ }).getByText("a deleted message").waitFor();
  check(await timeline(hers).getByText("This message was deleted.").count() === 1, "the deleted message stays as such");
  step("replies show what they answer, also when that is deleted");

  // The keys do the same.
  await send(his, "by keyboard");
  await sees(his, "by keyboard");
  await composer(his).press("ArrowUp");
  await composer(his, "Edit").fill("by keyboard alone");
  await composer(his, "Edit").press("Enter");
  await sees(hers, "by keyboard alone");
  await timeline(hers).focus();
  await hers.keyboard.press("ArrowUp");
  await eventually("a message has the focus", () => hers.evaluate(() => document.activeElement.matches("article.message")));
  await hers.keyboard.press("r");
  await hers.getByText(/^Replying to Bob/).waitFor();
  await hers.keyboard.press("Escape");
  await hers.getByText(/^Replying to Bob/).waitFor({ state: "detached" });
  step("keys edit and reply");

  await goTo(his, `/r/${other.id}`);
  await composer(his, "Message elsewhere").waitFor();
  await composer(hers).fill("Hello ");
  await composer(hers).press("End");
  await composer(hers).pressSequentially("@bo");
  await hers.getByRole("option", { name: /Bob/ }).waitFor();
  await composer(hers).press("Enter");
  check(/@\S+ $/.test(await composer(hers).inputValue()), `completed to ${await composer(hers).inputValue()}`);
  await composer(hers).press("Enter");
  await roomLink(his, "general").getByText("1", { exact: true }).waitFor();
  check(await roomLink(his, "general").locator(".badge").count() === 1, "a mention has a badge");
  check((await his.title()).startsWith("(1)"), `the title is ${await his.title()}`);
  await roomLink(his, "general").click();
  await message(his, "Hello").locator(".mention-me").waitFor();
  await roomLink(his, "general").locator(".badge").waitFor({ state: "detached" });
  step("a mention is completed, and asks for attention until it is read");

  await send(hers, "# Title\n\n- one\n- two\n\n```js\nlet a = \"<b>\";\n```\n\n> said\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nhttps://example.test/x and [a name](https://example.test/y)");
  const rich = message(his, "Title");
  for (const part of ["h1", "ul > li:nth-child(2)", "pre code", "blockquote", "table td", "a[href='https://example.test/x']", "a[href='https://example.test/y']"]) {
    await rich.locator(part).first().waitFor();
  }
  same(await rich.locator("pre code").textContent(), "let a = \"<b>\";\n", "a code block is what was written");
  same(await rich.locator("a").first().getAttribute("rel"), "noopener noreferrer nofollow", "links know nothing of us");
  await send(hers, "שלום עולם");
  same(await message(his, "שלום").locator("p").evaluate((one) => getComputedStyle(one).direction), "rtl", "direction of Hebrew");
  step("Markdown, code, links and text from right to left");

  await his.evaluate(() => (document.documentElement.dir = "rtl"));
  const edges = (of) => of.evaluate((one) => [one.getBoundingClientRect().left, one.getBoundingClientRect().right]);
  const [[roomsFrom], [, mainTo]] = [await edges(his.getByRole("navigation", { name: "Rooms" })), await edges(his.getByRole("main"))];
  check(roomsFrom >= mainTo - 1, `the rooms begin at ${roomsFrom}, right of what ends at ${mainTo}`);
  const [[author], [, text]] = [await edges(message(his, "שלום").locator(".message-side")), await edges(message(his, "שלום").locator(".body"))];
  check(author >= text - 1, `who speaks is at ${author}, right of the text up to ${text}`);
  await isFitting(his, "from right to left");
  await isAccessible(his, "the room from right to left");
  await his.evaluate(() => document.documentElement.removeAttribute("dir"));
  step("all of it mirrored for who reads from right to left");

  await isAccessible(hers, "the room");
  for (const [page, person, name] of [[hers, alice, "alice"], [his, bob, "bob"]]) await agreesWithServer(page, person, room, name);
});
