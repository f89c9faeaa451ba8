"""Every copied case of a whole system passes through the generic runner."""

import pytest

from tests.parity.cases import copied_cases, name_of

pytestmark = pytest.mark.whole


@pytest.mark.parametrize("path", copied_cases(whole=True), ids=name_of)
def test_recorded_case_of_a_whole_system(path, run_python):
    """In the command and with the programs that a user would run."""
    done = run_python("-m", "tests.parity", path, as_shipped=True)
    assert done.returncode == 0, done.stdout + done.stderr
