"""The Kubernetes manifests are valid, hardened, pinned and understood by the program they start."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.docker.files import FOLDER, check_command, compose, objects, plain_secrets, pods, unknown_settings

PODS = sorted(pods())
OURS = ("bot", "worker")
TEMPLATE = yaml.safe_load((FOLDER / "kubernetes" / "secret.yaml.template").read_text())


def container(name: str) -> dict[str, Any]:
    (only,) = pods()[name]["containers"]
    found: dict[str, Any] = only
    return found


def environment(name: str) -> dict[str, str]:
    return {variable["name"]: variable.get("value", "") for variable in container(name)["env"]}


@pytest.mark.parametrize("document", [*objects(), TEMPLATE], ids=lambda found: f"{found['kind']} {found['metadata']['name']}")
def test_every_object_is_what_kubernetes_takes(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, "1.30", strict=True)
    assert document["kind"] == "Namespace" or document["metadata"]["namespace"] == "frontdesk"


def test_everything_is_applied_but_the_secret() -> None:
    folder = FOLDER / "kubernetes"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert sorted([*listed, "kustomization.yaml"]) == sorted(path.name for path in folder.glob("*.yaml"))
    assert "Secret" not in {found["kind"] for found in objects()}


@pytest.mark.parametrize("name", PODS)
def test_every_pod_keeps_the_restricted_standard(name: str) -> None:
    pod, only = pods()[name], container(name)
    assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False  # a variable of a service would be an unknown setting
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(only)
    assert {"requests", "limits"} == set(only["resources"]) and "memory" in only["resources"]["limits"]
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+[\w.-]*", only["image"])


@pytest.mark.parametrize("name", OURS)
def test_ours_have_known_settings_a_known_command_and_time_to_end(name: str) -> None:
    check_command(container(name)["args"])
    assert "command" not in container(name), "the entrypoint of the image would not run"
    assert unknown_settings(iter(environment(name))) == set()
    assert pods()[name]["terminationGracePeriodSeconds"] >= 30
    paths = {kind: container(name)[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}


@pytest.mark.parametrize("name", PODS)
def test_secrets_are_files_or_come_from_the_secret(name: str) -> None:
    given = {variable["name"]: variable["value"] for variable in container(name)["env"] if "value" in variable}
    assert plain_secrets(given) == set()
    mounted = {item["key"] for volume in pods()[name]["volumes"] for item in volume.get("secret", {}).get("items", [])}
    read = {Path(value).name for value in given.values() if value.startswith("/run/secrets/")}
    assert read == mounted <= set(TEMPLATE["stringData"])
    assert not any(TEMPLATE["stringData"].values())


def test_the_secret_has_the_keys_of_the_files_that_compose_uses() -> None:
    assert set(TEMPLATE["stringData"]) == set(compose()["secrets"])


@pytest.mark.parametrize("name", PODS)
def test_what_a_pod_mounts_it_has(name: str) -> None:
    pod = pods()[name]
    claims = {found["metadata"]["name"] for found in objects() if found["kind"] == "PersistentVolumeClaim"}
    templates = {t["metadata"]["name"] for found in objects() for t in found.get("spec", {}).get("volumeClaimTemplates", [])}
    assert {mount["name"] for mount in container(name)["volumeMounts"]} <= {volume["name"] for volume in pod["volumes"]} | templates
    assert {volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"] if "persistentVolumeClaim" in volume} <= claims


def test_both_ways_to_deploy_use_the_same_images() -> None:
    of_compose = {found["image"] for name, found in compose()["services"].items() if name != "trainer"}
    assert {container(name)["image"] for name in PODS} == of_compose
