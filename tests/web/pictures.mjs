// Files to look at: pictures in full size, by click and by keys; animations that move, video and sound
// that play in place; and files of every type.

import { DESKTOP, PHONE, check, eventually, isAccessible, isFitting, journey, rest, same, stage } from "./stage.mjs";
import { composer, enter, message, room as roomLink, sees, send, timeline } from "./ui.mjs";

/** A picture with a number in it. */
const draw = (page, number, width = 1600, height = 900) => page.evaluate(async ([n, w, h]) => {
  const canvas = Object.assign(document.createElement("canvas"), { width: w, height: h });
  const pen = canvas.getContext("2d");
  pen.fillStyle = `hsl(${n * 70} 60% 60%)`;
  pen.fillRect(0, 0, w, h);
  pen.font = "300px sans-serif";
  pen.fillStyle = "black";
  pen.fillText(n, 100, 400);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  return [...new Uint8Array(await blob.arrayBuffer())];
}, [number, width, height]);

/** A second of video, recorded by the browser itself. */
const film = (page) => page.evaluate(async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 180 });
  const pen = canvas.getContext("2d");
  const recorder = new MediaRecorder(canvas.captureStream(15), { mimeType: "video/webm" });
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.start();
  for (let n = 0; n < 15; n += 1) {
    pen.fillStyle = `hsl(${n * 24} 80% 50%)`;
    pen.fillRect(0, 0, 320, 180);
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 30)));
  }
  const ended = new Promise((done) => { recorder.onstop = done; });
  recorder.stop();
  await ended;
  return [...new Uint8Array(await new Blob(parts).arrayBuffer())];
});

/** A picture of two frames, each of one pixel. */
const GIF = [..."GIF89a"].map((c) => c.charCodeAt(0)).concat([1, 0, 1, 0, 0x80, 0, 0, 255, 0, 0, 0, 0, 255],
  [0x21, 0xff, 11], [..."NETSCAPE2.0"].map((c) => c.charCodeAt(0)), [3, 1, 0, 0, 0],
  ...[0x44, 0x4c].map((bits) => [0x21, 0xf9, 4, 4, 20, 0, 0, 0, 0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, bits, 1, 0]), 0x3b);

const attached = (page, name) => page.getByRole("list", { name: "Files" }).locator("li").filter({ hasText: name });

/** Picks a file, and sends it with a text. */
async function sendFile(page, name, mimeType, bytes, text) {
  await page.locator("input[type=file]").setInputFiles({ name, mimeType, buffer: Buffer.from(bytes) });
  await attached(page, name).waitFor();
  await eventually(`${name} is stored`, async () => (await attached(page, name).getByRole("progressbar").count()) === 0);
  await send(page, text);
  await sees(page, text);
}

const lightbox = (page, name) => page.getByRole("dialog", { name, exact: true });
const opener = (page, name) => timeline(page).getByRole("button", { name: `Open ${name}` });
/** The picture that is shown in full size: its own width, once it is there. */
const fullSize = (page, name) => eventually(`${name} is there in full size`, async () => {
  const image = lightbox(page, name).getByRole("img", { name });
  return await image.evaluate((one) => one.complete && one.naturalWidth);
});

await journey("pictures", async (browser, step) => {
  const { alice, bob, room } = stage;
  const moving = { ...DESKTOP, reducedMotion: "no-preference" };
  const [hers, his] = [await browser.page(0, moving), await browser.page(1, moving)];
  await hers.context().grantPermissions(["clipboard-read", "clipboard-write"], { origin: hers.door.url });
  await Promise.all([enter(hers, alice, room), enter(his, bob, room)]);
  const other = await rest(alice, "POST", "/rooms/", { org: stage.org, name: "elsewhere", auto_join: true });

  // Before it is sent, one sees what it is; sent, it does not jump when its size is known.
  await hers.locator("input[type=file]").setInputFiles({ name: "one.png", mimeType: "image/png", buffer: Buffer.from(await draw(hers, 1)) });
  await eventually("a small picture of it", () => attached(hers, "one.png").locator("img").evaluate((image) => image.naturalWidth > 0));
  await eventually("it is stored", async () => (await attached(hers, "one.png").getByRole("progressbar").count()) === 0);
  await send(hers, "The first picture");
  const place = timeline(hers).locator(".picture").last();
  await place.waitFor();
  const before = await place.boundingBox();
  check(Math.abs(before.width - 400) <= 1 && Math.abs(before.height - 225) <= 1, `its place is ${before.width} by ${before.height} at once`);
  for (const n of [2, 3]) await sendFile(hers, `${n}.png`, "image/png", await draw(hers, n), `Picture number ${n}`);
  step("pictures have their place at once");

  await sees(his, "Picture number 3");
  for (const name of ["one.png", "2.png", "3.png"]) await opener(his, name).waitFor();
  await opener(his, "2.png").scrollIntoViewIfNeeded();
  await opener(his, "2.png").click();
  same(await fullSize(his, "2.png"), 1600, "pixels of the picture in full size");
  await his.getByText("2 of 3").waitFor();
  await isAccessible(his, "a picture in full size");
  await isFitting(his, "a picture in full size");
  await his.keyboard.press("ArrowRight");
  await fullSize(his, "3.png");
  await his.keyboard.press("ArrowRight");
  await his.keyboard.press("ArrowLeft");
  await his.keyboard.press("ArrowLeft");
  await fullSize(his, "one.png");
  check(await his.getByRole("button", { name: "Previous picture" }).isDisabled(), "there is none before the first");
  await his.keyboard.press("ArrowRight");
  await fullSize(his, "2.png");
  const image = lightbox(his, "2.png").getByRole("img");
  const fitted = (await image.boundingBox()).width;
  check(fitted <= 1200, `it fits: ${fitted}`);
  await his.keyboard.press("+");
  await eventually("it is as large as it is", async () => (await image.boundingBox()).width === 1600);
  await his.keyboard.press("+");
  await eventually("it is twice as large", async () => (await image.boundingBox()).width === 3200);
  await isFitting(his, "an enlarged picture");
  await his.keyboard.press("0");
  await eventually("it fits again", async () => (await image.boundingBox()).width === fitted);
  await image.click();
  await eventually("a click enlarges it", async () => (await image.boundingBox()).width === 1600);
  await image.click();
  await eventually("and another fits it", async () => (await image.boundingBox()).width === fitted);
  await his.keyboard.press("Escape");
  await lightbox(his, "2.png").waitFor({ state: "detached" });
  check(await opener(his, "2.png").evaluate((one) => one === document.activeElement), "the focus is back on the picture");
  step("full size, by keys and click; Escape leads back");

  // By keys alone; the download is a button of its own, and a click on the picture is none.
  await his.keyboard.press("Enter");
  await fullSize(his, "2.png");
  const saved = his.context().waitForEvent("request", (request) => request.isNavigationRequest());
  await his.getByRole("button", { name: "Download", exact: true }).click();
  check(/response-content-disposition=attachment/.test((await saved).url()), "it is saved, not opened");
  await his.getByRole("button", { name: "Close" }).click();
  await lightbox(his, "2.png").waitFor({ state: "detached" });
  await opener(hers, "3.png").click();
  await fullSize(hers, "3.png");
  await hers.getByRole("button", { name: "Copy link" }).click();
  await hers.getByText("Link copied").waitFor({ state: "attached" });
  const link = await hers.evaluate(() => navigator.clipboard.readText());
  const id = Number(await message(hers, "Picture number 3").getAttribute("data-message"));
  same(new URL(link).pathname, `/r/${room}/m/${id}`, "the link to the picture's message");
  await hers.keyboard.press("Escape");
  await lightbox(hers, "3.png").waitFor({ state: "detached" });
  step("keys alone open it; links and downloads are buttons");

  await sendFile(hers, "wave.gif", "image/gif", GIF, "It moves");
  await sees(his, "It moves");
  const wave = timeline(his).getByRole("img", { name: "wave.gif" });
  await wave.waitFor();
  const told = (await rest(bob, "GET", `/messages/rooms/${room}/?limit=1`)).results[0];
  const found = await rest(bob, "GET", `/uploads/${told.upload_id}/`);
  same(new URL(await wave.getAttribute("src")).pathname, new URL(found.download_url).pathname, "what is shown of an animation: the animation");
  await sendFile(hers, "clip.webm", "video/webm", await film(hers), "A film");
  await sees(his, "A film");
  const clip = timeline(his).locator("video[aria-label='clip.webm']");
  await clip.waitFor();
  await eventually("it can be played", () => clip.evaluate((one) => one.readyState >= 1 && one.videoWidth === 320));
  await clip.evaluate((one) => { one.muted = true; return one.play(); });
  await eventually("it plays in place", () => clip.evaluate((one) => one.currentTime > 0));
  await isAccessible(his, "a film");
  step("an animation moves, a film plays in place");

  for (const [name, type] of [["Data.csv", "text/csv"], ["main.rs", ""], ["drawing.svg", "image/svg+xml"], ["page.html", "text/html"], ["README", ""], ["एक बहुत लंबा फ़ाइल नाम जो किसी भी तरह समाप्त नहीं होता और आगे बढ़ता रहता है.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"]]) {
    await sendFile(hers, name, type, Buffer.from(`<script>alert("${name}")</script>`), `A file: ${name.slice(0, 20)}`);
    await timeline(his).getByRole("link", { name: new RegExp(name.slice(0, 12)) }).waitFor();
    const { upload_id: upload } = (await rest(bob, "GET", `/messages/rooms/${room}/?limit=1`)).results[0];
    const answer = await fetch((await rest(bob, "GET", `/uploads/${upload}/`)).download_url);
    const headers = ["content-type", "content-disposition", "x-content-type-options"].map((header) => answer.headers.get(header).split(";")[0]);
    same(headers, ["application/octet-stream", "attachment", "nosniff"], `how ${name} is served`);
  }
  await isFitting(his, "files of every type");
  await isAccessible(his, "files of every type");
  step("files of every type are taken, and none can run");

  const phone = await browser.page(0, PHONE);
  await enter(phone, bob, room);
  await phone.goto(`${phone.door.url}/r/${room}/m/${id}`);
  await opener(phone, "3.png").waitFor();
  await opener(phone, "3.png").tap();
  await fullSize(phone, "3.png");
  await isAccessible(phone, "a picture on a phone");
  await isFitting(phone, "a picture on a phone");
  await phone.getByRole("button", { name: "Close" }).tap();
  await lightbox(phone, "3.png").waitFor({ state: "detached" });
  await roomLink(hers, other.name).click();
  await composer(hers, "Message elsewhere").waitFor();
  await hers.goBack();
  await opener(hers, "3.png").waitFor({ state: "attached" });
  step("on a phone too, and after going elsewhere and back");
});
