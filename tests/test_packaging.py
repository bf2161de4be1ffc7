"""The repository holds what it promises: the wheel carries the scripts, the layers bite, CI does not skip."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from bpftop.export import otlp

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
LAYERS_TRIALS = {
    "a lower layer that imports a higher one": ("bpftop/stats/zz.py", "from bpftop import session\n", "go down only"),
    "siblings that import each other": ("bpftop/scripts/zz.py", "from bpftop import procfs\n", "go down only"),
    "a module in no layer": ("bpftop/zz.py", "", "zz"),
    "a screen outside ui": ("bpftop/export/zz.py", "import textual\n", "only bpftop.ui"),
    "rich on the command line": ("bpftop/cli/zz.py", "def f() -> None:\n    import rich\n", "only bpftop.ui"),
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built in this environment from a copy of the checkout."""
    if not _has("hatchling"):
        pytest.skip("hatchling is not installed")
    copy = _copy(tmp_path_factory.mktemp("build") / "source")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(copy.parent), str(copy)]
    subprocess.run(command, check=True, capture_output=True)
    return next(copy.parent.glob("*.whl"))


def test_the_wheel_holds_every_script_and_nothing_of_the_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    scripts = {path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "bt").rglob("*.bt")}
    assert scripts
    assert {f"bpftop/{script}" for script in scripts} <= names
    assert "bpftop/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "bt/", "benchmarks/", "screenshots/"))]
    entry_points = next(name for name in names if name.endswith("entry_points.txt"))
    text = zipfile.ZipFile(wheel).read(entry_points).decode()
    assert "bpftop = bpftop.cli:main" in text
    assert "bpftop-latency = bpftop.cli:main" in text
    assert "[pytest11]\nbpftop = bpftop.pytest_plugin" in text


def test_the_scripts_are_found_in_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import bpftop, pathlib; from bpftop.scripts import catalog;"
        "print(bpftop.__file__); [print(s.path) for s in catalog().values()]"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd="/", env=environment, capture_output=True, text=True, check=True
    )
    first, *paths = run.stdout.splitlines()
    assert first == str(tmp_path / "bpftop/__init__.py")
    assert paths
    assert all(path.startswith(str(tmp_path / "bpftop/bt")) for path in paths)


def test_what_is_asked_of_the_machine() -> None:
    project = PROJECT["project"]
    assert project["dependencies"] == ["textual>=8.2.5,<9", "numpy>=1.24", "plotext>=5.3.2,<6"]
    assert project["requires-python"] == ">=3.11"
    assert [re.match(r"[\w-]+", need).group() for need in project["optional-dependencies"]["otlp"]] == [*otlp.PACKAGES]  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _copy(tmp_path_factory.mktemp("layers") / "source")


def test_the_layers_hold(checkout: Path) -> None:
    run = _lint_imports(checkout)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("trial", LAYERS_TRIALS)
def test_the_layers_bite(checkout: Path, trial: str) -> None:
    name, text, said = LAYERS_TRIALS[trial]
    path = checkout / name
    path.write_text(text)
    try:
        run = _lint_imports(checkout)
    finally:
        path.unlink()
    assert run.returncode != 0
    assert said in run.stdout


@pytest.mark.parametrize(("in_ci", "code"), [("true", 1), ("", 0)])
def test_in_ci_a_skipped_kernel_test_fails_the_run(tmp_path: Path, in_ci: str, code: int) -> None:
    shutil.copy(REPOSITORY / "tests/conftest.py", tmp_path / "conftest.py")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = kernel\n")
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.kernel\ndef test_kernel():\n    pytest.skip('no reason')\n"
        "def test_other():\n    pytest.skip('fine')\n"
    )
    environment = {**os.environ, "CI": in_ci, "PYTHONPATH": str(REPOSITORY)}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == code, run.stdout
    assert ("kernel test skipped in CI" in run.stdout) == bool(in_ci)


def test_make_says_what_it_would_do_without_doing_it() -> None:
    for goal in ("run", "test", "check", "bench", "screenshots", "clean"):
        run = subprocess.run(["make", "-n", goal], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr


def test_ci_runs_the_same_words_as_people() -> None:
    script = (REPOSITORY / ".ci/run").read_text()
    assert "make check" in script
    assert "make test" in script
    assert os.access(REPOSITORY / ".ci/run", os.X_OK)


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "pyproject.toml"])
def test_nothing_of_one_machine_is_in_the_papers(name: str) -> None:
    text = (REPOSITORY / name).read_text()
    assert not re.search(r"/root/|/work/|/home/|index-url|\bpypi\.org/simple", text)


def test_what_the_readme_links_to_is_there() -> None:
    text = (REPOSITORY / "README.md").read_text()
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text)
    assert "screenshots/demo.gif" in links
    assert [link for link in links if "://" not in link and not (REPOSITORY / link).exists()] == []


def _copy(folder: Path) -> Path:
    """What git would have: the package, the scripts and the papers."""
    folder.mkdir()
    for name in ("bpftop", "bt"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, folder)
    return folder


def _lint_imports(checkout: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "lint-imports"
    if not program.exists():
        pytest.skip("import-linter is not installed")
    return subprocess.run(
        [str(program), "--no-cache"],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )


def _has(module: str) -> bool:
    return subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


def test_what_lies_in_the_current_directory_is_never_run(tmp_path: Path) -> None:
    """Root may stand in a folder that others can write to."""
    for name in ("textual", "numpy", "rich", "bpftop", "argparse", "json"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    program = Path(sys.executable).with_name("bpftop")
    for words in (["--version"], ["report", "--simulate", "-d", "1", "--speed", "max"], ["scripts"]):
        done = subprocess.run([program, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()
