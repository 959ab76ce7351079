"""The rows that are written together: new ones are read in, then each forward pass adds a token, or several, to every row."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch

from core.serving import prefix_tuning
from core.serving.prefixes import Prefixes
from core.serving.rows import Row, agreed, guess
from core.serving.slots import Slots

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Sizes(NamedTuple):
    """How much is done at once."""

    rows: int = 32  # answers written together
    tokens_read: int = 512  # of new prompts, before running answers get their next token; 512 keep two cores busy for 0.5 s
    guesses: int = 7  # looked at in one pass: alone, 49 instead of 27 tokens/s with 7, 45 with 15; from four rows on nothing is gained
    prefix_bytes: int = 256 * 2**20  # of beginnings kept: 5,600 tokens of SmolLM2-135M in fp32


class Batch:
    """Rows on one model, in slots of their own. Whatever fails leaves `rows` as they were: they can be read in again."""

    def __init__(self, model: PreTrainedModel, ends: Collection[int], sizes: Sizes, ahead: torch.Tensor | None = None) -> None:
        """Write with `model`; `ahead`, a prefix that was tuned, stands in front of every row."""
        self.rows: list[Row] = []
        self._model = model
        self._ends = ends
        self._sizes = sizes
        self._ahead = [] if ahead is None else [ahead]
        self._offset = sum(map(len, self._ahead))  # where the first token of a row stands
        self._slots = self._empty()
        self._prefixes = Prefixes(sizes.prefix_bytes)

    def admit(self, waiting: Iterable[Row], room: int) -> list[Row]:
        """Return who of `waiting` is to be read in together now, at least the first if there is room."""
        admitted: list[Row] = []
        longest = 0
        for row in waiting:
            longest = max(longest, len(row.tokens) - self._prefixes.covers(row.tokens))
            if len(admitted) >= room or (admitted and longest * (len(admitted) + 1) > self._sizes.tokens_read):
                break
            admitted.append(row)
        return admitted

    def join(self, rows: list[Row]) -> None:
        """Read prompts in and write the first token of each."""
        first = len(self.rows)
        starts = [self._slots.write(first + number, [*self._ahead, *self._prefixes.find(row.tokens)]) for number, row in enumerate(rows)]
        new = [row.tokens[start - self._offset :] for row, start in zip(rows, starts, strict=True)]
        lasts = sorted({len(tokens) - 1 for tokens in new})
        # Of all positions only the last of a row is asked for its successor: the head is a fifth of SmolLM2-135M.
        chosen = self._choose(first, new, starts, torch.tensor(lasts))
        for number, row in enumerate(rows):
            self._prefixes.keep(row.tokens, partial(self._read, first + number))
        self.rows += rows
        for row, tokens, choices in zip(rows, new, chosen, strict=True):
            row.take([choices[lasts.index(len(tokens) - 1)]], self._ends)
        self.settle()

    def step(self) -> None:
        """Add to every row the tokens that the model would write one by one."""
        guesses = self._guesses()
        new = [[row.tokens[-1], *guessed] for row, guessed in zip(self.rows, guesses, strict=True)]
        chosen = self._choose(0, new, [self._offset + len(row.tokens) - 1 for row in self.rows], 0)
        for row, guessed, choices in zip(self.rows, guesses, chosen, strict=True):
            row.take(choices[: agreed(guessed, choices)], self._ends)
        self.settle()

    def settle(self) -> None:
        """Free the slots of rows that are done or no longer wanted."""
        for number in reversed(range(len(self.rows))):
            if self.rows[number].is_done or self.rows[number].request.cancelled:
                last = self.rows.pop()
                if number < len(self.rows):
                    self._slots.move(len(self.rows), number, self._offset + len(last.tokens))
                    self.rows[number] = last

    def clear(self) -> list[Row]:
        """Give all memory back; return the rows that were running."""
        rows, self.rows = self.rows, []
        self._slots = self._empty()
        self._prefixes.clear()
        return rows

    def _empty(self) -> Slots:
        config = self._model.config.get_text_config()
        slots = Slots(int(config.num_hidden_layers))
        for matrix in self._ahead:
            _, heads, width = prefix_tuning.shape_of(config.to_dict())
            slots.open(heads, width, matrix)
        return slots

    def _read(self, slot: int, start: int, end: int) -> torch.Tensor:
        return self._slots.read(slot, self._offset + start, self._offset + end)

    def _guesses(self) -> list[list[int]]:
        each = self._sizes.guesses // len(self.rows)
        return [guess(row.tokens, min(each, row.left - 1)) if each > 1 else [] for row in self.rows]

    def _choose(self, first: int, new: list[list[int]], starts: list[int], keep: torch.Tensor | int) -> list[list[int]]:
        """Run tokens of rows that begin at `starts`; return the most likely successors at the positions `keep` (0: all)."""
        device = self._model.device
        width = max(map(len, new))
        # What fills short rows up is written behind their end, where nothing looks before it is written over.
        ids = torch.tensor([tokens + [0] * (width - len(tokens)) for tokens in new], device=device)
        positions = torch.tensor(starts, device=device)[:, None] + torch.arange(width, device=device)
        seen = torch.arange(self._slots.aim(first, positions), device=device) <= positions[..., None]
        hidden = torch.finfo(self._model.dtype).min
        mask = torch.zeros(seen.shape, dtype=self._model.dtype, device=device).masked_fill_(~seen, hidden)[:, None]
        logits = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self._slots,
            use_cache=True,
            logits_to_keep=keep.to(device) if isinstance(keep, torch.Tensor) else keep,
        ).logits
        chosen: list[list[int]] = logits.argmax(-1).tolist()
        return chosen
