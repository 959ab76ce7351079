"""How busy a generator is: requests as they stand, tokens over the last 30 s."""

from __future__ import annotations

from core.registry import Load
from core.serving.traffic import Traffic
from tests.core.serving.remote_kit import Clock


def test_tokens_count_for_thirty_seconds() -> None:
    clock = Clock()
    traffic = Traffic(clock)
    traffic.wrote(60)
    clock.now += 20
    traffic.wrote(30)
    assert traffic.load.tokens_per_second == 3
    clock.now += 11
    assert traffic.load.tokens_per_second == 1
    clock.now += 30
    assert traffic.load.tokens_per_second == 0


def test_a_request_waits_until_it_has_begun_and_is_gone_at_its_end() -> None:
    traffic = Traffic()
    with traffic.request() as first, traffic.request():
        assert traffic.load == Load(2, 0)
        first.begun()
        first.begun()
        assert traffic.load == Load(1, 1)
    assert traffic.load == Load(0, 0)
