"""OpenID Connect: any provider that publishes its configuration, Slack among them (only importer of Authlib)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bot.console.providers import Challenge, Claimed, ProviderError
from core.members import Identity

if TYPE_CHECKING:
    from authlib.integrations.httpx_client import AsyncOAuth2Client

_SECONDS = 10
_LEEWAY = 60  # seconds that clocks may differ
# Signed with a key that only the provider has: with a shared secret, or `none`, whoever knows the client could write tokens.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
_NAMES = {"slack.com": "Slack", "accounts.google.com": "Google"}
_SLACK_TEAM = "https://slack.com/team_id"  # Slack's subjects are ids of members, which count within a workspace


class OpenIdProvider:
    """`Provider` by issuer. Configuration and keys are fetched at each sign-in: they are rare, and a rotated key needs nothing."""

    def __init__(self, issuer: str, client_id: str, client_secret: str) -> None:
        self.issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        host = urlsplit(issuer).hostname or issuer
        self.name = _NAMES.get(host, host)

    async def address(self, redirect_uri: str, challenge: Challenge) -> str:
        """See `Provider.address`."""
        async with client(self._client_id, self._client_secret, "openid email profile", redirect_uri) as asking:
            found = await self._configuration(asking)
            url, _ = asking.create_authorization_url(
                found["authorization_endpoint"], challenge.state, code_verifier=challenge.verifier, nonce=challenge.nonce
            )
        return str(url)

    async def claimed(self, redirect_uri: str, challenge: Challenge, code: str) -> Claimed:
        """See `Provider.claimed`."""
        async with client(self._client_id, self._client_secret, "openid email profile", redirect_uri) as asking:
            found = await self._configuration(asking)
            token = await fetched_token(asking, found["token_endpoint"], code, challenge.verifier)
            keys = await told(asking, found["jwks_uri"])
            claims = self._checked(token, keys, challenge.nonce)
            if "email" not in claims and "userinfo_endpoint" in found:
                more = await told(asking, found["userinfo_endpoint"], with_token=True)
                claims = {**more, **claims} if more.get("sub") == claims["sub"] else claims
        if claims.get("email_verified") not in (True, "true") or not claims.get("email"):
            raise ProviderError(f"{self.issuer} has not verified an e-mail address of this account")
        team = f"{claims[_SLACK_TEAM]}:" if _SLACK_TEAM in claims else ""
        return Claimed(Identity(self.issuer, f"{team}{claims['sub']}"), str(claims["email"]))

    async def _configuration(self, asking: AsyncOAuth2Client) -> dict[str, Any]:
        found = await told(asking, f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self.issuer:
            raise ProviderError(f"the configuration at {self.issuer} is of {found.get('issuer')!r}: set console.oidc_issuer to the letter")
        wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        scheme = urlsplit(self.issuer).scheme
        if any(urlsplit(str(found.get(name, ""))).scheme not in {"https", scheme} for name in wanted):
            raise ProviderError(f"the configuration at {self.issuer} lacks one of {', '.join(wanted)}, or it is not https")
        return found

    def _checked(self, token: dict[str, Any], keys: dict[str, Any], nonce: str) -> dict[str, Any]:
        """The claims of the ID token; its signature, issuer, audience, times and nonce are right."""
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        options = {"iss": {"essential": True, "value": self.issuer}, "aud": {"essential": True, "value": self._client_id}}
        params = {"nonce": nonce, "client_id": self._client_id, "access_token": token.get("access_token")}
        try:
            read = jwt.decode(str(token.get("id_token", "")), KeySet.import_key_set(keys), algorithms=_ALGORITHMS)  # type: ignore[arg-type]
            claims = CodeIDToken(read.claims, read.header, options, params)
            claims.validate(leeway=_LEEWAY)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise ProviderError(f"the ID token of {self.issuer} is refused: {type(error).__name__}: {error}") from error
        return dict(claims)


def client(client_id: str, client_secret: str, scope: str, redirect_uri: str) -> AsyncOAuth2Client:
    """Return a client of the code flow with PKCE."""
    from authlib.integrations.httpx_client import AsyncOAuth2Client

    return AsyncOAuth2Client(
        client_id, client_secret, scope=scope, redirect_uri=redirect_uri, code_challenge_method="S256", timeout=_SECONDS
    )


async def fetched_token(asking: AsyncOAuth2Client, endpoint: str, code: str, verifier: str) -> dict[str, Any]:
    """Return what a code is worth. Raises `ProviderError`."""
    from authlib.integrations.base_client import OAuthError
    from httpx2 import HTTPError

    try:
        return dict(await asking.fetch_token(endpoint, code=code, code_verifier=verifier, grant_type="authorization_code"))
    except (OAuthError, HTTPError, ValueError) as error:
        raise ProviderError(f"{endpoint} does not take the code: {type(error).__name__}: {error}") from error


async def told(asking: AsyncOAuth2Client, url: str, *, with_token: bool = False) -> dict[str, Any]:
    """Return a document of a provider. Raises `ProviderError`."""
    from authlib.integrations.base_client import OAuthError
    from httpx2 import HTTPError

    try:
        response = await asking.request("GET", url, withhold_token=not with_token)
        response.raise_for_status()
        document = response.json()
    except (OAuthError, HTTPError, ValueError) as error:
        raise ProviderError(f"{url} cannot be read: {type(error).__name__}: {error}") from error
    if not isinstance(document, dict):
        raise ProviderError(f"{url} does not hold an object")
    return document
