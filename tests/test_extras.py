"""The extras: what is not installed is named, with the line that installs it."""

from __future__ import annotations

import json

import pytest

from rxfero.errors import ConfigurationError
from rxfero.extras import wanted


def test_what_is_there_is_imported() -> None:
    assert wanted("json", "notebook", "view") is json


def test_what_is_missing_says_how_to_get_it() -> None:
    with pytest.raises(ConfigurationError) as raised:
        wanted("no_such_library_here", "notebook", "view")
    assert "pip install 'rxfero[notebook]'" in str(raised.value)
    assert "view" in str(raised.value)
    assert isinstance(raised.value.__cause__, ImportError)
