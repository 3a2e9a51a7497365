// A new account where addresses must be verified: from the form over the mail to an organization of
// one's own, and by an invitation; what the page says is not open to one.

import { eventually, isAccessible, journey, rest, same, stage } from "./stage.mjs";
import { mailLink, signIn } from "./ui.mjs";

const at = (name) => `${name}.${Date.now()}@chat.test`;
const [erin, frank, password] = [at("erin"), at("frank"), "correct horse battery"];

async function fill(page, fields) {
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(value);
}

const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
const saysAlert = (page, text) => page.getByRole("alert").filter({ hasText: text }).first().waitFor();

await journey("registration", async (browser, step) => {
  const { alice, org } = stage;
  const page = await browser.page(0);
  await page.goto(`${page.door.url}/register`);
  await page.getByRole("heading", { name: "Create account" }).waitFor();
  await isAccessible(page, "a new account");
  await fill(page, { "First name": "Erin", "E-mail": erin, Password: password });
  await press(page, "Create account");
  const banner = page.getByRole("complementary", { name: "Verify your e-mail address" });
  await banner.waitFor();
  await page.getByText("You aren't in an organization yet").waitFor();
  await isAccessible(page, "a banner");
  await page.goto(`${page.door.url}/orgs/new`);
  await fill(page, { Name: "Erin & Co" });
  await press(page, "Create organization");
  await saysAlert(page, "verify your e-mail address first");
  step("an unverified account is told so, and creates no organization");

  const first = await mailLink(erin, /\/verify-email\//);
  await banner.getByRole("button", { name: "Resend" }).click();
  await banner.getByText("A new link is on its way").waitFor();
  const second = await eventually("another link", async () => {
    const link = await mailLink(erin, /\/verify-email\//);
    return link === first ? null : link;
  });
  await page.goto(page.door.url + second);
  await page.getByRole("heading", { name: "Verify your e-mail address" }).waitFor();
  await isAccessible(page, "a link that verifies");
  await press(page, "Verify e-mail address");
  await page.getByRole("heading", { name: "Your e-mail address is verified" }).waitFor();
  await page.goto(page.door.url + first);
  await press(page, "Verify e-mail address");
  await saysAlert(page, "verified already");
  await page.goto(`${page.door.url}/orgs/new`);
  await fill(page, { Name: "Erin & Co" });
  await press(page, "Create organization");
  await page.waitForURL(/\/orgs\/\d+\/settings\/invites/);
  same(await banner.count(), 0, "banners");
  step("the mailed link verifies the address, and the organization is created");

  // The link that is handed over, then the mailed one.
  const { token } = await rest(alice, "POST", `/orgs/${org}/invite/`, { email: frank });
  const his = await browser.page(1);
  await his.goto(`${his.door.url}/invite/?token=${token}`);
  await fill(his, { "First name": "Frank", "E-mail": frank, Password: password });
  await press(his, "Create account and join");
  await saysAlert(his, "Verify your e-mail address first");
  await press(his, "Send the verification mail again");
  await saysAlert(his, "A new link is on its way");
  await his.goto(his.door.url + await mailLink(frank, /\/invite\//));
  await press(his, "Accept invitation");
  await his.waitForURL((url) => !url.pathname.startsWith("/invite"));
  const { results } = await rest(alice, "GET", `/orgs/${org}/members/?search=${frank}`);
  same(results.map((one) => one.user_email_verified), [true], "whether his address is verified");
  step("the mailed invitation verifies an address, the link that is handed over does not");

  // What an admin has a private room sent to is told to everyone in it.
  const room = await rest(alice, "POST", "/rooms/", { org, name: "secret", access_level: "PRIVATE" });
  await rest(alice, "POST", "/webhooks/", { org, url: "https://hooks.example.com/x", events: ["message.created"], include_private: true });
  const hers = await browser.page(0);
  await signIn(hers, alice, `/r/${room.id}/settings`);
  await hers.getByRole("list", { name: "Webhooks" }).getByText("hooks.example.com").waitFor();
  await isAccessible(hers, "a private room's settings");
  step("a private room's settings name the webhooks that hear it");
});
