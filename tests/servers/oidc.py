"""A local OpenID provider with an account of one person, which signs what it is told to; Discord's OAuth beside it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.servers.chat import QuietServer, listening

CLIENT, SECRET = "frontdesk-client", "client-secret"
_KEY = RSAKey.generate_key(2048, {"kid": "one"}, auto_kid=False)
_OTHER = RSAKey.generate_key(2048, {"kid": "one"}, auto_kid=False)


@dataclass(eq=False)
class OidcProvider:
    """`async with OidcProvider() as provider:` is the issuer `provider.url`; whoever comes is `person`, without being asked."""

    person: dict[str, Any] = field(default_factory=lambda: {"sub": "7", "email": "ann@shop.example", "email_verified": True})
    lies: dict[str, Any] = field(default_factory=dict)  # claims of the ID token that are not as they should be; None: left out
    forges: bool = False  # signs with a key that it does not publish
    unsigned: bool = False
    in_userinfo: bool = False  # the address is told there only
    declines: bool = False
    discord: dict[str, Any] = field(default_factory=lambda: {"id": "42", "email": "ann@shop.example", "verified": True})
    broken: bool = False
    asked: list[str] = field(default_factory=list)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        listener = listening(0)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._server = QuietServer(uvicorn.Config(self._app(), log_config=None, access_log=False, lifespan="off"))
        self._serving = asyncio.create_task(self._server.serve([listener]))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        await self._serving

    def _app(self) -> Starlette:
        routes = {
            "/.well-known/openid-configuration": self._configuration,
            "/authorize": self._authorize,
            "/oauth2/authorize": self._authorize,
            "/token": self._token,
            "/api/oauth2/token": self._token,
            "/keys": self._keys,
            "/userinfo": self._userinfo,
            "/api/users/@me": self._me,
        }
        return Starlette(routes=[Route(path, handler, methods=["GET", "POST"]) for path, handler in routes.items()])

    async def _configuration(self, _request: Request) -> Response:
        if self.broken:
            return Response("<h1>secret-in-an-error-page</h1>", 500)
        paths = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys", "userinfo_endpoint": "/userinfo"}
        return JSONResponse({"issuer": self.url} | {name: self.url + path for name, path in paths.items()})

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert asked["client_id"] == CLIENT and asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
        if self.declines:
            return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'error': 'access_denied', 'state': asked['state']})}", 302)
        code = f"code-{len(self._codes)}"
        self._codes[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 302)

    async def _token(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        given = dict(parse_qsl((await request.body()).decode()))
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        asked = self._codes.pop(given["code"], None)
        proof = base64.urlsafe_b64encode(hashlib.sha256(given["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        good = asked and request.headers.get("authorization") == f"Basic {basic}" and proof == asked["code_challenge"]
        if not asked or not good or given["redirect_uri"] != asked["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        token = {"access_token": "access", "token_type": "Bearer", "expires_in": 3600}
        return JSONResponse(token if "nonce" not in asked else token | {"id_token": self._signed(asked["nonce"])})

    async def _keys(self, _request: Request) -> Response:
        return JSONResponse({"keys": [_KEY.as_dict(private=False)]})

    async def _userinfo(self, request: Request) -> Response:
        return JSONResponse(self.person if request.headers.get("authorization") == "Bearer access" else {}, 200)

    async def _me(self, request: Request) -> Response:
        return JSONResponse(self.discord if request.headers.get("authorization") == "Bearer access" else {"message": "401"})

    def _signed(self, nonce: str) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": nonce, "sub": self.person["sub"]}
        claims |= {} if self.in_userinfo else self.person
        claims = {name: value for name, value in (claims | self.lies).items() if value is not None}
        if self.unsigned:
            header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
            return f"{header}.{jwt.encode({'alg': 'RS256'}, claims, _KEY).split('.')[1]}."
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, _OTHER if self.forges else _KEY)
