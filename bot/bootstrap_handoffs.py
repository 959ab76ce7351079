"""The part of the object graph that hands customers over to people; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

from collections.abc import Callable

from bot.settings import Settings
from core.audit import AuditLog
from core.domain import utc_now
from core.hours import away, hours_of
from core.staff.handoff import Courtesy, HandoffDesk
from core.staff.handoff_watch import HandoffWatch
from core.storage.database import Database
from core.storage.handoff_book import SqlHandoffBook
from core.storage.handoffs import SqlHandoffs


def staff_places(settings: Settings) -> dict[str, str]:
    """By the platform of a customer, that on which staff get a thread about them."""
    return settings.staff.places({"slack": settings.slack.staff_channel, "discord": settings.discord.staff_channel})


def courtesy_of(settings: Settings) -> Courtesy:
    """What customers are told besides."""
    hours = hours_of(settings.staff.hours)
    return Courtesy(lambda: away(hours, utc_now()), settings.contact, settings.staff.show_names)


def handoff_desk(settings: Settings, database: Database, audit: AuditLog) -> HandoffDesk:
    """What staff do with customers who wait."""
    handoffs = SqlHandoffs(database, staff_places(settings))
    return HandoffDesk(handoffs, SqlHandoffBook(database), audit, courtesy_of(settings))


def handoff_watch(settings: Settings, database: Database, ring: Callable[[], object]) -> HandoffWatch:
    """What sees to customers whom nobody takes."""
    asked = settings.staff
    return HandoffWatch(SqlHandoffs(database), courtesy_of(settings), hours_of(asked.hours), 60 * asked.patience_minutes, ring)
