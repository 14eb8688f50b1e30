"""What the documents say is true of the code: the drawing of the states, the names of functions, tests, files and variables."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from jobs.domain.statuses import BIRTHS, TRANSITIONS, Status

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "README.ar.md", "CONCURRENCY_CONTROL.md", "FAILURE_HANDLING.md", "TESTING.md", "CONTRIBUTING.md", "CHANGELOG.md"]
GUIDES = [*DOCUMENTS, *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))]
MENTIONED = re.compile(r"`((?:jobs|task_queue_project)(?:\.[A-Za-z_]\w*)+)`")
TEST = re.compile(r"\btest_\w+")
TASK = "jobs.django_task"  # the name of a task, not of a module's function
COMMANDS = {"test_priority_concurrency", "test_dead_letter_queue"}


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_the_drawing_shows_exactly_the_table_of_transitions() -> None:
    drawing = read("CONCURRENCY_CONTROL.md").split("```mermaid")[1].split("```")[0]
    drawn: set[tuple[str, str, str]] = set()
    for source, target, verbs in re.findall(r"(\S+) --> (\S+): (.+)", drawing):
        drawn |= {(verb.strip(), source, target) for verb in verbs.split(",")}
    births = {(verb, "[*]", status.value) for verb, status in BIRTHS.items()}
    table = births | {
        (row.verb, source.value, target.value) for row in TRANSITIONS.values() for source in row.sources for target in row.targets
    }
    assert drawn == table


def test_the_drawing_names_every_status() -> None:
    assert all(status.value in read("CONCURRENCY_CONTROL.md") for status in Status)


@pytest.mark.parametrize("name", GUIDES)
def test_functions_that_are_named_exist(name: str) -> None:
    for path in MENTIONED.findall(read(name)):
        if path.startswith("jobs.tasks.") or path == TASK or _is_there(path):
            continue
        pytest.fail(f"{name} names {path}, which does not exist")


def _is_there(path: str) -> bool:
    parts = path.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


@pytest.mark.parametrize("name", DOCUMENTS)
def test_tests_that_are_named_exist(name: str) -> None:
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py"))
    files = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    named = set(TEST.findall(read(name))) - COMMANDS - files
    assert {test for test in named if f"def {test}(" not in sources} == set()


CLAIMS = ["CONCURRENCY_CONTROL.md", "FAILURE_HANDLING.md"]
DEFAULT_FILE = "tests/integration/test_engine.py"


def claims(name: str) -> list[list[str]]:
    """The rows of the tables of claims: claim, what keeps it, what proves it."""
    table = read(name).split("## Claims")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in table.splitlines() if line.startswith("| ")]
    return [row for row in rows if row != ["claim", "kept by", "proven by"]]


def proofs(text: str) -> list[tuple[str, str]]:
    """The tests that a cell names, each with its file: the next one that is named after it, else the default."""
    words = re.findall(r"`(tests/\S+?\.py|test_\w+)`", text)
    found = []
    for place, word in enumerate(words):
        if not word.startswith("tests/"):
            part = text.split(f"`{word}`", 1)[1].split(";")[0]
            file = next((other for other in words[place:] if other.startswith("tests/") and f"`{other}`" in part), DEFAULT_FILE)
            found.append((word, file))
    return found


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_names_what_keeps_it_and_what_proves_it(name: str) -> None:
    rows, last = claims(name), ""
    assert len(rows) > 10
    for claim, keeper, proof in rows:  # a row with another number of cells is an error too
        named = MENTIONED.findall(keeper)
        assert named, f"{name}: nothing keeps: {claim}"
        assert [path for path in named if not _is_there(path)] == [], claim
        if "the same" in proof:
            proof = f"{last}; {proof}"  # of the row above
        tests = proofs(proof)
        assert tests, f"{name}: nothing proves: {claim}"
        for test, file in tests:
            assert f"def {test}(" in read(file), f"{name}: {file} has no {test}, which should prove: {claim}"
        last = proof


@pytest.mark.parametrize("name", CLAIMS)
def test_every_test_that_a_claim_names_can_fail(name: str) -> None:
    """It has an assertion or expects an error, itself or in a function of its file that it calls."""
    for _, _, proof in claims(name):
        for test, file in proofs(proof):
            tree = ast.parse(read(file))
            functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert _judges(functions[test], functions), f"{file}: {test}"


def _judges(function: ast.FunctionDef, others: dict[str, ast.FunctionDef]) -> bool:
    calls = {node.func.id for node in ast.walk(function) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    names = {ast.unparse(node) for node in ast.walk(function) if isinstance(node, ast.Attribute)}
    asserts = any(isinstance(node, ast.Assert) for node in ast.walk(function))
    return asserts or "until" in calls or "pytest.raises" in names or any(_judges(others[call], {}) for call in calls & set(others))


@pytest.mark.parametrize("name", GUIDES)
def test_files_that_are_linked_exist(name: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", read(name)) if "://" not in link]
    assert [link for link in links if not ((ROOT / name).parent / link).exists()] == []


@pytest.mark.parametrize("name", GUIDES)
def test_headings_that_are_linked_exist(name: str) -> None:
    links = [link.split("#") for link in re.findall(r"\]\(([^):]*#[^)]+)\)", read(name))]
    targets = {(((ROOT / name).parent / file) if file else ROOT / name, anchor) for file, anchor in links}
    assert [anchor for file, anchor in targets if anchor not in anchors(file.read_text("utf-8"))] == []


def anchors(text: str) -> set[str]:
    """Of the headings of a document, as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("name", GUIDES)
def test_make_targets_that_are_named_exist(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", read(name), re.MULTILINE)) <= targets


@pytest.mark.parametrize("name", DOCUMENTS)
def test_variables_that_are_named_are_documented(name: str) -> None:
    assert {word for word in re.findall(r"\bJOBS_[A-Z_]+", read(name)) if word not in read(".env.example")} == set()


def test_every_folder_of_tests_is_described() -> None:
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/*.py")}
    assert {name for name in folders if f"`tests/{name}`" not in read("TESTING.md")} == set()


@pytest.mark.parametrize("name", GUIDES)
def test_nobody_is_sent_to_an_index_for_this_package(name: str) -> None:
    """It is on none, so whoever took its name there would be installed."""
    assert re.findall(r"(?:pip install [^`\n]*|`)task-queue-project\b", read(name)) == []


def test_contributing_is_short() -> None:
    assert len(read("CONTRIBUTING.md").splitlines()) <= 60


def test_the_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= 120


def test_both_readmes_name_the_same() -> None:
    """Each command, address, setting and file; but for examples with an Arabic name."""
    english, arabic = (named(read(name)) for name in ("README.md", "README.ar.md"))
    assert english ^ arabic == {"README.md", "README.ar.md"}


def named(text: str) -> set[str]:
    """What stands in back quotes, as the target of a link, or as a command in a block."""
    block = re.compile(r"```sh\n(.*?)```", re.DOTALL)
    lines = "\n".join(block.findall(text)).splitlines()
    commands = {part.strip() for line in lines for part in re.sub(r"\s+#.*$", "", line).split(" && ")}
    words = {*commands, *re.findall(r"`([^`\n]+)`", block.sub("", text)), *re.findall(r"\]\(([^)]+)\)", text)}
    return {word for word in words if word and word.isascii()}


@pytest.mark.parametrize("name", ["README.md", "README.ar.md"])
def test_the_environment_is_activated_where_it_is_made(name: str) -> None:
    """In each terminal: else `python` is one without Django."""
    assert "`. .venv/bin/activate`" in read(name).split("python manage.py")[0]
    assert re.findall(r"^python -m venv .venv(.*)$", read(name), re.MULTILINE) == [" && . .venv/bin/activate"]


def test_the_arabic_document_keeps_its_order() -> None:
    headings = re.findall(r"^## (.+)$", read("README.ar.md"), re.MULTILINE)
    wanted = [
        "المزايا", "المتطلبات", "الإعداد", "التشغيل", "الوصول", "إنشاء المهام", "الاختبار", "معالجة الفشل", "تجربة الفشل يدويًا",
        "المراقبة", "حل المشكلات",
    ]  # fmt: skip
    assert headings[: len(wanted)] == wanted
