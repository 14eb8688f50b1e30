"""What pyproject.toml cannot say: the wheel's templates lie beside the package here, and its translations are compiled on the way."""

import shutil
from pathlib import Path
from typing import ClassVar

import polib
from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.errors import FileError

ROOT = Path(__file__).resolve().parent
PACKAGE_TEMPLATES = ("jobs/", "admin/jobs/")  # the others are pages of a whole project: another one has its own


class BuildPy(build_py):
    """The package as another project needs it."""

    development: ClassVar = {"jobs.management.commands": {"demo", "services", "up"}}  # they run servers on one machine

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """All modules but the commands of development."""
        left_out = self.development.get(package, set())
        return [found for found in super().find_package_modules(package, package_dir) if found[1] not in left_out]

    def run(self) -> None:
        """Copy the modules and data, then the templates, then compile."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "jobs"
        pages = sorted((ROOT / "templates").rglob("*.html"))
        if not pages:  # each address would answer with 500
            raise FileError("there are no pages in the folder templates, which belongs beside setup.py")
        for page in pages:
            name = page.relative_to(ROOT / "templates").as_posix()
            if name.startswith(PACKAGE_TEMPLATES):
                (target / "templates" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(page, target / "templates" / name)
        for source in target.glob("locale/*/LC_MESSAGES/*.po"):
            polib.pofile(str(source)).save_as_mofile(str(source.with_suffix(".mo")))


setup(cmdclass={"build_py": BuildPy})
