// Follows a version that is being published, and shows the page anew when it is there.
const EVERY = 700; // milliseconds
const STEPS = { "": "Beginning", embed: "Embedding", index: "Indexing", calibrate: "Calibrating" };

const card = document.querySelector("#publishing");
const step = document.querySelector("#step");
const bar = document.querySelector("#done");

async function follow() {
  try {
    const answer = await fetch(card.dataset.progress, { headers: { accept: "application/json" } });
    const stage = answer.ok ? await answer.json() : { is_running: false };
    if (!stage.is_running) {
      location.reload();
      return;
    }
    const said = `${STEPS[stage.step] ?? stage.step} …`;
    if (step.textContent !== said) step.textContent = said;
    bar.max = stage.total || 1;
    bar.value = stage.done;
  } catch {
    // The server restarts perhaps; it is asked again.
  }
  setTimeout(follow, EVERY);
}

if (card) setTimeout(follow, EVERY);
