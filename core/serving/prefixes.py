"""Beginnings of prompts that were read before: the system prompt, and whatever else comes again.

They are kept as a chain of blocks: a block is known by its own tokens and by all before it, so prompts that begin alike share memory.
What was not used for longest goes first, and of a chain the end before the beginning.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b

import torch

BLOCK = 8  # tokens; a longer block would lose more of a prefix that ends inside it


class Prefixes:
    """Keys and values by the tokens that they belong to, up to `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._blocks: OrderedDict[bytes, torch.Tensor] = OrderedDict()

    @property
    def bytes_held(self) -> int:
        """How much memory is in use."""
        return self._bytes

    def covers(self, tokens: Sequence[int]) -> int:
        """Return how many tokens at the beginning of a prompt need not be read; never all, the last one is asked for its successor."""
        return len(self._known(tokens)) * BLOCK

    def find(self, tokens: Sequence[int]) -> list[torch.Tensor]:
        """Return the blocks that `covers` counts, for `Slots.write`."""
        known = self._known(tokens)
        self._touch(known)
        return [self._blocks[key] for key in known]

    def keep(self, tokens: Sequence[int], read: Callable[[int, int], torch.Tensor]) -> None:
        """Remember a prompt; `read` is asked for the tokens from one position to another, those not known yet."""
        keys = list(_chain(tokens))
        known = next((number for number, key in enumerate(keys) if key not in self._blocks), len(keys))
        if known < len(keys):
            new = read(known * BLOCK, len(keys) * BLOCK)
            for number, key in enumerate(keys[known:]):
                # A copy of its own: a view would keep the whole prompt alive when all but one block are gone.
                self._add(key, new[number * BLOCK : (number + 1) * BLOCK].clone())
        self._touch(keys)
        while self._bytes > self._max_bytes:
            self._bytes -= self._blocks.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        """Forget everything."""
        self._blocks.clear()
        self._bytes = 0

    def _known(self, tokens: Sequence[int]) -> list[bytes]:
        found: list[bytes] = []
        for key in _chain(tokens[:-1]):
            if key not in self._blocks:
                break
            found.append(key)
        return found

    def _add(self, key: bytes, block: torch.Tensor) -> None:
        previous = self._blocks.get(key)
        self._bytes += block.nbytes - (0 if previous is None else previous.nbytes)
        self._blocks[key] = block

    def _touch(self, keys: Sequence[bytes]) -> None:
        for key in reversed(keys):
            self._blocks.move_to_end(key)


def _chain(tokens: Sequence[int]) -> Iterator[bytes]:
    """Yield a key for each whole block of a prompt: a digest of the block and all before it."""
    digest = blake2b(digest_size=16)
    for start in range(0, len(tokens) - BLOCK + 1, BLOCK):
        digest.update(array("q", tokens[start : start + BLOCK]).tobytes())
        yield digest.copy().digest()
