"""No Arabic text is missing, empty or in doubt, and placeholders are the same in both languages."""

import ast
import re
from pathlib import Path

import polib
import pytest

ROOT = Path(__file__).resolve().parents[2]
CATALOGUES = sorted(ROOT.glob("*/locale/ar/LC_MESSAGES/*.po"))
# A word that another one says already, and that one.
OTHER_WORDS = {
    r"(?<!\w)[وفبكل]?(?:ال|لل)?عمال(?!\w)": "عمّال",
    r"وسائط": "مدخلات",
    r"قوطع": "أُوقف",
    r"أو تجمّع\)": "مجموعة بخاتمة",
    r"الاستمارة": "النموذج",
    r"حدّها": "مهلتها",
    r"استخد(?:ام|م)(?!\w)": "استعمال، استعمل",
    r"وقتها (?:منذ|ولم)": "موعدها",
    r"مع ذلك": "رغم ذلك",
    r"[تي]نته(?![\w\u0650])": "ينتهِ",
    r"غير (?:مثبت|مسجل)(?!ّ)": "غير مثبّت، غير مسجّل",
    r"نوع التجمع": "نوع العامل",
    r"(?<!\w)[تي]?مض(?:ت|تا|ي)(?!\w)": "تابعت تنفيذها",
    r"متابع(?:ة|ته|تهم) (?:هذا العامل|العمّال)": "إعادته إلى العمل",
}
MARKS = ("_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}")


def test_there_is_a_catalogue() -> None:
    assert CATALOGUES


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: str(path.relative_to(ROOT)))
def test_everything_is_translated(path: Path) -> None:
    catalogue = polib.pofile(str(path))
    missing = [entry.msgid for entry in catalogue if not entry.obsolete and (not entry.translated() or entry.fuzzy)]
    assert missing == []


def test_every_text_of_the_code_is_in_the_catalogue() -> None:
    """xgettext sees none within an f-string, and says nothing."""
    known = {entry.msgid for path in CATALOGUES for entry in polib.pofile(str(path)) if not entry.obsolete}
    unknown = []
    for path in [*ROOT.glob("jobs/**/*.py"), *ROOT.glob("task_queue_project/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS and node.args:
                text = node.args[0]
                if isinstance(text, ast.Constant) and text.value not in known:
                    unknown.append(f"{path.name}:{node.lineno}: {text.value}")
    assert unknown == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: str(path.relative_to(ROOT)))
def test_placeholders_agree(path: Path) -> None:
    wrong = []
    for entry in polib.pofile(str(path)):
        wanted = set(PLACEHOLDER.findall(entry.msgid)) | set(PLACEHOLDER.findall(entry.msgid_plural or ""))
        texts = entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr]
        # A plural form may leave the number out («مهمة واحدة»); no form may have a placeholder of its own.
        found = [set(PLACEHOLDER.findall(text)) for text in texts]
        if any(item - wanted for item in found) or (not entry.msgid_plural and found != [wanted]):
            wrong.append(entry.msgid)
    assert wrong == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arabic_has_six_plural_forms(path: Path) -> None:
    catalogue = polib.pofile(str(path))
    assert "nplurals=6" in catalogue.metadata["Plural-Forms"]
    assert [entry.msgid for entry in catalogue if entry.msgid_plural and len(entry.msgstr_plural) != 6] == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_header_is_filled_in(path: Path) -> None:
    catalogue = polib.pofile(str(path))
    assert not catalogue.metadata_is_fuzzy
    assert (catalogue.metadata["Language"], catalogue.metadata["Language-Team"]) == ("ar", "Arabic")
    assert [word for word in ("SOME DESCRIPTIVE", "PACKAGE", "FULL NAME", "YEAR-MO") if word in path.read_text("utf-8")[:1500]] == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_noun_that_is_counted_has_plural_forms(path: Path) -> None:
    """«محرفًا» follows 11 to 99 alone, and the number is not known beforehand."""
    texts = [entry.msgstr for entry in polib.pofile(str(path)) if not entry.msgid_plural]
    assert [text for text in texts if re.search(r"%\(\w+\)[sd] (?:محرف|مستوى|يومًا|سجلًا|عنصرًا|عاملًا|حقلًا)", text)] == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_in_arabic_sentences_is_isolated(path: Path) -> None:
    """Brackets and quotes at the edge of a piece of code would be drawn at its other end, and the parts of a date from right to left."""
    texts = [text for entry in polib.pofile(str(path)) for text in (entry.msgstr, *entry.msgstr_plural.values())]
    outside = [re.sub("[\u2066\u2068][^\u2069]*\u2069", "V", PLACEHOLDER.sub("V", text)) for text in texts]
    assert [text for text in outside if re.search(r"[][{}]|\(\)|[ (]--[a-z]|\d{4}-\d\d|'[\w ]+'|[“”]", text)] == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_word_is_lost_between_two_spaces(path: Path) -> None:
    """What takes a word out of a sentence leaves the spaces on both sides of it."""
    texts = [text for entry in polib.pofile(str(path)) for text in (entry.msgstr, *entry.msgstr_plural.values())]
    assert [text for text in texts if re.search(r"\S {2,}\S", text)] == []


@pytest.mark.parametrize("path", [*CATALOGUES, ROOT / "README.ar.md"], ids=lambda path: path.name)
def test_one_thing_has_one_word_in_arabic(path: Path) -> None:
    text = path.read_text("utf-8")
    assert {found: word for pattern, word in OTHER_WORDS.items() for found in re.findall(pattern, text)} == {}
