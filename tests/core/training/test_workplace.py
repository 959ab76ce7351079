"""One run at a time, in a folder that knows what is trained there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import TrainingError
from core.training import workplace

ROOT = Path(__file__).parents[3]
HOLDS = """
import sys
from pathlib import Path
from core.training import workplace
with workplace.alone(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_bad_input_two_runs_at_once_the_second_is_refused_and_may_begin_when_the_first_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDS, str(tmp_path / "lock")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None and first.stdout.readline() == b"held\n"
        with pytest.raises(TrainingError, match=f"Process {first.pid} is training here already"), workplace.alone(tmp_path / "lock"):
            pass
        first.kill()
        first.wait()
        with workplace.alone(tmp_path / "lock"):
            pass


def test_the_newest_whole_checkpoint_is_found_and_half_ones_are_deleted(tmp_path: Path) -> None:
    assert workplace.newest_checkpoint(tmp_path) is None
    for number, state in ((9, '{"a": 1}'), (10, '{"a": 1}'), (11, '{"a"'), (12, None)):
        (tmp_path / f"checkpoint-{number}").mkdir()
        if state is not None:
            (tmp_path / f"checkpoint-{number}" / "trainer_state.json").write_text(state)
    assert workplace.newest_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-9"]


def test_a_note_that_a_kill_cut_off_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    workplace.claim(tmp_path, {"base": "a"})
    with pytest.raises(TrainingError, match="another base"):
        workplace.claim(tmp_path, {"base": "b"})


def test_a_run_that_goes_on_from_something_is_another_one_than_a_run_that_goes_on_from_nothing(tmp_path: Path) -> None:
    workplace.claim(tmp_path, {"base": "a"})
    with pytest.raises(TrainingError, match="another start"):
        workplace.claim(tmp_path, {"base": "a", "start": "b"})


def test_the_same_data_recipe_and_base_have_the_same_name() -> None:
    assert workplace.digest("a", "b") == workplace.digest("a", "b") != workplace.digest("ab", "")
