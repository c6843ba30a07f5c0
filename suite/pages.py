"""Self-contained pages: a template, and the style that all of them have."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

HERE = Path(__file__).parent


def render(template: str, **content: Any) -> str:
    """
    Args:
        template: Beside this file, or in a folder of it.
    """
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True)
    made = f"deepfake-suite, {date.today().isoformat()}"
    style = Markup((HERE / "page.css").read_text())
    return environment.get_template(template).render(style=style, made=made, **content)
