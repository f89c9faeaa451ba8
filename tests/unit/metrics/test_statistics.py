"""Mean, recall and decay of rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vos_jax.metrics.statistics import row_statistics

ROWS = st.lists(st.floats(0, 1), min_size=1, max_size=400)


def edges_of_exact_fractions(length):
    """Bin edges with exact arithmetic: quarters of the way, exact halves rounded up."""
    return [int((2 * (4 + k * (length - 1)) + 4) // 8) - 1 for k in range(5)]


@given(ROWS)
def test_all_three_by_their_definition(row):
    mean, recall, decay = row_statistics(np.array(row))
    first, second, _, fourth, last = edges_of_exact_fractions(len(row))
    assert mean == pytest.approx(np.mean(row))
    assert recall == pytest.approx(sum(value > 0.5 for value in row) / len(row))
    expected = np.mean(row[first : second + 1]) - np.mean(row[fourth : last + 1])
    assert decay == pytest.approx(expected)


@pytest.mark.parametrize(
    "length, first, last", [(1, 1, 1), (2, 1, 1), (3, 2, 1), (4, 2, 2), (5, 2, 2), (78, 20, 20)]
)
def test_sizes_of_the_first_and_last_quarter(length, first, last):
    ones = np.zeros(length)
    ones[:first] = 1
    assert row_statistics(ones).decay == pytest.approx(1 - ones[length - last :].mean())


def test_one_half_is_not_above():
    assert row_statistics(np.array([0.5, 0.5, np.nextafter(0.5, 1)])).recall == pytest.approx(1 / 3)


def test_nan_is_left_out_of_the_mean_but_fails_in_the_recall():
    mean, recall, decay = row_statistics(np.array([np.nan, 1.0, 1.0, 0.0, 0.4, np.nan]))
    assert (mean, recall) == (pytest.approx(0.6), pytest.approx(2 / 6))
    assert decay == pytest.approx(1.0 - 0.4)


def test_one_frame_does_not_decay():
    assert row_statistics(np.array([0.3])) == (0.3, 0.0, 0.0)


@pytest.mark.parametrize("row", [[], [np.nan, np.nan]])
def test_nothing_to_average_gives_nan(row):
    statistics = row_statistics(np.array(row))
    assert np.isnan(statistics.mean) and np.isnan(statistics.decay)


def test_long_rows_do_not_overflow():
    row = np.linspace(1, 0, 1001)
    assert row_statistics(row).decay == pytest.approx(0.75, abs=1e-3)
