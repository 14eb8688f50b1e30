"""The wheel that is built by way of the source archive, as `python -m build` does it, is the same as that of `pip wheel .`."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.adoption.test_adoption import copied, site  # noqa: F401 - a fixture


def built(what: str, source: Path, into: Path) -> subprocess.CompletedProcess[str]:
    code = f"import sys; from setuptools import build_meta; build_meta.build_{what}(sys.argv[1])"
    command = [sys.executable, "-W", "ignore", "-c", code, str(into)]
    return subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=400, check=False)


def names(folder: Path) -> list[str]:
    (wheel,) = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        return sorted(archive.namelist())


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """The source archive, unpacked elsewhere."""
    done = built("sdist", copied(tmp_path / "source"), tmp_path)
    assert done.returncode == 0, done.stderr
    (packed,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (folder,) = (tmp_path / "unpacked").iterdir()
    return folder


def test_the_source_archive_makes_the_same_wheel_and_without_pages_none(site: Path, unpacked: Path, tmp_path: Path) -> None:  # noqa: F811
    done = built("wheel", unpacked, tmp_path)
    assert done.returncode == 0, done.stderr
    assert names(tmp_path) == names(site.parent)

    shutil.rmtree(unpacked / "templates")
    done = built("wheel", unpacked, tmp_path / "none")
    assert done.returncode != 0
    assert "there are no pages" in done.stderr
    assert not list((tmp_path / "none").glob("*.whl"))
