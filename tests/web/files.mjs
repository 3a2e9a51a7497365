// Files: picked, dropped and pasted; straight from the browser into the object store, and seen by
// the other, small at first. What the store or the API refuses is said beside the file.

import { check, eventually, isAccessible, journey, rest, same, stage } from "./stage.mjs";
import { act, composer, enter, goTo, message, openRoom, sees, send, timeline } from "./ui.mjs";

/** A picture that is drawn in the page: its bytes. */
const draw = (page, width, height) => page.evaluate(async ([w, h]) => {
  const canvas = Object.assign(document.createElement("canvas"), { width: w, height: h });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "teal";
  pen.fillRect(0, 0, w, h / 2);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  return [...new Uint8Array(await blob.arrayBuffer())];
}, [width, height]);

/** Gives the composer files as a drop or a paste does. */
const hand = (page, event, name, type, bytes) => composer(page).evaluate((field, given) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(given.bytes)], given.name, { type: given.type }));
  const made = given.event === "paste"
    ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
    : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
  field.dispatchEvent(made);
}, { event, name, type, bytes: [...bytes] });

const attached = (page, name) => page.getByRole("list", { name: "Files" }).locator("li").filter({ hasText: name });
const stored = async (page, name) => {
  await attached(page, name).waitFor();
  await eventually(`${name} is stored`, async () => (await attached(page, name).getByRole("progressbar").count()) === 0);
};

await journey("files", async (browser, step) => {
  const { alice, bob, room } = stage;
  const other = await rest(alice, "POST", "/rooms/", { org: stage.org, name: "elsewhere", access_level: "PUBLIC" });
  const [hers, his] = [await browser.page(0), await browser.page(1)];
  await Promise.all([enter(hers, alice, room), enter(his, bob, room)]);

  const picture = await draw(hers, 1600, 800);
  await hers.locator("input[type=file]").setInputFiles({ name: "sea.png", mimeType: "image/png", buffer: Buffer.from(picture) });
  await stored(hers, "sea.png");
  await send(hers, "The sea, today");
  await sees(his, "The sea, today");
  const seen = timeline(his).getByRole("img", { name: "sea.png" });
  await seen.waitFor();
  // Until its preview is made, the picture itself is shown.
  await eventually("the preview is there, sharp on every display", () => seen.evaluate((image) => image.complete && image.naturalWidth === 960));
  const box = await timeline(his).locator(".picture").boundingBox();
  check(Math.abs(box.width / box.height - 2) < 0.05, `its place has its shape: ${box.width} by ${box.height}`);
  step("a picture was picked, and the other sees it");

  await hand(hers, "drop", "notes.txt", "text/plain", Buffer.from("first line\n"));
  await stored(hers, "notes.txt");
  await hand(hers, "paste", "more.txt", "text/plain", Buffer.from("second line\n"));
  await stored(hers, "more.txt");
  await composer(hers).press("Enter");
  for (const name of ["notes.txt", "more.txt"]) await timeline(his).getByRole("link", { name }).waitFor();
  const last = (await rest(bob, "GET", `/messages/rooms/${room}/?limit=1`)).results[0];
  const { download_url: url } = await rest(bob, "GET", `/uploads/${last.upload_id}/`);
  const [text, isThere] = await his.evaluate(async (from) => {
    const answer = await fetch(from);
    return [await answer.text(), answer.ok];
  }, url);
  same([text, isThere], ["second line\n", true], "what was pasted");
  step("files were dropped and pasted");

  await hers.locator("input[type=file]").setInputFiles({ name: "empty.txt", mimeType: "text/plain", buffer: Buffer.alloc(0) });
  await attached(hers, "empty.txt").getByText("This file is empty.").waitFor();
  const fake = Buffer.from("<script>alert(1)</script>");
  await hers.locator("input[type=file]").setInputFiles({ name: "fake.png", mimeType: "image/png", buffer: fake });
  await attached(hers, "fake.png").locator("small").filter({ hasText: "This isn't a picture that can be shown." }).waitFor();
  await isAccessible(hers, "files that were refused");
  for (const name of ["empty.txt", "fake.png"]) await hers.getByRole("button", { name: `Remove ${name}` }).click();
  step("what is refused is said beside the file");

  // On a slow line one sees how far a file is, and may think better of it.
  const line = await hers.context().newCDPSession(hers);
  const slow = (bytes) => line.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: bytes });
  const given = [];
  hers.on("requestfailed", (request) => request.method() === "PUT" && given.push(request.failure().errorText));
  await slow(100_000);
  await hers.locator("input[type=file]").setInputFiles({ name: "large.txt", mimeType: "text/plain", buffer: Buffer.alloc(1_000_000, "many words\n") });
  const bar = attached(hers, "large.txt").getByRole("progressbar", { name: "Uploading large.txt" });
  const part = () => bar.evaluate(({ value }) => value);
  const seenPart = await eventually("some of it is there", async () => (await part()) > 0 && part());
  check(seenPart < 1, `${seenPart} of it is there at once`);
  await eventually("more of it is there", async () => (await part()) > seenPart);
  await send(hers, "Not yet");
  await hers.getByRole("alert").filter({ hasText: "Still uploading" }).waitFor();
  await hers.getByRole("button", { name: "Remove large.txt" }).click();
  await attached(hers, "large.txt").waitFor({ state: "detached" });
  await eventually("nothing more of it is sent", () => given.length > 0);
  same(given, ["net::ERR_ABORTED"], "what became of it");
  await slow(-1);
  step("an upload shows how far it is, and stops when it is removed");

  // What cannot be had for a moment is not gone, and says so.
  const refuse = (page, address) => page.route(address, (route) => route.fulfill({ status: 500, contentType: "application/problem+json", body: '{"title":"Not now."}' }));
  const asked = /\/api\/v1\/uploads\/[^/]+\/$/;
  await refuse(his, asked);
  await openRoom(his, room);
  await timeline(his).getByText("Couldn't load sea.png: Not now.").waitFor();
  same(await timeline(his).getByText("no longer available").count(), 0, "files that are gone");
  await timeline(his).getByRole("link", { name: "notes.txt" }).click();
  await timeline(his).getByRole("alert").filter({ hasText: "Couldn't load notes.txt: Not now." }).waitFor();
  await isAccessible(his, "files that cannot be loaded now");
  await his.unroute(asked);
  await timeline(his).locator("cb-file").filter({ hasText: "sea.png" }).getByRole("button", { name: "Try again" }).click();
  await seen.waitFor();
  step("a picture that could not be asked for is asked for again");

  // A file that failed is not left behind; what is begun in a room is there when one comes back.
  const away = async (where) => {
    await goTo(hers, where);
    await hers.getByRole("heading", { level: 1 }).filter({ hasNotText: "general" }).waitFor();
    await eventually("nothing of it is elsewhere", async () => (await hers.getByRole("list", { name: "Files" }).count()) === 0);
    await goTo(hers, `/r/${room}`);
    await hers.getByRole("heading", { level: 1, name: "general" }).waitFor();
  };
  const signed = "**/uploads/presign/";
  await refuse(hers, signed);
  await act(hers, "The sea, today", "Reply (r)");
  await hers.locator("input[type=file]").setInputFiles({ name: "late.txt", mimeType: "text/plain", buffer: Buffer.from("late\n") });
  await attached(hers, "late.txt").getByText("Not now.").waitFor();
  await send(hers, "With a file");
  await hers.getByRole("alert").filter({ hasText: "Couldn't upload late.txt. Try again" }).waitFor();
  await isAccessible(hers, "a file that failed");
  await hers.unroute(signed);
  await away(`/r/${other.id}`);
  await hers.getByRole("button", { name: "Try again: late.txt" }).click();
  await attached(hers, "late.txt").getByRole("button", { name: /Try again/ }).waitFor({ state: "detached" });
  await stored(hers, "late.txt");
  await away("/notifications");
  await attached(hers, "late.txt").waitFor();
  await hers.getByText("Replying to").waitFor();
  same(await composer(hers).inputValue(), "With a file", "what was written");
  await composer(hers).press("Enter");
  await sees(his, "With a file");
  await timeline(his).getByRole("link", { name: "late.txt" }).waitFor();
  const sent = (await rest(bob, "GET", `/messages/rooms/${room}/?limit=1`)).results[0];
  check(sent.reply_to && sent.upload_id, `it is a reply with a file: ${JSON.stringify(sent)}`);
  await composer(hers).fill("a draft");
  await act(hers, "With a file", "Edit (e)");
  await composer(hers, "Edit").fill("With a file, late");
  await away(`/r/${other.id}`);
  same(await composer(hers, "Edit").inputValue(), "With a file, late", "the edit");
  await composer(hers, "Edit").press("Enter");
  await message(his, "With a file, late").waitFor();
  same(await eventually("the draft is back", () => composer(hers).inputValue()), "a draft", "the draft");
  step("files, a reply and an edit are kept while one looks elsewhere");

  await send(hers, "That is all");
  await sees(his, "That is all");
  same((await hers.evaluate(() => window.violations)).concat(await his.evaluate(() => window.violations)), [], "violations");
});
