/** A form with data-checking="<id>" shows that element, and the seconds, while the server tries what was entered. */

const timers = new Map<HTMLElement, number>();

function show(element: HTMLElement): void {
  const seconds = element.querySelector("[data-checking-seconds]");
  const started = Date.now();
  const count = (): void => {
    if (seconds) seconds.textContent = `${Math.floor((Date.now() - started) / 1000)} s`;
  };
  element.hidden = false;
  count();
  timers.set(element, window.setInterval(count, 1000));
}

function hide(element: HTMLElement): void {
  window.clearInterval(timers.get(element));
  timers.delete(element);
  element.hidden = true;
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  const element = form instanceof HTMLFormElement ? document.getElementById(form.dataset["checking"] ?? "") : null;
  if (!element) return;
  if (timers.has(element)) event.preventDefault(); // it is being tried already
  else show(element);
});

// The browser may bring a page back as it was left.
addEventListener("pageshow", () => {
  for (const element of [...timers.keys()]) hide(element);
});
