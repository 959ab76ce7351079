"""Which workspaces somebody may look into, as a condition of SQL."""

from __future__ import annotations

from sqlalchemy import Column, ColumnElement, false, true, tuple_

from core.members import Scope


def within(scope: Scope, platform: Column[str], workspace_id: Column[str]) -> ColumnElement[bool]:
    """Return the condition that a row belongs to a workspace of `scope`."""
    if scope.workspaces is None:
        return true()
    if not scope.workspaces:
        return false()
    return tuple_(platform, workspace_id).in_(sorted(scope.workspaces))
