"""Keys and values of all running rows, written in place: a row is a slot, a token is a position in it.

transformers' own dynamic cache is a new, longer tensor at each token: for 16 rows of 300 tokens of SmolLM2-135M that copies 220 MB
for each token written. Here a token costs its own 46 KB, and a row that leaves makes room by moving one other row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

if TYPE_CHECKING:
    from collections.abc import Sequence

_GRAIN = 256  # positions are added so many at a time: growing copies


class _Window(NamedTuple):
    """Where one forward pass writes and how far it looks."""

    first: int  # its rows are first, first + 1, ...
    rows: torch.Tensor  # shape (rows, 1)
    positions: torch.Tensor  # shape (rows, tokens): where each token goes in its row
    length: int  # keys that anybody may see


class Slots(Cache):  # type: ignore[misc]  # transformers is untyped
    """A `Cache` whose rows come and go."""

    def __init__(self, layers: int) -> None:
        self.window = _Window(0, torch.empty(0, 1), torch.empty(0, 0), 0)
        self._rows = 0
        self._length = 0
        super().__init__(layers=[_Layer(self) for _ in range(layers)])

    def open(self, heads: int, width: int, like: torch.Tensor) -> None:
        """Make layers that keep so many heads, each so wide, before a forward pass tells; of the kind and in the place of `like`."""
        for layer in self.layers:
            layer.lazy_initialization(*[like.new_empty(0, heads, 0, width)] * 2)

    def aim(self, first: int, positions: torch.Tensor) -> int:
        """Let the next forward pass write its rows to the slots from `first` on; return how many keys it sees."""
        rows, length = positions.shape[0], int(positions.max()) + 1
        numbers = torch.arange(first, first + rows, device=positions.device)[:, None]
        self.reserve(first + rows, length)
        self.window = _Window(first, numbers, positions, length)
        return length

    def reserve(self, rows: int, length: int) -> None:
        """Make room; a failure halfway leaves every layer usable."""
        if rows > self._rows:
            self._rows = 1 << (rows - 1).bit_length()
        self._length = max(self._length, -(-length // _GRAIN) * _GRAIN)
        for layer in self.layers:
            layer.fit(self._rows, self._length)

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` tokens of a row over another row."""
        for layer in self.layers:
            layer.keys[target, :, :length] = layer.keys[source, :, :length]
            layer.values[target, :, :length] = layer.values[source, :, :length]

    def read(self, row: int, start: int, end: int) -> torch.Tensor:
        """Return tokens of a row as one tensor of shape (tokens, everything)."""
        parts = [part[row, :, start:end].transpose(0, 1).flatten(1) for part in self._parts()]
        return torch.cat(parts, dim=1)

    def write(self, row: int, blocks: Sequence[torch.Tensor]) -> int:
        """Put what `read` returned at the beginning of a row; return how many tokens that were."""
        if not blocks:
            return 0
        tokens = torch.cat(list(blocks))
        self.reserve(row + 1, len(tokens))
        parts = list(self._parts())
        widths = [part.shape[1] * part.shape[3] for part in parts]
        for part, flat in zip(parts, tokens.split(widths, dim=1), strict=True):
            part[row, :, : len(tokens)] = flat.view(len(tokens), part.shape[1], part.shape[3]).transpose(0, 1)
        return len(tokens)

    def _parts(self) -> list[torch.Tensor]:
        return [part for layer in self.layers for part in (layer.keys, layer.values)]


class _Layer(CacheLayerMixin):  # type: ignore[misc]
    """One layer of `Slots`, allocated when it first sees how wide its keys are."""

    def __init__(self, slots: Slots) -> None:
        super().__init__()
        self._slots = slots

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """See `CacheLayerMixin`. Zeros: what is masked still takes part in sums, and 0 times NaN is NaN."""
        self.keys, self.values = (states.new_zeros(0, states.shape[1], 0, states.shape[3]) for states in (key_states, value_states))
        self.is_initialized = True

    def fit(self, rows: int, length: int) -> None:
        """Grow to `rows` slots of `length` positions."""
        if self.is_initialized and (self.keys.shape[0] < rows or self.keys.shape[2] < length):
            self.keys, self.values = _grown(self.keys, rows, length), _grown(self.values, rows, length)

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new tokens of the rows in the window; return all that these rows hold."""
        window = self._slots.window
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._slots.reserve(0, 0)
        rows = slice(window.first, window.first + len(window.rows))
        self.keys[window.rows, :, window.positions] = key_states.transpose(1, 2)
        self.values[window.rows, :, window.positions] = value_states.transpose(1, 2)
        return self.keys[rows, :, : window.length], self.values[rows, :, : window.length]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """See `CacheLayerMixin`."""
        return self._slots.window.length, 0

    def get_seq_length(self) -> int:
        """See `CacheLayerMixin`."""
        return int(self._slots.window.length)

    def get_max_length(self) -> int:
        """See `CacheLayerMixin`."""
        return -1


def _grown(old: torch.Tensor, rows: int, length: int) -> torch.Tensor:
    new = old.new_zeros(max(rows, old.shape[0]), old.shape[1], max(length, old.shape[2]), old.shape[3])
    new[: old.shape[0], :, : old.shape[2]] = old
    return new
