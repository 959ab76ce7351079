"""Signing in with Discord, which knows people by OAuth 2 and `/users/@me`."""

from __future__ import annotations

from bot.console.oidc import client, fetched_token, told
from bot.console.providers import Challenge, Claimed, ProviderError
from core.members import Identity

ISSUER = "https://discord.com"


class DiscordProvider:
    """`Provider` of Discord accounts with a verified e-mail address."""

    name = "Discord"
    issuer = ISSUER

    def __init__(self, client_id: str, client_secret: str, at: str = ISSUER) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._at = at

    async def address(self, redirect_uri: str, challenge: Challenge) -> str:
        """See `Provider.address`."""
        async with client(self._client_id, self._client_secret, "identify email", redirect_uri) as asking:
            url, _ = asking.create_authorization_url(f"{self._at}/oauth2/authorize", challenge.state, code_verifier=challenge.verifier)
        return str(url)

    async def claimed(self, redirect_uri: str, challenge: Challenge, code: str) -> Claimed:
        """See `Provider.claimed`."""
        async with client(self._client_id, self._client_secret, "identify email", redirect_uri) as asking:
            await fetched_token(asking, f"{self._at}/api/oauth2/token", code, challenge.verifier)
            user = await told(asking, f"{self._at}/api/users/@me", with_token=True)
        if user.get("verified") is not True or not user.get("email") or not user.get("id"):
            raise ProviderError("Discord has not verified an e-mail address of this account")
        return Claimed(Identity(ISSUER, str(user["id"])), str(user["email"]))
