// Shows what is new without a reload: at once when the live stream says so, else now and then.
// A page that nobody uses any more stops asking, so that its session can end.

const IDLE = 15 * 60 * 1000;
let used = Date.now();
let known;
for (const name of ["pointerdown", "keydown", "scroll"]) addEventListener(name, () => { used = Date.now(); }, { passive: true });

async function refresh(part) {
  if (document.hidden || Date.now() - used > IDLE) return;
  const response = await fetch(part.dataset.refresh, { headers: { accept: "text/html" }, redirect: "manual" });
  if (!response.ok) return;
  const html = await response.text();
  if (html === part.dataset.shown || part.contains(document.activeElement)) return; // never under somebody's hands
  part.dataset.shown = html;
  part.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
}

const parts = [...document.querySelectorAll("[data-refresh]")];
for (const part of parts) setInterval(() => refresh(part).catch(() => {}), part.dataset.every * 1000);
document.addEventListener("live:counts", ({ detail }) => {
  const told = `${detail.handoffs} ${detail.claimed}`;
  if (told !== known) for (const part of parts) refresh(part).catch(() => {});
  known = told;
});
