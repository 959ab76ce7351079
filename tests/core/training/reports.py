"""A report as the loop makes one: questions, a learning curve, versions."""

from __future__ import annotations

from dataclasses import replace

from core.domain import Passage
from core.learning import Loss, Report
from core.training.evaluation import Written
from core.training.report_of import report_of

HOSTILE = (
    "<img src=x onerror='window.hacked=1'><script>window.hacked=2</script> [x](javascript:window.hacked=3) ![i](https://evil.example/p.png)"
    " `` ``` @everyone | \u202egnp.exe https://evil.example </bdi></dd> {{ 7 * 7 }} <!-- \n\n# head\n\n```\nout"
)
PASSAGE = Passage("p1", "d1", "Returns", "You can return an item within 30 days, in the shop or by post.")
OTHER = Passage("p2", "d2", "Shipping", "A parcel takes three days within the country.")
VERSIONS = {
    "model": "support-llm@8c21d90ab3fe", "against": "support-llm@3f9a1c2b7d04", "index": "1a2b3c4d5e6f",
    "embedder": "sentence-transformers/all-MiniLM-L6-v2@53aa51172d14", "prompt": "answer-0f3c77aa",
    "data": "b1946ac92492d2347c6235b4d2611184" * 2,
    "recipe": "seed=7 epochs=3 learning_rate=0.0002 lora_rank=16",
}  # fmt: skip
_QUESTION = Written("", PASSAGE.text, "", (PASSAGE, OTHER), frozenset({"d1"}), grounded=True, seconds=1.4)


def report(questions: int = 60, said: str = "", versions: dict[str, str] = VERSIONS) -> Report:
    """A version that got better in most answers and worse in a few; `said`: what stands in every text."""
    old, new = [], []
    for number in range(questions):
        asked = replace(_QUESTION, question=f"How do I return item {number}?{said}", reference=PASSAGE.text + said)
        old.append(replace(asked, text=f"Thank you for item {number}. We return to you in 30 days.{said}", grounded=number % 2 == 0))
        new.append(replace(asked, text=f"You can return it within {20 + number % 11} days, in the shop or by post. [1]{said}", seconds=1.5))
        if number % 15 == 0:
            new[-1] = replace(asked, text=f"I don't know.{said}", grounded=False, seconds=0.4)
    losses = [Loss(step, 3.1 * 0.93**step + 0.05, 2.9 * 0.94**step + 0.12 if step % 10 == 0 else None) for step in range(1, 121)]
    return report_of(old, new, losses=losses, versions=versions)
