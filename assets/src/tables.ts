/** Folds the list of tables beside a grid, and unfolds it. A cookie keeps the choice, so that the next page comes as it was left. */
import { onClick } from "./events.js";

const COOKIE = "basewarden.tables";
const YEAR = 365 * 24 * 60 * 60;

onClick("[data-tables-toggle]", (button) => {
  const layout = button.closest(".data-layout");
  if (!layout) return;
  const isFolded = layout.classList.toggle("is-folded");
  button.setAttribute("aria-expanded", String(!isFolded));
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${COOKIE}=${isFolded ? "folded" : ""}; Path=/; Max-Age=${isFolded ? YEAR : 0}; SameSite=Lax${secure}`;
});
