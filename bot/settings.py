"""Environment and frontdesk.toml to typed settings, read once."""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from bot.setting_groups import Console, Discord, Limits, Policy, Remote, Slack
from core.errors import SettingsError

PREFIX = "FRONTDESK_"
CONFIG_FILE = "frontdesk.toml"
_NOT_SETTINGS = {"FRONTDESK_CONFIG", "FRONTDESK_FAULT"}
# Never shown, not even when wrong.
_SECRET = {"database_url", "vault_keys", "discord.bot_token", "remote.api_key", "remote.urls", "console.oidc_client_secret"}
_SECRET |= {f"slack.{name}" for name in ("bot_token", "app_token", "signing_secret", "client_secret")}
_USUAL_NAMES = ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET", "DISCORD_BOT_TOKEN")


class Settings(BaseSettings):
    """Every setting, with its default. Documented in README.md; a test compares."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", env_ignore_empty=True)

    data_dir: Path = Field(Path("data"), description="database, snapshots and artifacts")
    model_dir: Path = Field(default_factory=lambda: _cache() / "models", description="downloaded and converted models")
    database_url: str = Field("", description="sqlite:///FILE or postgresql://...; empty: an SQLite file in data_dir")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port of the chat page; 0 takes a free one")
    knowledge: str = Field("default", description="the knowledge base that is served")
    embedder: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2",
        description="embedding model: hub id or local folder; used from the next publish on",
    )
    model: str = Field("auto", description="language model: hub id, local folder, `remote:NAME`, `extractive` for none, or `auto`")
    fallback_model: str = Field("", description="language model that answers while `model` fails; empty: passages are quoted")
    device: str = Field("auto", description="cpu, cuda, mps or auto", pattern="^(auto|cpu|cuda|mps)$")
    golden_questions: str = Field("", description="JSONL file of questions that a model must answer before it serves")
    max_answer_tokens: int = Field(160, ge=16, le=4096, description="longest generated answer")
    vault_keys: str = Field("", description="keys that seal secrets in the database, newest first, by commas; empty: a file in data_dir")
    retention_days: int = Field(30, ge=0, description="days after which the text of conversations is erased; 0 keeps it")
    contact: str = Field("", description="another way to reach your team, told with every hand-over", max_length=200)
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    log_format: str = Field("auto", description="text, json (one object a line), or auto: text at a terminal", pattern="^(auto|text|json)$")
    policy: Policy = Field(default_factory=Policy, description="thresholds of the decision, see below")
    limits: Limits = Field(default_factory=Limits, description="how much may be asked, see below")
    remote: Remote = Field(default_factory=Remote, description="models on other machines, see below")
    console: Console = Field(default_factory=Console, description="the staff console, see below")
    slack: Slack = Field(default_factory=Slack, description="the Slack workspace, see below")
    discord: Discord = Field(default_factory=Discord, description="the Discord application, see below")

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource, dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:  # fmt: skip
        """Environment first, then what `read` took from the files."""
        # `FRONTDESK_SLACK__BOT_TOKEN_FILE` is for `_add_secret_files` and no setting `slack.bot_token_file`.
        if isinstance(env_settings, EnvSettingsSource):
            env_settings.env_vars = {name: value for name, value in env_settings.env_vars.items() if not name.lower().endswith("_file")}
        return env_settings, init_settings

    @property
    def database(self) -> str:
        """The database to use."""
        return self.database_url or f"sqlite:///{self.data_dir / 'frontdesk.db'}"

    @property
    def artifacts(self) -> Path:
        """Folder of the imported models."""
        return self.data_dir / "models"

    @property
    def snapshots(self) -> Path:
        """Folder of the published snapshots."""
        return self.data_dir / "knowledge"


def read(environment: dict[str, str] | None = None) -> Settings:
    """Return the settings of this process. Raises `SettingsError` that names the setting, and the nearest known one."""
    environ = dict(os.environ) if environment is None else environment
    given = _toml(Path(environ.get("FRONTDESK_CONFIG", CONFIG_FILE)), required="FRONTDESK_CONFIG" in environ)
    _add_usual_names(given, environ)
    _add_secret_files(given, environ)
    _refuse_unknown_variables(environ)
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError("; ".join(_explain(detail) for detail in error.errors(include_url=False))) from error


def fields() -> dict[str, FieldInfo]:
    """Return every setting by name, nested ones as `policy.direct`."""
    found: dict[str, FieldInfo] = {}
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= {f"{name}.{inner}": nested for inner, nested in field.annotation.model_fields.items()}
        else:
            found[name] = field
    return found


def names() -> tuple[str, ...]:
    """Return the name of every setting."""
    return tuple(fields())


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "frontdesk"


def _toml(path: Path, *, required: bool) -> dict[str, Any]:
    if not path.exists() and not required:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error


def _add_usual_names(given: dict[str, Any], environ: dict[str, str]) -> None:
    """Take the variables under which the platforms' own tools look for tokens, where ours say nothing."""
    for variable_name in _USUAL_NAMES:
        platform, _, name = variable_name.lower().partition("_")
        if environ.get(variable_name):
            given.setdefault(platform, {}).setdefault(name, environ[variable_name])


def _add_secret_files(given: dict[str, Any], environ: dict[str, str]) -> None:
    """`FRONTDESK_X_FILE=/run/secrets/x` gives setting x the content of that file."""
    known = {f"{variable(name)}_FILE": name for name in names()}
    for file_variable in known.keys() & environ.keys():
        path = environ[file_variable]
        try:
            secret = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{file_variable} names {path}, which cannot be read: {error.strerror}") from error
        *group, name = known[file_variable].split(".")
        (given.setdefault(group[0], {}) if group else given)[name] = secret


def _refuse_unknown_variables(environ: dict[str, str]) -> None:
    known = {variable(name) for name in names()}
    known |= {f"{name}_FILE" for name in known} | _NOT_SETTINGS
    for name in environ:
        if name.startswith(PREFIX) and name not in known:
            raise SettingsError(f"Unknown setting {name}.{_nearest(name, known)}")


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper().replace(".", "__")


def _nearest(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]}?" if close else ""


def _explain(detail: Any) -> str:
    name = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"Unknown setting {name}.{_nearest(name, set(names()))}"
    given = "" if name in _SECRET else f" (it is {detail['input']!r})"
    return f"Setting {name}: {detail['msg']}{given}"
