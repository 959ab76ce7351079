"""The Compose file is hardened, pinned and understood by the program it starts."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.docker.files import FOLDER, check_command, compose, plain_secrets, stages, unknown_settings

SERVICES = sorted(compose()["services"])
OURS = ("bot", "worker", "trainer")


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = compose()["services"][name]
    return found


def interpolated(text: str) -> str:
    """`${NAME:-default}` as it is where NAME is not set."""
    return re.sub(r"\$\{\w+:-(.*?)\}", r"\1", text)


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened(name: str) -> None:
    found = service(name)
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"] and "cap_add" not in found
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", found["user"])
    assert any(mount.startswith("/tmp") for mount in found["tmpfs"])
    assert not {"privileged", "network_mode", "pid", "ipc", "devices"} & set(found)
    assert all(port.startswith("127.0.0.1:") for port in found.get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_says_whether_it_lives_and_comes_back(name: str) -> None:
    found = service(name)
    if name == "trainer":  # a job, which ends
        assert found["healthcheck"] == {"disable": True} and found["restart"] == "no"
    else:
        assert {"test", "interval", "timeout", "retries", "start_period"} == set(found["healthcheck"])
        assert found["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_has_a_version_and_ours_are_targets_of_the_dockerfile(name: str) -> None:
    found = service(name)
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+[\w.-]*", found["image"])
    if name in OURS:
        assert found["build"]["target"] in stages()
        assert (FOLDER / found["build"]["context"] / found["build"]["dockerfile"]).is_file()


@pytest.mark.parametrize("name", OURS)
def test_every_command_and_setting_is_one_that_the_program_knows(name: str) -> None:
    check_command([interpolated(word) for word in service(name)["command"]])
    assert unknown_settings(iter(service(name)["environment"])) == set()


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_are_files_that_the_service_was_given(name: str) -> None:
    found = service(name)
    assert plain_secrets(found["environment"]) == set()
    paths = {value for value in found["environment"].values() if str(value).startswith("/run/secrets/")}
    assert {Path(path).name for path in paths} <= set(found["secrets"])
    assert set(found["secrets"]) <= set(compose()["secrets"])


def test_everything_that_is_named_is_declared() -> None:
    services = [service(name) for name in SERVICES]
    volumes = {mount.partition(":")[0] for found in services for mount in found["volumes"]}
    assert volumes == set(compose()["volumes"])
    assert {network for found in services for network in found["networks"]} == set(compose()["networks"])
    assert {other for found in services for other in found.get("depends_on", {})} <= set(SERVICES)


def test_ours_get_longer_to_end_than_an_orderly_end_takes() -> None:
    assert all(int(service(name)["stop_grace_period"].rstrip("s")) >= 30 for name in OURS)


def test_the_database_cannot_be_reached_from_outside_and_only_profiles_need_a_gpu() -> None:
    assert service("postgres")["networks"] == ["database"] and compose()["networks"]["database"]["internal"]
    with_gpu = {name: service(name).get("profiles") for name in SERVICES if "deploy" in service(name)}
    assert with_gpu == {"trainer": ["train"], "vllm": ["vllm"]}


def test_the_secrets_are_made_once_and_fit_each_other(tmp_path: Path) -> None:
    script = tmp_path / "make-secrets"
    script.write_bytes((FOLDER / "make-secrets").read_bytes())
    subprocess.run(["sh", str(script)], check=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    (tmp_path / "secrets" / "slack_bot_token").write_text("xoxb-1")
    subprocess.run(["sh", str(script)], check=True)
    again = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert again == made | {"slack_bot_token": "xoxb-1"}
    assert {f"secrets/{name}" for name in made} == {secret["file"] for secret in compose()["secrets"].values()}
    assert made["database_url"] == f"postgresql://frontdesk:{made['postgres_password']}@postgres/frontdesk"
    assert len(made["vault_keys"]) == 44 and len(made["postgres_password"]) == 43
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
