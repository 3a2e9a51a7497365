// Registration by invitation: the page says so instead of showing a form that cannot work.

import { isAccessible, journey, rest, same, stage } from "./stage.mjs";
import { mailLink } from "./ui.mjs";

const grace = `grace.${Date.now()}@chat.test`;

await journey("invited", async (browser, step) => {
  const page = await browser.page(0);
  await page.goto(`${page.door.url}/register`);
  await page.getByRole("heading", { name: "Registration is by invitation" }).waitFor();
  same(await page.locator("input").count(), 0, "fields");
  await isAccessible(page, "registration by invitation");
  step("without an invitation there is no form");

  await rest(stage.alice, "POST", `/orgs/${stage.org}/invite/`, { email: grace });
  await page.goto(page.door.url + await mailLink(grace, /\/invite\//));
  await page.getByText(`Alice invited ${grace} to join`).waitFor();
  for (const [label, value] of Object.entries({ "E-mail": "someone.else@chat.test", Password: "correct horse battery" })) {
    await page.getByLabel(label, { exact: true }).fill(value);
  }
  await page.getByRole("button", { name: "Create account and join" }).click();
  await page.getByRole("alert").filter({ hasText: "for another address" }).waitFor();
  await page.getByLabel("E-mail", { exact: true }).fill(grace);
  await page.getByRole("button", { name: "Create account and join" }).click();
  await page.waitForURL((url) => !url.pathname.startsWith("/invite"));
  const { results } = await rest(stage.alice, "GET", `/orgs/${stage.org}/members/?search=${grace}`);
  same(results.map((one) => one.user_email), [grace], "members");
  step("with one, the invited address registers");
});
