"""The words of turns, asked in the language of each database: FTS5 on SQLite, a tsvector on PostgreSQL.

What a turn is filtered by stands among its words too, as facets: a rare filter beside a common word then costs what the rare one costs.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, cast, func, literal, literal_column
from sqlalchemy.dialects.postgresql import TSQUERY

from core.members import Scope
from core.search import Term, TurnFilter, terms_of

_SIMPLE: ColumnElement[Any] = literal_column("'simple'::regconfig")


def sqlite_match(scope: Scope, wanted: TurnFilter) -> ColumnElement[bool] | None:
    """Return the condition on `turn_words`, None where no word narrows anything."""
    parts = [f"{{question answer}} : {_fts5_term(term)}" for term in terms_of(wanted.text)]
    parts += [f"facets : {_fts5_any(names)}" for names in _facets(scope, wanted)]
    return literal_column("turn_words").op("MATCH", is_comparison=True)(literal(" AND ".join(parts))) if parts else None


def tsquery(scope: Scope, wanted: TurnFilter) -> ColumnElement[Any] | None:
    """Return what to look for in the words of `turn_words`, None where no word narrows anything."""
    parts = [_tsquery(term) for term in terms_of(wanted.text)]
    parts += [_tsquery_any(names) for names in _facets(scope, wanted)]
    if not parts:
        return None
    query = parts[0]
    for part in parts[1:]:
        query = query.op("&&")(part)
    return query


def has(words: ColumnElement[Any], query: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition that `words` fit a query of `tsquery`."""
    return words.op("@@", is_comparison=True)(query)


def _facets(scope: Scope, wanted: TurnFilter) -> list[list[tuple[str, str]]]:
    """Alternatives, of which each list must be met: (kind, value), as the triggers write them."""
    found = []
    if wanted.workspace_id is not None:
        found.append([("w", f"{wanted.platform}:{wanted.workspace_id}")])
    elif scope.workspaces is not None:
        found.append([("w", ":".join(place)) for place in sorted(scope.workspaces)])
    if wanted.platform is not None:
        found.append([("p", wanted.platform)])
    if wanted.decision is not None:
        found.append([("d", wanted.decision.value)])
    if wanted.model is not None:
        found.append([("m", wanted.model)])
    return [names for names in found if names]


def _fts5_term(term: Term) -> str:
    return f'"{" ".join(term.words)}"{" *" if term.is_start else ""}'  # words hold letters and digits only


def _fts5_any(names: list[tuple[str, str]]) -> str:
    return f"({' OR '.join(f'{kind}{value.encode().hex()}' for kind, value in names)})"


def _tsquery(term: Term) -> ColumnElement[Any]:
    if not term.is_start:
        return func.phraseto_tsquery(_SIMPLE, " ".join(term.words))
    return func.to_tsquery(_SIMPLE, " <-> ".join(term.words) + ":*")


def _tsquery_any(names: list[tuple[str, str]]) -> ColumnElement[Any]:
    # Written as a lexeme, not parsed: the words of a text never hold the signs that are in it.
    quoted = (f"={kind}:{value}".replace("\\", "\\\\").replace("'", "''") for kind, value in names)
    return cast(literal(" | ".join(f"'{name}'" for name in quoted)), TSQUERY)
