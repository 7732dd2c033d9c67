/** On the account's pages, the link back leads to the connection that was open last in this tab; without script to the only one, or to all. */

const KEY = "basewarden.connection";

function readLast(): string | null {
  const here = /^\/c\/[^/]+/.exec(location.pathname)?.[0];
  try {
    if (here) sessionStorage.setItem(KEY, here);
    return sessionStorage.getItem(KEY);
  } catch {
    return null; // the browser keeps nothing for this site
  }
}

function pointBack(last: string): void {
  const link = document.querySelector<HTMLAnchorElement>("[data-back-link]");
  const text = link?.querySelector(".sidebar-name");
  const listed = document.querySelector(`.sidebar-list a[href="${CSS.escape(last)}"] .sidebar-name`);
  if (!link || !text || !listed) return;
  link.href = last;
  text.textContent = listed.textContent;
}

const last = readLast();
if (last !== null) pointBack(last);

export {};
