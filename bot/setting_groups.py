"""The groups of settings: what belongs to one part, each with its defaults."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator

from core.presence import Mode

_MODES = "|".join(Mode)
_SPAN = re.compile(r"[1-9]\d{0,3}[hd]")
_UNITS = {"h": "hours", "d": "days"}


class Policy(BaseModel, extra="forbid"):
    """Probabilities at which a decision changes; see `core.dialogue.policy.Thresholds`."""

    direct: float = Field(0.85, ge=0, le=1, description="give a curated answer word for word")
    answer: float = Field(0.69, ge=0, le=1, description="let the model compose an answer from the passages")
    clarify: float = Field(0.45, ge=0, le=1, description="the two best together: ask which one was meant")
    candidate: float = Field(0.15, ge=0, le=1, description="offer a passage as one of the meanings")


class Limits(BaseModel, extra="forbid"):
    """How much may be asked; see `core.quota.Allowance`."""

    user_per_minute: int = Field(20, ge=0, description="messages of one customer that are answered; 0: no limit, as for all of these")
    conversation_per_minute: int = Field(30, ge=0, description="messages of one conversation")
    workspace_per_minute: int = Field(6000, ge=0, description="messages of one workspace")
    everybody_per_minute: int = Field(30_000, ge=0, description="messages of all workspaces")
    tokens_per_day: int = Field(0, ge=0, description="tokens of the language model in a day (UTC); beyond them answers quote passages")


class Training(BaseModel, extra="forbid"):
    """What a model may learn from, and when it does."""

    customer_text: str = Field(
        "",
        description="platforms whose customers' own words may train a model, by commas: slack, discord; staff's words always may",
        pattern=r"^\s*((slack|discord)\s*(,\s*(slack|discord)\s*)*)?$",
    )
    entailment: str = Field(
        "", description="model that judges whether answers follow from their passages: ORG/NAME of a cross-encoder for NLI, or a folder"
    )

    retriever: bool = Field(True, description="whether `frontdesk learn` tunes the embedder first")
    every: str = Field("", description="how often the worker runs `frontdesk learn`: hours or days, such as 24h or 7d; empty: never")

    @field_validator("every")
    @classmethod
    def _is_a_span(cls, every: str) -> str:
        if every and not _SPAN.fullmatch(every):
            raise ValueError("must be hours or days, such as 24h or 7d")
        return every

    @property
    def interval(self) -> timedelta | None:
        """How often a run begins by itself, None: never."""
        return timedelta(**{_UNITS[self.every[-1]]: int(self.every[:-1])}) if self.every else None

    @property
    def platforms(self) -> frozenset[str]:
        """The platforms."""
        return frozenset(name.strip() for name in self.customer_text.split(",") if name.strip())


class Slack(BaseModel, extra="forbid"):
    """How to serve a Slack workspace; lists are separated by commas."""

    bot_token: str = Field("", description="bot token (xoxb-...) of the one workspace that is served; also SLACK_BOT_TOKEN")
    app_token: str = Field("", description="app-level token (xapp-...): events come over Socket Mode; also SLACK_APP_TOKEN")
    signing_secret: str = Field("", description="events come over HTTP, signed with this; two during a rotation; also SLACK_SIGNING_SECRET")
    mode: str = Field("thread", description="where it speaks: off, mention, thread, confident or draft", pattern=f"^({_MODES})$")
    staff_channel: str = Field("", description="id of the channel that gets drafts and hand-overs")
    staff: str = Field("", description="ids of members whose word in a thread silences the bot there, and who may correct")
    staff_group: str = Field("", description="id of the user group of staff")
    oncall_group: str = Field("", description="id of the user group that is called when nobody comes", pattern="^(S[A-Z0-9]+)?$")
    admins: str = Field("", description="ids of members who may run /support-admin")
    admin_group: str = Field("", description="id of the user group of admins")
    home_workspace: str = Field("", description="id of your own team: with a client id, admins and staff are its members only")
    client_id: str = Field("", description="for many workspaces, instead of a bot token; also SLACK_CLIENT_ID")
    client_secret: str = Field("", description="the secret of the client id; also SLACK_CLIENT_SECRET")
    public_url: str = Field("", description="where Slack reaches this server, for installing and the manifest: https://...")
    api_url: str = Field("https://slack.com/api/", description="where Slack's Web API is")

    @property
    def is_served(self) -> bool:
        """Whether there is a way to hear from Slack and a way to speak there."""
        return bool((self.bot_token or self.client_id) and (self.app_token or self.signing_secret))

    @property
    def problem(self) -> str:
        """What is half set up, empty when all is well."""
        if self.bot_token and self.client_id:
            return "slack.bot_token is for one workspace and slack.client_id for many: set one of the two."
        if self.client_id and not self.client_secret:
            return "slack.client_id needs slack.client_secret, its secret."
        if (self.bot_token or self.client_id) and not self.is_served:
            given = "a bot token" if self.bot_token else "a client id"
            return f"Slack has {given} but no way to reach us: set slack.app_token or slack.signing_secret."
        if self.mode == "draft" and not self.staff_channel:
            return "slack.mode is draft but nobody would see the drafts: set slack.staff_channel."
        return ""


class Discord(BaseModel, extra="forbid"):
    """How to serve Discord; lists are separated by commas."""

    bot_token: str = Field("", description="bot token of the application; also DISCORD_BOT_TOKEN")
    message_content: bool = Field(False, description="read what does not mention the bot; the portal must grant Message Content Intent")
    mode: str = Field("thread", description="where it speaks: off, mention, thread, confident or draft", pattern=f"^({_MODES})$")
    staff_channel: str = Field("", description="id of the channel that gets drafts and hand-overs", pattern=r"^\d*$")
    staff: str = Field("", description="ids of users whose word in a thread silences the bot there, and who may correct")
    staff_role: str = Field("", description="ids of the roles of staff")
    oncall_role: str = Field("", description="id of the role that is called when nobody comes", pattern=r"^\d*$")
    admins: str = Field("", description="ids of users who may run /support-admin")
    admin_role: str = Field("", description="ids of the roles of admins")
    home_guild: str = Field("", description="id of your own server: admins and staff are its members only", pattern=r"^\d*$")
    shards: str = Field("", description="the part that this process listens to, such as 0-3/16; empty: all", pattern=r"^(\d+(-\d+)?/\d+)?$")
    answered_tag: str = Field("answered", description="tag of a forum for posts that the bot has answered, where the forum has one")
    needs_human_tag: str = Field("needs-human", description="tag of a forum for posts that wait for a person")
    solved_tag: str = Field("solved", description="tag of a forum for posts whose author has what they need")


class Console(BaseModel, extra="forbid"):
    """How staff reach the console and sign in there."""

    public_url: str = Field("", description="where browsers reach the console's host: https://...; empty: at the address they say")
    oidc_issuer: str = Field("", description="who knows your staff: https://slack.com, https://discord.com or any OpenID provider")
    oidc_client_id: str = Field("", description="the client id that this issuer gave you")
    oidc_client_secret: str = Field("", description="the secret of the client id")
    oidc_domains: str = Field("", description="domains of the e-mail addresses that may sign in, by commas; empty: any verified one")

    @property
    def problem(self) -> str:
        """What is half set up, empty when all is well."""
        if self.public_url and not self.public_url.startswith(("https://", "http://")):
            return "console.public_url must begin with https:// (or http:// on your own machine)."
        given = [bool(self.oidc_issuer), bool(self.oidc_client_id), bool(self.oidc_client_secret)]
        if any(given) and not all(given):
            return "Signing in with an organisation's account needs all of console.oidc_issuer, oidc_client_id and oidc_client_secret."
        if any(given) and not self.public_url:
            return "console.oidc_issuer needs console.public_url, to which the provider sends people back."
        return ""

    @property
    def domains(self) -> frozenset[str]:
        """The domains in small letters."""
        return frozenset(domain.strip().lower() for domain in self.oidc_domains.split(",") if domain.strip())


class Remote(BaseModel, extra="forbid"):
    """Where models on other machines are."""

    urls: str = Field("", description="base URLs of the servers of `remote:NAME`, ending in /v1, by commas: the least busy one is asked")
    api_key: str = Field("", description="what these servers take as a bearer token, if they want one", pattern="^[!-~]*$")

    @property
    def addresses(self) -> tuple[str, ...]:
        """The base URLs, each once."""
        return tuple(_addresses(self.urls))

    @field_validator("urls")
    @classmethod
    def _are_addresses(cls, urls: str) -> str:
        for number, url in enumerate(_addresses(urls), 1):
            if problem := _problem_of(url):  # by its number: it may hold a password
                raise ValueError(f"URL {number} {problem}")
        return urls


def _addresses(urls: str) -> dict[str, None]:
    given = (url.strip().rstrip("/") for url in urls.split(","))
    return dict.fromkeys(url for url in given if url)


def _problem_of(url: str) -> str:
    """Return what is wrong with the base URL of a server, empty when nothing is."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # reading it checks it
    except ValueError:
        return "cannot be read as a URL"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "must begin with http:// or https:// and a host"
    if "@" in parts.netloc:
        return "holds a user name or password: a key belongs in remote.api_key"
    if parts.query or parts.fragment or not parts.path.endswith("/v1"):
        return "must end in /v1"
    return ""
