"""Retrieval runs here as the bot runs it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from threadpoolctl import threadpool_limits

# A busy machine must not fail a property by being slow.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(autouse=True, scope="session")
def _one_thread_of_linear_algebra() -> Iterator[None]:
    """As in `bot.bootstrap`: on a busy machine many threads make one small system of equations take 26 ms instead of 0.2."""
    np.linalg.solve(np.eye(2), np.ones(2))  # its library must be loaded to be limited
    with threadpool_limits(1, user_api="blas"):
        yield
