"""LoRA adapters on one loaded model: each is a few megabytes beside the base, and one of them, or none, is at work at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Adapters:
    """The adapters of one model; peft puts them into its linear layers in place. For one thread."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._wrapped: Any = None  # peft's view of the model, once there was an adapter
        self._count = 0
        self._at_work: str | None = None  # None: not known

    def add(self, folder: Path) -> str:
        """Load an adapter and return its name. Raises `ModelError` when it is damaged or made for another base."""
        if not (folder / "adapter_model.safetensors").is_file():  # peft would take a pickle instead
            raise ModelError(f"{folder} holds no adapter_model.safetensors; no other format is opened.")
        self._count += 1
        name = f"adapter_{self._count}"
        try:
            self._load(folder, name)
        except Exception as error:  # the libraries raise anything
            self.remove(name)
            raise ModelError(f"The adapter in {folder} cannot be put on its base: {error}") from error
        finally:
            self._model.eval()
            self._at_work = None
        return name

    def _load(self, folder: Path, name: str) -> None:
        from peft import LoraConfig, PeftConfig, PeftModel

        config = PeftConfig.from_pretrained(str(folder))
        if not isinstance(config, LoraConfig):
            raise TypeError("it is no LoRA")
        config.init_lora_weights = True  # some other ways to begin change the weights of the base
        config.inference_mode = True
        if self._wrapped is None:
            self._wrapped = PeftModel(self._model, config, adapter_name=name)
        else:
            self._wrapped.add_adapter(name, config)
        missing = self._wrapped.load_adapter(str(folder), adapter_name=name).missing_keys
        if any(name in key for key in missing):
            raise ValueError(f"{len(missing)} of its weights are missing")

    def use(self, name: str) -> None:
        """Let the next forward pass run with an adapter; empty: with the base alone."""
        if self._wrapped is None or name == self._at_work:
            return
        if name:
            self._wrapped.base_model.enable_adapter_layers()
            self._wrapped.base_model.set_adapter(name, inference_mode=True)
        else:
            self._wrapped.base_model.disable_adapter_layers()
        self._at_work = name

    def remove(self, name: str) -> None:
        """Free an adapter."""
        if self._wrapped is None or name not in self._wrapped.peft_config:
            return
        others = [other for other in self._wrapped.peft_config if other != name]
        if others:  # peft warns of the removal of the one at work
            self._wrapped.base_model.set_adapter(others[0], inference_mode=True)
        self._wrapped.base_model.delete_adapter(name)
        self._at_work = None
