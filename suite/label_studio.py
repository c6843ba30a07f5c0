"""A running Label Studio, spoken to over its API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from datamodules.errors import Refused

AT_ONCE = 20  # tasks in one request: pictures are in them
SECONDS = 60


class Server:
    def __init__(self, url: str, token: str) -> None:
        """
        Args:
            token: A personal access token, or one of the old kind.
        """
        if urlsplit(url).scheme not in ("http", "https"):
            raise Refused(f"url {url}: must begin with http:// or https://")
        self.url, self.headers = url.rstrip("/"), {"Content-Type": "application/json"}
        # personal access tokens are signed, and exchanged for one that holds for minutes
        is_personal = token.count(".") == 2
        access = self.ask("POST", "/api/token/refresh", {"refresh": token})["access"] if is_personal else token
        self.headers["Authorization"] = f"{'Bearer' if is_personal else 'Token'} {access}"

    def ask(self, verb: str, path: str, content: Any = None) -> Any:
        data = None if content is None else json.dumps(content).encode()
        try:
            with urlopen(Request(self.url + path, data, self.headers, method=verb), timeout=SECONDS) as answer:
                return json.load(answer)
        except HTTPError as error:
            reason = {401: "the token is not accepted", 403: "the token has no right to it", 404: "no such thing"}
            said = reason.get(error.code) or error.read(300).decode(errors="replace")
            raise Refused(f"{self.url}{path}: {error.code}, {said}") from None  # the request holds the token
        except (URLError, TimeoutError, ValueError) as error:
            raise Refused(f"{self.url}{path}: no answer of Label Studio ({getattr(error, 'reason', error)})") from None

    def push(self, title: str, config: str, tasks: Sequence[Any]) -> int:
        """The number of a new project."""
        number = int(self.ask("POST", "/api/projects", {"title": title[:50], "label_config": config})["id"])
        for i in range(0, len(tasks), AT_ONCE):
            self.ask("POST", f"/api/projects/{number}/import", tasks[i : i + AT_ONCE])
        return number

    def pull(self, project: int) -> Any:
        return self.ask("GET", f"/api/projects/{project}/export?exportType=JSON")
