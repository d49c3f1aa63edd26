"""The extras: libraries that only a part of the package wants, asked for when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rxfero.errors import ConfigurationError


def wanted(library: str, extra: str, what: str) -> Any:
    """Import a library of an extra.

    Raises:
        ConfigurationError: it is not installed; says how to install it.
    """
    try:
        return import_module(library)
    except ImportError as error:
        hint = f"needs {library}, which is not installed: pip install 'rxfero[{extra}]'"
        raise ConfigurationError(what, None, hint) from error
