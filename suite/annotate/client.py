"""A running Label Studio, spoken to over its API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from datamodules.runtime.errors import UserError

AT_ONCE = 20  # tasks in one request: images are in them
SECONDS = 60


class Gone(UserError):
    """The server has no such thing, or has it no more."""


class Straight(HTTPRedirectHandler):
    """A redirect is an error: the token is for the server that was named."""

    def redirect_request(self, *_: Any) -> None:
        return None


class LabelStudio:
    def __init__(self, url: str, token: str) -> None:
        """
        Args:
            token: A personal access token, or one of the old kind.
        """
        if urlsplit(url).scheme not in ("http", "https"):
            raise UserError(f"url {url}: must begin with http:// or https://")
        token = token.strip()
        if not token.isascii() or not token.isprintable() or " " in token:
            raise UserError("token: holds what no token does, such as a blank or the end of a line")
        self.opener = build_opener(Straight)
        self.url, self.headers = url.rstrip("/"), {"Content-Type": "application/json"}
        # personal access tokens are signed, and exchanged for one that holds for minutes
        is_personal = token.count(".") == 2
        access = self.ask("POST", "/api/token/refresh", {"refresh": token})["access"] if is_personal else token
        self.headers["Authorization"] = f"{'Bearer' if is_personal else 'Token'} {access}"

    def ask(self, verb: str, path: str, content: Any = None) -> Any:
        data = None if content is None else json.dumps(content).encode()
        call = Request(self.url + path, data, self.headers, method=verb)
        try:
            with self.opener.open(call, timeout=SECONDS) as answer:
                said = answer.read()
        except HTTPError as error:
            if 300 <= error.code < 400:
                raise UserError(
                    f"{call.full_url}: is elsewhere, at {error.headers.get('Location')}; give that"
                ) from None
            known = {401: "the token is not accepted", 403: "the token has no right to it", 404: "no such thing"}
            why = known.get(error.code) or error.read(300).decode(errors="replace")
            kind = Gone if error.code == 404 else UserError
            raise kind(f"{call.full_url}: {error.code}, {why}") from None  # the request holds the token
        except (URLError, TimeoutError) as error:
            why = str(error.reason) if isinstance(error, URLError) else "too slow"
            raise UserError(f"{call.full_url}: no answer of Label Studio ({why})") from None
        try:
            return json.loads(said)
        except ValueError:
            raise UserError(f"{call.full_url}: answers, but not as Label Studio does") from None

    def push(self, title: str, config: str, tasks: Sequence[Any]) -> int:
        """The number of a new project."""
        number = int(self.ask("POST", "/api/projects", {"title": title[:50], "label_config": config})["id"])
        for i in range(0, len(tasks), AT_ONCE):
            self.ask("POST", f"/api/projects/{number}/import", tasks[i : i + AT_ONCE])
        return number

    def pull(self, project: int) -> list[Any]:
        found = self.ask("GET", path := f"/api/projects/{project}/export?exportType=JSON")
        if not isinstance(found, list):
            raise UserError(f"{self.url}{path}: answers, but not as Label Studio does")
        return found
