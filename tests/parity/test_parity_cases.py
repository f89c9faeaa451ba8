"""Every copied case of a part passes through the generic runner."""

import pytest

from tests.parity.__main__ import DEFAULT_DATA
from tests.parity.cases import copied_cases, kind_of, name_of
from tests.parity.runner import find_adapters, run_case


@pytest.fixture(scope="module", name="adapters")
def all_adapters():
    """The adapters of all systems; none may fail to import."""
    found = find_adapters()
    assert not found.broken
    return found


@pytest.mark.parametrize("path", copied_cases(whole=False), ids=name_of)
def test_recorded_case(path, adapters):
    result = run_case(path, DEFAULT_DATA, adapters)
    assert result.passed, "\n".join(result.lines)


def test_every_kind_with_an_adapter_has_a_case(adapters):
    left_out = {"metrics/davis2016_sequences"}
    cases = copied_cases(whole=False) + copied_cases(whole=True)
    assert {kind_of(path) for path in cases} | left_out == set(adapters.run) | left_out
