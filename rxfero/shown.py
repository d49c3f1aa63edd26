"""The shown: what a notebook shows as a page, and everything else by its repr."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import Any


class Shown:
    """Shown by the pages of :mod:`rxfero.display`, which nothing but a notebook loads."""

    __slots__ = ()

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """Give the page as text and as HTML; a page that cannot be made leaves the text."""
        display: Any = import_module("rxfero.display")
        bundle = {"text/plain": repr(self)}
        page = display.page(self)
        if page is not None:
            bundle["text/html"] = page
        kept = (kind for kind in bundle if include is None or kind in include)
        return {kind: bundle[kind] for kind in kept if exclude is None or kind not in exclude}
