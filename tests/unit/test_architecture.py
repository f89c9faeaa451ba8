"""The house keeps its floors: who imports whom, how long files are, what stays optional."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A unit is a folder or a file of vos_jax, or data_prep; it imports only from lower floors.
FLOORS = (
    {"core"},
    {"ops", "losses", "io", "metrics", "checkpoints"},
    {"nn", "data"},
    {"systems", "data_prep"},
    {"training", "inference", "scoring", "correspondence"},
    {"benchmarking"},
    {"train", "infer", "evaluate", "convert", "correspond", "benchmark"},
    {"quickstart"},
)
FLOOR_OF = {unit: number for number, floor in enumerate(FLOORS) for unit in floor}

LIBRARY = sorted(p for folder in ("vos_jax", "data_prep") for p in (ROOT / folder).rglob("*.py"))
CONFIGS = sorted((ROOT / "configs").rglob("*.py"))
PYTHON_FILES = [*LIBRARY, *CONFIGS, *sorted((ROOT / "tests").rglob("*.py"))]

# Units that must run where the training side of the stack is not installed.
LEAN_UNITS = {unit for floor in FLOORS for unit in floor} - {
    "data",
    "data_prep",
    "training",
    "train",
}
TRAINING_ONLY = ("grain", "tensorflow_datasets", "clu", "ml_collections", "tensorflow")

IMPORT_WITHOUT = """
import importlib, sys
blocked, modules = sys.argv[1].split(","), sys.argv[2:]
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)
sys.meta_path.insert(0, Wall())
for module in modules:
    importlib.import_module(module)
"""


def module_name(path: Path) -> str:
    """The dotted name of a file: data_prep/write.py is data_prep.write."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def unit_of(module: str) -> str | None:
    """The unit a dotted name belongs to; None outside the project and for vos_jax itself."""
    head, *rest = module.split(".")
    if head == "data_prep":
        return head
    return rest[0] if head == "vos_jax" and rest else None


def imported_modules(source: str) -> list[str]:
    """The dotted names a file imports, wherever in the file it does so."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def rises(unit: str, imported: str) -> bool:
    """Whether a file of one unit must not import from another."""
    return unit != imported and FLOOR_OF[imported] >= FLOOR_OF[unit]


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function, its docstring not counted."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is None:
        return lines
    return lines - (function.body[0].end_lineno - function.body[0].lineno + 1)


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", LIBRARY, ids=relative)
def test_imports_come_from_floors_below(path):
    unit = unit_of(module_name(path))
    if unit is None:
        assert path == ROOT / "vos_jax/__init__.py"
        assert imported_modules(path.read_text()) == []
        return
    assert unit in FLOOR_OF, f"{unit} stands on no floor"
    imported = {unit_of(name) for name in imported_modules(path.read_text())} - {None}
    assert imported <= FLOOR_OF.keys()
    assert [other for other in sorted(imported) if rises(unit, other)] == []


@pytest.mark.parametrize(
    "unit, imported, forbidden",
    [
        ("ops", "core", False),
        ("ops", "ops", False),
        ("core", "ops", True),
        ("io", "data", True),
        ("data", "io", False),
        ("data_prep", "io", False),
        ("systems", "training", True),
        ("train", "training", False),
        ("infer", "train", True),
    ],
)
def test_floors_say_who_may_import_whom(unit, imported, forbidden):
    assert rises(unit, imported) is forbidden


@pytest.mark.parametrize("path", LIBRARY, ids=relative)
def test_only_the_lists_of_systems_know_a_system(path):
    """A system's folder is imported by its own files and by these lists."""
    systems = {each.parent for each in (ROOT / "vos_jax/systems").glob("*/*.py")}
    if path.parent in systems or path.stem in ("registry", "official_files"):
        return
    known = {f"vos_jax.systems.{each.name}." for each in systems}
    assert not [n for n in imported_modules(path.read_text()) if n.startswith(tuple(known))]


def test_imports_inside_functions_are_seen():
    source = "def f():\n    from vos_jax.ops import aggregate\n    import vos_jax.train\n"
    assert imported_modules(source) == ["vos_jax.ops.aggregate", "vos_jax.train"]


@pytest.mark.parametrize("path", PYTHON_FILES, ids=relative)
def test_files_and_functions_are_short(path):
    source = path.read_text()
    assert len(source.splitlines()) <= (80 if path in CONFIGS else 400)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert code_lines(node) <= 40, f"{node.name} has {code_lines(node)} lines"


def test_docstrings_do_not_count_as_code():
    source = 'def f(\n    a,\n):\n    """Adds.\n\n    One.\n    """\n    return a + 1\n'
    assert code_lines(ast.parse(source).body[0]) == 4
    assert code_lines(ast.parse("def f():\n    return 1\n").body[0]) == 2


@pytest.mark.parametrize("path", PYTHON_FILES, ids=relative)
def test_names_say_what_a_file_holds(path):
    assert not {"utils", "util", "helpers", "common", "misc"} & set(module_name(path).split("."))


@pytest.mark.parametrize("path", LIBRARY, ids=relative)
def test_tensorflow_is_never_imported(path):
    heads = {name.split(".")[0] for name in imported_modules(path.read_text())}
    assert not heads & {"tensorflow", "torch"}


@pytest.mark.parametrize("path", PYTHON_FILES, ids=relative)
def test_no_warning_is_silenced(path):
    marks = ("no" + "qa", "type:" + " ignore", "TO" + "DO", "NotImplemented" + "Error")
    assert [mark for mark in marks if mark in path.read_text()] == []


def test_model_and_inference_code_needs_no_training_packages(run_python):
    modules = [name for name in map(module_name, LIBRARY) if unit_of(name) in LEAN_UNITS]
    result = run_python("-c", IMPORT_WITHOUT, ",".join(TRAINING_ONLY), *modules)
    assert result.returncode == 0, result.stderr


def test_the_wall_stops_blocked_packages(run_python):
    result = run_python("-c", IMPORT_WITHOUT, "ml_collections", "ml_collections.config_dict")
    assert result.returncode == 1
    assert "not installed here" in result.stderr


def test_scoring_needs_no_jax(run_python):
    scoring = ("metrics", "io", "scoring", "evaluate")
    modules = [name for name in map(module_name, LIBRARY) if unit_of(name) in scoring]
    result = run_python("-c", IMPORT_WITHOUT, "jax,jaxlib,flax", *modules)
    assert result.returncode == 0, result.stderr


def test_test_files_have_names_of_their_own():
    names = [p.name for p in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
