"""The OpenAPI description of the API under its settings: what it accepts, and every response it can give."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from .account import SAMPLE_ORDER
from .catalog import SAMPLE_PRODUCT
from .request_parsing import LARGEST_PAGE
from .router import routes
from .settings import Settings

_ITEMS = {"checkOrder": "{orderId}", "checkProduct": "{productId}"}


def describe(settings: Settings) -> dict[str, Any]:
    """Give the OpenAPI 3.1 document of a sandbox with these settings; its server is where the document comes from."""
    rendered = _template().render(
        settings=settings,
        paths={path + _ITEMS.get(name, ""): name for path, (_, name) in routes(settings).items()},
        largest_page=LARGEST_PAGE,
        sample_order=SAMPLE_ORDER,
        sample_product=SAMPLE_PRODUCT,
    )
    document: dict[str, Any] = json.loads(rendered, object_hook=_complete)
    return document


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined  # only who reads the description needs it

    source = files("giftlib.sandbox").joinpath("openapi.json.jinja").read_text(encoding="utf-8")
    return Environment(autoescape=False, undefined=StrictUndefined).from_string(source)


def _complete(part: dict[str, Any]) -> dict[str, Any]:
    """Say that an object schema requires all its properties and allows no others, unless it says otherwise."""
    if part.get("type") == "object":
        return {"required": list(part["properties"]), "additionalProperties": False, **part}
    return part
