"""Every route of the console as its router has it, with something to fill its address and form in with."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi.routing import APIRoute
from pydantic_core import PydanticUndefined

from bot.console.auth import SAFE_METHODS, at_least, required, signed_in
from core.storage.database import Database
from tests.bot.console.desk import desk_on


@dataclass(frozen=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    asks: at_least | None
    is_public: bool
    form: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_unsafe(self) -> bool:
        return self.method not in SAFE_METHODS

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"{(\w+)(?::\w+)?}", self.path)

    def filled(self, known: Mapping[str, str]) -> str:
        """The address with these ids; what nobody knows is made up."""
        return re.sub(r"{(\w+)(?::\w+)?}", lambda found: known.get(found[1], "0" * 32), self.path)


def _routes(router: Any) -> Iterator[APIRoute]:
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from _routes(route.original_router)


def _calls(dependant: Any) -> set[Any]:
    return {dependant.call, *(call for one in dependant.dependencies for call in _calls(one))}


def _value(field: Any) -> str:
    """Something that a field of a form takes."""
    info = field.field_info
    for rule in info.metadata:
        if pattern := getattr(rule, "pattern", None):
            return re.sub(r"[\^$()]", "", str(pattern)).split("|")[0]
    kinds = typing.get_args(info.annotation) or (info.annotation,)
    return "1" if int in kinds or float in kinds else "true" if bool in kinds else "x" * 12


def _form(dependant: Any) -> dict[str, str]:
    fields = [*dependant.body_params, *(field for one in dependant.dependencies for field in one.body_params)]
    return {field.alias: _value(field) for field in fields if field.field_info.default is PydanticUndefined}


def _all() -> list[Route]:
    app = desk_on(Database("sqlite://")).console
    return [
        Route(method, route.path, required(route.dependant), signed_in not in _calls(route.dependant), _form(route.dependant))
        for route in _routes(app)
        for method in sorted(route.methods)
    ]


ROUTES = _all()
