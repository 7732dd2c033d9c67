/** A bar at the lower edge that repeats the action of the page's head is there only while the head is out of sight. */
import { onArrival } from "./events.js";

const root = document.documentElement;
let followed: Element | null = null;

const observer = new IntersectionObserver((entries) => {
  root.toggleAttribute("data-head-in-sight", entries.at(-1)?.isIntersecting ?? false);
});

onArrival(() => {
  const bar = document.querySelector("[data-late-bar]");
  const head = bar === null ? null : document.querySelector(".page-header .page-actions");
  if (head === followed) return;
  observer.disconnect();
  root.removeAttribute("data-head-in-sight");
  followed = head;
  if (head !== null) observer.observe(head);
});
