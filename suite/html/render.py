"""Self-contained pages: a template, and the style that all of them have."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup

SUITE = Path(__file__).parents[1]


def join_number(text: str) -> str:
    """With breaks only where a narrow cell may have one: before the interval or the spread of a number."""
    return text.replace(", ", ",\u00a0").replace("± ", "±\u00a0") if "[" in text or "±" in text else text


def template(name: str) -> Template:
    """
    Args:
        name: From the folder of the suite on; what is no page is not escaped.
    """
    pages = select_autoescape(["html"])
    environment = Environment(
        loader=FileSystemLoader(SUITE),
        autoescape=pages,
        trim_blocks=True,
        undefined=StrictUndefined,  # a name that nothing has is a fault, and no empty text
    )
    environment.filters["join_number"] = join_number
    return environment.get_template(name)


def render(name: str, **content: Any) -> str:
    """A page of a template."""
    made = f"deepfake-suite, {date.today().isoformat()}"
    style = Markup((SUITE / "html/style.css").read_text())
    return template(name).render(style=style, made=made, **content)
