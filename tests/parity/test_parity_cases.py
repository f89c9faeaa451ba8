"""Every copied case passes through the generic runner."""

from pathlib import Path

import pytest

from tests.parity.__main__ import DEFAULT_DATA
from tests.parity.runner import find_adapters, run_case

CASES = sorted(
    path
    for path in (Path(__file__).parent / "cases").glob("*/*.json")
    if not path.name.startswith("expected")
)


@pytest.fixture(scope="module")
def adapters():
    found = find_adapters()
    assert not found.broken
    return found


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_recorded_case(path, adapters):
    result = run_case(path, DEFAULT_DATA, adapters)
    assert result.passed, "\n".join(result.lines)


def test_there_are_cases_of_every_system_with_adapters(adapters):
    systems = {kind.partition("/")[0] for kind in adapters.run}
    assert systems == {path.parent.name for path in CASES}
