"""Who may talk to the studio, and how much they may say: asked before anything else runs.

Three attacks on a server that listens on one's own computer are met here. A page of another site
that sends requests to it (cross-site request forgery) has a foreign `Origin`. A site whose name
is made to point to 127.0.0.1 (DNS rebinding) has its own name as `Host`. And whoever reaches the
address over the network has no token.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import re
import socket
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penmark.studio.settings import Limits, StudioSettings, is_loopback

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
TOKEN_COOKIE = "penmark_studio_token"

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
# A finished report is a page of its own, with its style inside and no script.
REPORT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": CONTENT_SECURITY_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=()",
    b"cache-control": b"no-store",
}
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?")
_NO_TOKEN_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>penmark studio</title>
<h1>This studio asks for a token</h1>
<p>Open the address that <code>penmark studio</code> printed in its terminal, token included.</p>
"""


class BodyRefused(Exception):
    """A request's body is longer than its limit, or comes too slowly."""


class Guard:
    """ASGI middleware around the whole application.

    Args:
        app: what to guard.
        settings: the address listened on, the token, the limits.
        body_limit: (method, path) -> the most bytes that its body may have.
    """

    def __init__(
        self, app: ASGIApp, settings: StudioSettings, body_limit: Callable[[str, str], int]
    ) -> None:
        self._app = app
        self._token = settings.token
        self._limits: Limits = settings.limits
        self._body_limit = body_limit
        self._hosts = allowed_names(settings.host)
        self._any_address = not is_loopback(settings.host)
        self._cookie = f"{TOKEN_COOKIE}_{settings.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not self._host_allowed(headers):
            await _refuse(
                scope, send, 403, "this studio is not reached by that name; use its address"
            )
            return
        if not _same_origin(headers):
            await _refuse(scope, send, 403, "requests from other sites are refused")
            return
        shown_in_query = self._token_in_query(scope)
        if self._token is not None and not (
            shown_in_query or self._token_in_headers(headers, self._token)
        ):
            await _refuse(
                scope, send, 401, "open the address with the token that penmark studio printed"
            )
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        await self._guarded_http(scope, headers, receive, send, set_cookie=shown_in_query)

    def _host_allowed(self, headers: Headers) -> bool:
        hosts = headers.getlist("host")
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None:
            return False
        name = match["name"].strip("[]").lower().rstrip(".")
        return name in self._hosts or (self._any_address and _is_address(name))

    def _token_in_query(self, scope: Scope) -> bool:
        """Whether a page was opened with the token in its address."""
        if self._token is None or scope["type"] != "http" or scope["method"] != "GET":
            return False
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        return hmac.compare_digest(given.encode(), self._token.encode())

    def _token_in_headers(self, headers: Headers, token: str) -> bool:
        given = [headers.get("authorization", "").removeprefix("Bearer ")]
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except CookieError:
            return False
        if self._cookie in cookies:
            given.append(cookies[self._cookie].value)
        return any(hmac.compare_digest(value.encode(), token.encode()) for value in given)

    async def _guarded_http(
        self, scope: Scope, headers: Headers, receive: Receive, send: Send, *, set_cookie: bool
    ) -> None:
        limit = self._body_limit(scope["method"], scope["path"])
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            await _refuse(scope, send, 413, too_large(limit))
            return
        received = 0
        more = True
        answered = False
        refusal: tuple[int, str] | None = None

        async def counted() -> Message:
            nonlocal received, more, refusal
            if not more:
                return await receive()  # from here on it only tells when the client has gone
            try:
                message = await asyncio.wait_for(receive(), self._limits.receive_seconds)
            except TimeoutError as error:
                refusal = 408, "the request's body came too slowly; try again"
                raise BodyRefused from error
            received += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)
            if received > limit:
                refusal = 413, too_large(limit)
                raise BodyRefused
            return message

        async def with_headers(message: Message) -> None:
            nonlocal answered
            if refusal is not None and not answered:
                return  # the answer of an application that has not heard the whole request
            if message["type"] == "http.response.start":
                answered = True
                given = {name.lower() for name, _ in message.get("headers", [])}
                extra = [(name, value) for name, value in _HEADERS.items() if name not in given]
                if set_cookie and self._token is not None:
                    cookie = f"{self._cookie}={self._token}; HttpOnly; SameSite=Strict; Path=/"
                    extra.append((b"set-cookie", cookie.encode()))
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await send(message)

        try:
            await self._app(scope, counted, with_headers)
        except BodyRefused:
            if answered:
                raise
        if refusal is not None and not answered:
            await _refuse(scope, send, *refusal)


def too_large(limit: int) -> str:
    """The line for what is larger than it may be."""
    size = f"{limit / (1 << 20):.0f} MB" if limit >= 1 << 20 else f"{limit // 1024} KB"
    return f"that is larger than the {size} allowed here; send less"


def allowed_names(host: str) -> frozenset[str]:
    """The names by which a studio that listens on `host` may be called, lower-case.

    Beside them any IP address is fine where it listens on more than this computer: an address
    cannot be made to point elsewhere.
    """
    if is_loopback(host):
        return LOOPBACK_NAMES | {host.strip("[]").lower()}
    return LOOPBACK_NAMES | {host.strip("[]").lower(), socket.gethostname().lower()}


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same_origin(headers: Headers) -> bool:
    """Whether a request comes from the studio's own page, or from no page at all.

    Browsers name the origin with every request that another site could abuse, and say with
    `Sec-Fetch-Site` how it relates; programs like curl send neither.
    """
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return _is_navigation(headers)
    origins = headers.getlist("origin")
    if not origins:
        return True
    try:
        return len(origins) == 1 and urlsplit(origins[0]).netloc == headers.get("host")
    except ValueError:
        return False


def _is_navigation(headers: Headers) -> bool:
    """A link on another page that leads here: the page opens, and that page cannot read it."""
    return (
        headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
        and "origin" not in headers
    )


async def _refuse(scope: Scope, send: Send, status: int, detail: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": detail})
        return
    body, kind = json.dumps({"detail": detail}).encode(), b"application/json"
    if status == 401 and not scope["path"].startswith("/api/"):
        body, kind = _NO_TOKEN_PAGE.encode(), b"text/html; charset=utf-8"
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *_HEADERS.items(),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
