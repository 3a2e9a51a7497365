// Closed registration: the page says so, and leaves signing in to who has an account.

import { isAccessible, journey, rest, same, stage } from "./stage.mjs";
import { mailLink } from "./ui.mjs";

await journey("closed", async (browser, step) => {
  const { alice, mallory, org } = stage;
  const page = await browser.page(0);
  await page.goto(`${page.door.url}/register`);
  await page.getByRole("heading", { name: "Registration is closed" }).waitFor();
  same(await page.locator("input").count(), 0, "fields");
  await isAccessible(page, "closed registration");
  await page.getByRole("link", { name: "Sign in instead" }).click();
  await page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
  step("there is no form to register with");

  await rest(alice, "POST", `/orgs/${org}/invite/`, { email: mallory.email });
  await page.goto(page.door.url + await mailLink(mallory.email, /\/invite\//));
  await page.getByRole("button", { name: "Sign in and join" }).waitFor();
  same(await page.getByRole("radio").count(), 0, "choices");
  await page.getByText(`invited ${mallory.email} to join`).waitFor();
  await page.getByLabel("Password", { exact: true }).fill(mallory.password);
  await page.getByRole("button", { name: "Sign in and join" }).click();
  await page.waitForURL((url) => !url.pathname.startsWith("/invite"));
  same((await rest(mallory, "GET", `/orgs/${org}/`)).role, "MEMBER", "her role");
  step("who has an account signs in and joins");
});
