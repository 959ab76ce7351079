// Shows what is new without a reload; a page that nobody uses any more stops asking, so that its session can end.

const EVERY = 4000;
const IDLE = 15 * 60 * 1000;
let used = Date.now();
for (const name of ["pointerdown", "keydown", "scroll"]) addEventListener(name, () => { used = Date.now(); }, { passive: true });

async function refresh(part) {
  const response = await fetch(part.dataset.refresh, { headers: { accept: "text/html" }, redirect: "manual" });
  if (!response.ok) return;
  const html = await response.text();
  if (html === part.dataset.shown || part.contains(document.activeElement)) return; // never under somebody's hands
  part.dataset.shown = html;
  part.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
}

setInterval(() => {
  if (document.hidden || Date.now() - used > IDLE) return;
  for (const part of document.querySelectorAll("[data-refresh]")) refresh(part).catch(() => {});
}, EVERY);
