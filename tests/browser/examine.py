"""What every page is examined for: axe-core in both themes and widths, no overflow, and the keyboard alone.

A page is loaded once; the theme is the browser's and the width the window's, and neither needs another page.
"""

from typing import Any, Literal

from playwright.async_api import Page, expect

WIDTHS = (1280, 390)
HEIGHT = 844
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
RULES = {
    "light": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "dark": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
}
"""In the dark only what may find something there and nothing by day: the themes differ in colours alone."""

AXE = """async ([scope, runOnly]) => {
  const report = await axe.run(scope ?? document, {runOnly, resultTypes: ['violations']});
  const found = report.violations.flatMap(({id, nodes}) => nodes.map(({html}) => `${id}: ${html}`));
  if (document.documentElement.scrollWidth > innerWidth) found.push('is wider than the window');
  return found;
}"""


STILL = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync('*, *::before, *::after { transition: none !important; animation: none !important; }');
  document.adoptedStyleSheets = [sheet];
}"""


async def look_for_violations(page: Page, axe_source: str, scope: str | None = None) -> list[str]:
    """Of the page as it is, or of the part that a selector finds. Nothing on it moves from then on."""
    await page.wait_for_load_state("load")
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(axe_source)
        await page.evaluate(STILL)
    found: list[str] = []
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": HEIGHT})
        for theme in THEMES:
            await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            problems: list[str] = await page.evaluate(AXE, [scope, RULES[theme]])
            found += [f"{theme} {width}: {problem}" for problem in problems]
    await page.emulate_media(color_scheme="light", reduced_motion="reduce")
    await page.set_viewport_size({"width": WIDTHS[0], "height": HEIGHT})
    return found


WATCH = """scope => {
  const INTERACTIVE = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [contenteditable]';
  const REACHED_OTHERWISE = '.cell-edit, [role=option]';  // by Enter and F2 on its cell; by the arrow keys
  const MARKED_BY_CARET = '.palette-input';
  const root = scope === null ? document.body : document.querySelector(scope);
  const faults = new Set(), seen = [];
  let isOver = false, mayWrap = true;  // the walk begins where the page or the dialog has put the focus
  const name = element => {
    const text = element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent ?? element.textContent;
    return `<${element.localName} ${element.type ?? ''}> ${text.trim().replace(/\\s+/g, ' ').slice(0, 60)}`;
  };
  const around = element => [element, ...(element.labels ?? []), element.closest('.link-card')].filter(one => one);
  const isMarked = element => around(element).some(one => {
    const style = getComputedStyle(one);
    const isOutlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
    return one.matches(MARKED_BY_CARET) || isOutlined && !/, 0\\)|transparent/.test(style.outlineColor);
  });
  const isCovered = element => around(element).every(one => [...one.getClientRects()].every(box => {
    const x = (Math.max(box.left, 0) + Math.min(box.right, innerWidth)) / 2;
    const y = (Math.max(box.top, 0) + Math.min(box.bottom, innerHeight)) / 2;
    const top = box.width < 2 || box.height < 2 ? null : document.elementFromPoint(x, y);
    return top === null || !(one.contains(top) || top.contains(one));
  }));
  const leave = () => {
    const last = document.activeElement;
    if (root.contains(last) && last !== document.body && isCovered(last)) faults.add(`focused out of sight: ${name(last)}`);
  };
  const arrive = ({target}) => {
    const before = seen.at(-1);
    if (before?.isConnected && !before.matches(MARKED_BY_CARET) && isMarked(before) && !around(before).some(one => one.contains(target)))
      faults.add(`marked without the focus: ${name(before)}`);
    if (!root.contains(target)) {
      if (root.localName === 'dialog') faults.add(`outside of the dialog: ${name(target)}`);
      return;
    }
    if (isOver || target === seen[0]) return void (isOver = true);
    if (!isMarked(target)) faults.add(`focus is not visible: ${name(target)}`);
    const isBack = before?.isConnected && !(before.compareDocumentPosition(target) & Node.DOCUMENT_POSITION_FOLLOWING);
    if (isBack && !mayWrap) faults.add(`out of order: ${name(target)} after ${name(before)}`);
    mayWrap &&= !isBack;
    seen.push(target);
  };
  const list = () => [...root.querySelectorAll(INTERACTIVE)].filter(element =>
    element.checkVisibility({visibilityProperty: true, contentVisibilityAuto: true})
    && !element.disabled && !element.closest('[inert], [aria-hidden=true]') && !element.matches(REACHED_OTHERWISE)
    && (element.localName !== 'summary' || element.matches('details > summary:first-of-type')));
  const isReached = element => seen.includes(element)
    || element.type === 'radio' && seen.some(one => one.type === 'radio' && one.name === element.name && one.form === element.form);
  document.addEventListener('focusin', arrive, true);
  document.addEventListener('keydown', leave, true);
  window.keyboardWalk = {
    isOver: () => isOver,
    end() {
      document.removeEventListener('focusin', arrive, true);
      document.removeEventListener('keydown', leave, true);
      for (const element of list()) if (!isReached(element)) faults.add(`Tab does not reach ${name(element)}`);
      return [...faults];
    },
  };
  return list().length;
}"""
SKIP = """() => {
  const link = document.querySelector('.skip-link'), first = document.querySelector('a, button, input, summary');
  link?.focus();
  return link === first;
}"""
SKIPPED = "document.querySelector('main').contains(document.activeElement)"


async def walk_by_keyboard(page: Page, scope: str | None = None) -> list[str]:
    """Goes through the page, or what is open in it, by Tab: what is not reached, not in order, or has no visible focus."""
    count = await page.evaluate(WATCH, scope)
    for press in range(2 * count + 10):
        await page.keyboard.press("Tab")
        if press >= count and await page.evaluate("keyboardWalk.isOver()"):
            break
    faults: list[str] = await page.evaluate("keyboardWalk.end()")
    return faults


async def use_skip_link(page: Page) -> list[str]:
    if not await page.evaluate(SKIP):
        return ["the skip link does not come first"]
    await page.keyboard.press("Enter")
    return [] if await page.evaluate(SKIPPED) else ["the skip link does not lead to the content"]


OPENERS = """() => [...document.querySelectorAll('[data-dialog], [popovertarget], [data-palette-open]')]
  .filter(one => one.checkVisibility({visibilityProperty: true}))
  .map((one, index) => {
    one.dataset.opener = index;
    return [String(index), one.dataset.dialog ?? one.getAttribute('popovertarget') ?? 'palette'];
  })"""
IS_OPEN = "id => document.getElementById(id).matches(':modal, :popover-open')"
HAS_FOCUS = "selector => document.activeElement === document.querySelector(selector)"


async def try_overlays(page: Page, axe_source: str, known: set[str]) -> list[str]:
    """Opens each dialog and menu of the page that is not `known` yet: by keyboard, with axe-core, and out by Escape."""
    found: list[str] = []
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": HEIGHT})
        for opener, overlay in await page.evaluate(OPENERS):
            if overlay not in known:
                known.add(overlay)
                problems = await _try_overlay(page, axe_source, f"[data-opener='{opener}']", overlay, width)
                found += [f"{overlay}: {problem}" for problem in problems]
    await page.set_viewport_size({"width": WIDTHS[0], "height": HEIGHT})
    return found


async def _try_overlay(page: Page, axe_source: str, opener: str, overlay: str, width: int) -> list[str]:
    await page.locator(opener).focus()
    await page.keyboard.press("Enter")
    if not await page.evaluate(IS_OPEN, overlay):
        return ["Enter does not open it"]
    scope = await page.evaluate("id => `${document.getElementById(id).localName}#${id}`", overlay)
    found: list[str] = []
    if scope.startswith("dialog") and not await page.evaluate(
        f"document.querySelector('{scope}').contains(document.activeElement)"
    ):
        found.append("does not take the focus")
    await expect(page.locator(".htmx-request")).to_have_count(0)  # what it shows may come when it opens
    found += await walk_by_keyboard(page, scope)
    if width == WIDTHS[0]:
        found += await look_for_violations(page, axe_source, scope)
    await page.locator(f"{scope} :is(a, button:enabled, input:enabled)").first.focus()
    await page.keyboard.press("Escape")
    if await page.evaluate(IS_OPEN, overlay):
        found.append("Escape does not close it")
    if not await page.evaluate(HAS_FOCUS, opener):
        found.append("does not give the focus back")
    return found


async def examine(page: Page, axe_source: str, known: set[str]) -> list[str]:
    """All of it, of the page that is open."""
    found = await look_for_violations(page, axe_source)
    found += await walk_by_keyboard(page)
    found += await use_skip_link(page)
    return found + await try_overlays(page, axe_source, known)


async def press(page: Page, *keys: str) -> None:
    for key in keys:
        await page.keyboard.press(key)


async def tab_to(page: Page, name: str, *, most: int = 60) -> None:
    """Presses Tab until the element with this text, label or title has the focus."""
    for _ in range(most):
        await page.keyboard.press("Tab")
        focused = await page.evaluate(
            "((document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()"
            " || document.activeElement.title).replaceAll(/\\s+/g, ' ')"
        )
        if focused.startswith(name):
            return
    raise AssertionError(f"Tab does not reach {name}")


async def find_violations(page: Page, path: str, axe_source: str) -> list[str]:
    await page.goto(path)
    return await look_for_violations(page, axe_source)


def list_found(found: dict[str, list[str]]) -> dict[str, Any]:
    """Of these pages, those with problems."""
    return {path: problems for path, problems in found.items() if problems}
