"""Every copied case of a part passes through the generic runner."""

import pytest

from tests.parity.cases import copied_cases, kind_of, name_of
from tests.parity.runner import find_adapters

PARTS = copied_cases(whole=False)


@pytest.fixture(scope="module", name="said")
def what_the_command_says(run_python):
    """Of all cases, with the programs that a user would run."""
    return run_python("-m", "tests.parity", *PARTS, as_shipped=True).stdout.splitlines()


@pytest.mark.parametrize("path", PARTS, ids=name_of)
def test_recorded_case(path, said):
    lines = [line for line in said if name_of(path) in line.split()]
    assert lines and all(line.startswith("ok") for line in lines), "\n".join(lines)


def test_every_kind_with_an_adapter_has_a_case():
    adapters = find_adapters()
    assert not adapters.broken
    left_out = {"metrics/davis2016_sequences"}
    cases = copied_cases(whole=False) + copied_cases(whole=True)
    assert {kind_of(path) for path in cases} | left_out == set(adapters.run) | left_out
