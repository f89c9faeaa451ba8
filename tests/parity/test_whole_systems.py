"""Every copied case of a whole system passes through the generic runner."""

import pytest

from tests.parity.__main__ import DEFAULT_DATA
from tests.parity.cases import copied_cases, name_of
from tests.parity.runner import find_adapters, run_case

pytestmark = pytest.mark.whole


@pytest.mark.parametrize("path", copied_cases(whole=True), ids=name_of)
def test_recorded_case_of_a_whole_system(path):
    result = run_case(path, DEFAULT_DATA, find_adapters())
    assert result.passed, "\n".join(result.lines)
