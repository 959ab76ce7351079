"""Folders of small models and adapters, good ones and all kinds of bad ones; no model library writes them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

CANARY = Path("canary")  # what hostile files would make where the test runs
BASE_NAME = "org/base-model"
LAYERS = {"model.layers.0.self_attn.q_proj": (16, 12), "model.layers.0.self_attn.v_proj": (8, 12)}


def base(folder: Path, **config: Any) -> Path:
    """A whole model that calls itself `BASE_NAME`."""
    folder.mkdir(parents=True)
    write_json(folder / "config.json", {"model_type": "llama", "_name_or_path": BASE_NAME, **config})
    write_json(folder / "tokenizer.json", {"model": {"vocab": {"auto_map": 1, "a": 2}}})
    random = np.random.default_rng(1)
    matrices = {f"{name}.weight": random.random(shape, np.float32) for name, shape in LAYERS.items()}
    save_file({**matrices, "model.norm.weight": np.ones(12, np.float32)}, folder / "model.safetensors", {"format": "pt"})
    return folder


def adapter(folder: Path, rank: int = 4, base_name: str = BASE_NAME, **config: Any) -> Path:
    """A LoRA adapter of `base`, as PEFT writes it."""
    folder.mkdir(parents=True)
    told = {
        "peft_type": "LORA", "base_model_name_or_path": base_name, "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 16, "bias": "none",
        "target_modules": ["q_proj", "v_proj"], "modules_to_save": None, "lora_dropout": 0.05, "inference_mode": True, "auto_mapping": None,
        "megatron_config": None, "megatron_core": "megatron.core", "rank_pattern": {}, "loftq_config": {}, "use_dora": False,
        "init_lora_weights": True, "fan_in_fan_out": False, "peft_version": "0.18.0", "qalora_group_size": 16,
    }  # fmt: skip
    write_json(folder / "adapter_config.json", told | config)
    save_file(matrices(rank), folder / "adapter_model.safetensors", {"format": "pt"})
    return folder


def matrices(rank: int = 4) -> dict[str, np.ndarray]:
    random, found = np.random.default_rng(2), {}
    for name, (out, into) in LAYERS.items():
        found[f"base_model.model.{name}.lora_A.weight"] = random.random((rank, into), np.float32)
        found[f"base_model.model.{name}.lora_B.weight"] = random.random((out, rank), np.float32)
    return found


def change_json(path: Path, **changes: Any) -> None:
    write_json(path, json.loads(path.read_text()) | changes)


def write_json(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document), encoding="utf-8")


def raw(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    """A safetensors file with any header, true or not."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def flip(path: Path, position: int = -5) -> None:
    """Turn one bit of a file."""
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


class Hostile:
    """A pickle that makes the canary when it is opened."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, (f"touch {CANARY.resolve()}",)
