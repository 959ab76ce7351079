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
        self._at_work = ""

    def add(self, folder: Path) -> str:
        """Load an adapter and return its name. Raises `ModelError` when it is damaged or made for another base."""
        from peft import PeftModel

        if not (folder / "adapter_model.safetensors").is_file():  # peft would take a pickle instead
            raise ModelError(f"{folder} holds no adapter_model.safetensors; no other format is opened.")
        self._count += 1
        name = f"adapter_{self._count}"
        try:
            if self._wrapped is None:
                self._wrapped = PeftModel.from_pretrained(self._model, str(folder), adapter_name=name, local_files_only=True)
            else:
                self._wrapped.load_adapter(str(folder), adapter_name=name, local_files_only=True)
        except Exception as error:  # the libraries raise anything
            self._forget(name)
            raise ModelError(f"The adapter in {folder} cannot be put on its base: {error}") from error
        self._model.eval()
        self._at_work = "?"
        return name

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
        self._wrapped.base_model.delete_adapter(name)
        self._at_work = "?"

    def _forget(self, name: str) -> None:
        if self._wrapped is not None and name in self._wrapped.peft_config:
            self._wrapped.delete_adapter(name)
        self._at_work = "?"
