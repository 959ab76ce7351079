"""The keys that seal secrets in the database."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from bot.settings import Settings
from core.errors import SettingsError

KEY_FILE = "vault.key"


def vault_keys(settings: Settings) -> tuple[bytes, ...]:
    """Return the keys of the settings, or the one in the data folder, made there on first use and readable by nobody else.

    Raises `SettingsError` when it can be neither read nor made.
    """
    given = tuple(key.strip().encode() for key in settings.vault_keys.split(",") if key.strip())
    return given or (_kept_key(settings.data_dir / KEY_FILE),)


def _kept_key(path: Path) -> bytes:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mine = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.urlsafe_b64encode(os.urandom(32)))  # as Fernet makes them
            file.flush()
            os.fsync(file.fileno())  # what is sealed with it survives a power cut, so it must too
        try:
            os.link(mine, path)  # fails when another process was quicker, whose key is then used
        except FileExistsError:
            pass
        finally:
            mine.unlink()
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"The key of secrets cannot be kept at {path}: {error.strerror}. Set vault_keys instead.") from error
