"""Tests of the parity runner: it must fail on everything that is not shown to agree."""

import json
import re

import numpy as np
import pytest

from tests.parity import __main__ as command
from tests.parity.case import Arrays, Case
from tests.parity.compare import Tolerance, compare, tolerance_of
from tests.parity.runner import Adapters, find_adapters, is_reference_data, run_case

GOOD = np.array([1.0, 2.0], np.float32)
SETTINGS = {"rtol": 0, "atol": 1e-3}


def echo(case, data_dir):
    """Returns what the config says, as the results."""
    return {name: np.asarray(value) for name, value in case.config["returns"].items()}


def broken(case, data_dir):
    raise RuntimeError("the adapter\nfell over")


def adapters(**extra):
    kinds = {"toy/echo": echo, "toy/broken": broken, "toy/json": echo}
    expected = {"toy/json": lambda full: {"score": full["score"]}}
    return Adapters(kinds | extra, expected, {"toy/json": ("score",)})


def write_case(folder, returns, outputs=None, name="case", **entries):
    content = {"system": "toy", "case": name, "kind": "toy/echo", "tolerance": SETTINGS}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content | {"config": {"returns": returns}} | entries))
    if outputs is not None:
        np.savez(path.with_suffix(".npz"), **{f"out.{k}": v for k, v in outputs.items()})
    return path


def run(path, **extra):
    return run_case(path, path.parent, adapters(**extra))


def test_equal_results_pass_with_a_line_each(tmp_path):
    path = write_case(tmp_path, {"a": [1.0005, 2], "b": [3]}, {"a": GOOD, "b": np.array([3])})
    result = run(path)
    assert result.passed
    assert result.lines[0].startswith("ok   toy/case  out.a  max_abs 5.0e-04  max_rel")
    assert result.lines[1] == "ok   toy/case  out.b  0 of 1 differ"


@pytest.mark.parametrize(
    ("returned", "fault"),
    [
        ([1.0, 2.1], "1 of 2 differ"),
        ([1.0, float("nan")], "NaN"),
        ([1.0, float("inf")], "1 of 2 differ"),
        ([1.0], r"shape \[1\], expected \[2\]"),
        ([[1.0, 2.0]], "shape"),
    ],
)
def test_wrong_results_fail(tmp_path, returned, fault):
    result = run(write_case(tmp_path, {"a": returned}, {"a": GOOD}))
    assert not result.passed
    assert result.lines[0].startswith("FAIL toy/case  out.a")
    assert re.search(fault, result.lines[0])


def test_one_wrong_output_fails_the_case(tmp_path):
    result = run(write_case(tmp_path, {"a": [1, 2], "b": [9]}, {"a": GOOD, "b": np.array([3])}))
    assert not result.passed and [line[:4] for line in result.lines] == ["ok  ", "FAIL"]


def test_a_missing_output_fails(tmp_path):
    result = run(write_case(tmp_path, {"b": [1, 2]}, {"a": GOOD}))
    assert result.lines == ("FAIL toy/case  out.a  not returned by the adapter",)


@pytest.mark.parametrize("outputs", [None, {}])
def test_nothing_to_compare_fails(tmp_path, outputs):
    result = run(write_case(tmp_path, {"a": [1, 2]}, outputs))
    assert not result.passed and "nothing to compare" in result.lines[0]


def test_an_unknown_kind_fails(tmp_path):
    result = run(write_case(tmp_path, {}, {"a": GOOD}, kind="toy/unknown"))
    assert result.lines == ("FAIL toy/case  no adapter for kind 'toy/unknown'",)


def test_an_adapter_that_raises_fails_in_one_line(tmp_path):
    result = run(write_case(tmp_path, {}, {"a": GOOD}, kind="toy/broken"))
    assert not result.passed
    assert result.lines[0].startswith("FAIL toy/case  RuntimeError at test_runner.py:")
    assert result.lines[0].endswith("the adapter fell over")


@pytest.mark.parametrize("content", ["", "{", "[1]", '"text"', '{"kind": "toy/echo"}', "\x00\xff"])
def test_garbage_fails_in_one_line(tmp_path, content):
    path = tmp_path / "case.json"
    path.write_text(content)
    result = run(path)
    assert not result.passed and len(result.lines) == 1 and result.lines[0].startswith("FAIL ")


def test_a_missing_file_and_a_cut_array_file_fail(tmp_path):
    assert not run(tmp_path / "none.json").passed
    path = write_case(tmp_path, {"a": [1, 2]}, {"a": GOOD})
    arrays = path.with_suffix(".npz")
    arrays.write_bytes(arrays.read_bytes()[:-40])
    result = run(path)
    assert not result.passed and result.lines[0].startswith("FAIL toy/case  ")


def test_pickled_arrays_are_not_read(tmp_path):
    path = write_case(tmp_path, {"a": [1, 2]})
    np.savez(path.with_suffix(".npz"), **{"out.a": np.array([{}], object)})
    assert "allow_pickle" in run(path).lines[0]


def test_results_in_json_are_compared_and_hidden_from_the_adapter(tmp_path):
    def sees(case, data_dir):
        assert "score" not in case.json and case.outputs_wanted == ("score",)
        return {"score": 0.5}

    path = write_case(tmp_path, {}, kind="toy/json", score=0.5)
    assert run(path, **{"toy/json": sees}).passed
    path = write_case(tmp_path, {}, kind="toy/json", score=0.6)
    assert not run(path, **{"toy/json": sees}).passed


def test_results_may_stand_in_both_files_but_not_twice(tmp_path):
    def both(case, data_dir):
        return {"a": GOOD, "score": 1}

    path = write_case(tmp_path, {}, {"a": GOOD}, kind="toy/json", score=1)
    result = run(path, **{"toy/json": both})
    assert result.passed and len(result.lines) == 2
    path = write_case(tmp_path, {}, {"score": GOOD}, kind="toy/json", score=1)
    assert "both" in run(path, **{"toy/json": both}).lines[0]


def test_adapters_never_see_recorded_outputs(tmp_path):
    path = write_case(tmp_path, {}, {"a": GOOD})
    inputs = Arrays(path.with_suffix(".npz"), "in.")
    assert list(inputs) == []
    with pytest.raises(KeyError):
        inputs["out.a"]


def test_inputs_are_read_by_name_and_may_replace_weights(tmp_path):
    weights = {"recipe": "seeded-v1", "seed": 1, "tensors": [["w", [2], "float32"]]}
    path = write_case(tmp_path, {}, weights=weights)
    np.savez(path.with_suffix(".npz"), **{"in.x": GOOD, "in.weight.v": GOOD + 1, "out.a": GOOD})
    content = json.loads(path.read_text())
    case = Case(path, content, Arrays(path.with_suffix(".npz"), "in."), ("a",))
    assert set(case.weights()) == {"w", "v"} and case.weights()["w"].shape == (2,)
    np.testing.assert_array_equal(case.weights()["v"], GOOD + 1)
    np.testing.assert_array_equal(case.inputs["x"], GOOD)
    assert case.folder == tmp_path


@pytest.mark.parametrize(
    ("settings", "name", "dtype", "expected"),
    [
        ({"rtol": 0.1, "atol": 0.2}, "a", "f4", Tolerance(0.1, 0.2)),
        ({"rtol": 0.1, "atol": 0.2}, "a", "i4", Tolerance()),
        ({"rtol": 0.1, "atol": 0.2}, "a", "?", Tolerance()),
        ({"rtol": 0.1, "per_output": {"a": {"atol": 3}}}, "a", "u1", Tolerance(0.0, 3)),
        ({"rtol": 0.1, "per_output": {"a": {"atol": 3}}}, "a", "f8", Tolerance(0.1, 3)),
        ({"atol": 1, "per_output": {"b": {"atol": 3}}}, "a", "f8", Tolerance(0.0, 1)),
        ({"per_output": {"a": {"mismatch": 0.1}}}, "a", "u1", Tolerance(mismatch=0.1)),
        ({"atol": 1, "per_output_atol": {"a": 2}}, "a", "f4", Tolerance(0.0, 2)),
        ({"max_label_mismatch": 0.2}, "masks", "u1", Tolerance(mismatch=0.2)),
        ({"max_label_mismatch": 0.2}, "labels", "u1", Tolerance()),
    ],
)
def test_tolerances_are_read_as_documented(settings, name, dtype, expected):
    assert tolerance_of(settings, name, np.dtype(dtype)) == expected


@pytest.mark.parametrize(
    ("ours", "theirs", "tolerance", "passes"),
    [
        ([1.1, 2.2], [1.0, 2.0], Tolerance(rtol=0.11), True),
        ([1.1, 2.3], [1.0, 2.0], Tolerance(rtol=0.11), False),
        ([np.nan], [np.nan], Tolerance(atol=9, mismatch=1), False),
        ([np.nan], [1.0], Tolerance(atol=np.inf), False),
        ([1.0], [np.inf], Tolerance(rtol=1), False),
        ([-np.inf], [-np.inf], Tolerance(), True),
        ([np.inf], [-np.inf], Tolerance(atol=1, rtol=1), False),
        ([[1.0, 1.0], [5.0, 5.0]], [[1.1, 1.0], [3.0, 5.0]], Tolerance(atol=[0.2, 3]), True),
        ([[1.0, 1.0], [5.0, 5.0]], [[3.0, 1.0], [5.0, 5.0]], Tolerance(atol=[0.2, 3]), False),
        ([1, 2, 3, 4], [1, 2, 3, 5], Tolerance(mismatch=0.25), True),
        ([1, 2, 3, 3], [1, 2, 2, 5], Tolerance(mismatch=0.25), False),
        ([1, 2], [1, 3], Tolerance(), False),
        ([1, 2], [1, 3], Tolerance(atol=1), True),
        ([True, False], [True, True], Tolerance(), False),
        ([2**60 + 1], [2**60], Tolerance(), False),
        (["a"], ["b"], Tolerance(), False),
        ([], [], Tolerance(), True),
    ],
)
def test_compare(ours, theirs, tolerance, passes):
    assert compare(np.array(ours), np.array(theirs), tolerance)[0] is passes


def test_tables_are_not_cases_but_broken_cases_are(tmp_path):
    table = tmp_path / "table.json"
    table.write_text('{"case": "table", "rates": [1]}')
    assert is_reference_data(table)
    assert not is_reference_data(write_case(tmp_path, {}, {"a": GOOD}))
    for content in ('{"tolerance": {}}', "{"):
        table.write_text(content)
        assert not is_reference_data(table)


def test_the_command_counts_cases_and_sets_its_status(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "find_adapters", adapters)
    good = write_case(tmp_path, {"a": [1, 2], "b": [1, 2]}, {"a": GOOD, "b": GOOD}, "good")
    bad = write_case(tmp_path, {"a": [1, 2], "b": [1, 3]}, {"a": GOOD, "b": GOOD}, "bad")
    table = tmp_path / "table.json"
    table.write_text("{}")
    assert command.main([str(good), str(table)]) == 0
    assert capsys.readouterr().out.endswith("1 passed, 0 failed\n")
    assert command.main([str(good), str(bad), str(good)]) == 1
    assert capsys.readouterr().out.endswith("2 passed, 1 failed\n")
    assert command.main([str(table)]) == 1


def test_all_adapter_modules_can_be_imported():
    found = find_adapters()
    assert not found.broken and "hodor/decoder" in found.run
    assert set(found.expected) <= set(found.run) and set(found.result_keys) <= set(found.run)
