"""The seeds: what the file says is found, also what it says later."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxfero.discovery.seeds import Seeds
from rxfero.errors import ConfigurationError
from tests.discovery.seeker import Finding, seeker


async def test_a_file_is_read_and_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "seeds"
    async with Finding(Seeds(file, every_s=0.001), seeker(alone=lambda: False)) as finding:
        file.write_text("# the first\n10.0.0.1:5000\n\n", encoding="utf-8")
        await finding.has(("10.0.0.1", 5000))
        file.write_text("10.0.0.1:5000\n[::1]:5001  # another\n", encoding="utf-8")
        await finding.has(("::1", 5001))
        file.unlink()
        file.write_text("db-1.example:5002\n", encoding="utf-8")
        await finding.has(("db-1.example", 5002))


async def test_who_is_alone_is_told_again(tmp_path: Path) -> None:
    file = tmp_path / "seeds"
    file.write_text("10.0.0.1:5000\n", encoding="utf-8")
    async with Finding(Seeds(file, every_s=0.001), seeker()) as finding:
        await finding.until(lambda: len(finding.found) > 2)


async def test_a_line_that_is_no_address_is_told_with_its_number(tmp_path: Path) -> None:
    file = tmp_path / "seeds"
    file.write_text("10.0.0.1:5000\n10.0.0.2\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="seeds:2"):
        await Seeds(file).find(seeker(), lambda host, port: None)
    assert Seeds(file, 7000).read() == [("10.0.0.1", 5000), ("10.0.0.2", 7000)]


@settings(deadline=None)
@given(st.text())
def test_any_text_is_read_or_refused(tmp_path_factory: Any, text: str) -> None:
    file = tmp_path_factory.mktemp("seeds") / "seeds"
    file.write_bytes(text.encode(errors="surrogatepass"))
    with suppress(ConfigurationError):
        assert all(host and 0 < port < 65_536 for host, port in Seeds(file).read())


def test_a_file_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert Seeds(tmp_path / "none").read() == []


@pytest.mark.parametrize("options", [{"port": 0}, {"every_s": -1}], ids=str)
def test_what_does_not_fit_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Seeds("seeds", **options)
