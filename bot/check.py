"""What a look at one part of the installation found: a row of `frontdesk doctor`."""

from __future__ import annotations

from typing import NamedTuple


class Check(NamedTuple):
    """One thing that was looked at. `warns`: it works, and somebody should look all the same."""

    name: str
    ok: bool
    detail: str
    warns: bool = False
