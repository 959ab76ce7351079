"""A scope of workspaces as a condition of SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Table, and_, false, or_, true

from core.members import Scope


def within(scope: Scope, table: Table) -> ColumnElement[bool]:
    """Return the condition that a row of `table` belongs to a workspace of `scope`."""
    if scope.workspaces is None:
        return true()
    return or_(false(), *(in_workspace(table, *place) for place in sorted(scope.workspaces)))


def in_workspace(table: Table, platform: str, workspace_id: str) -> ColumnElement[bool]:
    """Return the condition that a row of `table` belongs to one workspace."""
    columns: Any = table.c
    return and_(columns.platform == platform, columns.workspace_id == workspace_id)
