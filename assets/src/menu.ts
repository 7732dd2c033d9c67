/** A menu that opens in place closes when another place is pressed, and by Escape, which gives the focus back. */

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.menu[open]")) {
    if (event.target instanceof Node && event.target.isConnected && !menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && event.target instanceof Element ? event.target.closest<HTMLDetailsElement>("details.menu[open]") : null;
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary")?.focus();
});
