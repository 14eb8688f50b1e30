"""Known vulnerabilities of what the requirements pin, asked of PyPI once a day: `python -m tests.audit`.

Exit 1 when there is one. No network, or an index that does not know: one line that says so, and exit 0.
"""

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FILES = ("requirements.txt", "requirements-services.txt", "requirements-dev.txt", "requirements-libraries.txt")
PATIENCE = 120  # seconds for all of it


def ask() -> tuple[dict[str, Any] | None, str]:
    """pip-audit's report, or None and the reason why there is none."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--disable-pip",
        "--require-hashes",
        "-f",
        "json",
        "--timeout",
        "5",
        "--progress-spinner",
        "off",
    ]
    for name in FILES:
        command += ["-r", name]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
        report: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return None, f"no answer within {PATIENCE} s"
    except ValueError:
        return None, (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1][:200]
    return report, ""


def judge(report: dict[str, Any]) -> tuple[list[str], int]:
    """A line for each vulnerability, and how many packages the index could say something about."""
    known = [one for one in report["dependencies"] if "skip_reason" not in one]
    lines = [
        f"{one['name']} {one['version']}: {found['id']}, fixed in {', '.join(found['fix_versions']) or 'no version yet'}"
        for one in known
        for found in one["vulns"]
    ]
    return lines, len(known)


def main() -> int:
    """The exit code."""
    pinned = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in FILES)).hexdigest()[:12]
    stamp = ROOT / ".venv" / f".audited-{pinned}-{datetime.now(UTC):%Y-%m-%d}"
    if stamp.exists():
        print(stamp.read_text("utf-8"))
        return 0
    report, reason = ask()
    if report is None:
        print(f"audit: not done ({reason})")
        return 0
    lines, known = judge(report)
    if lines:
        print("audit: known vulnerabilities", *lines, sep="\n  ")
        return 1
    said = f"audit: no known vulnerability; PyPI knows {known} of {len(report['dependencies'])} packages"
    print(said)
    for old in stamp.parent.glob(".audited-*"):
        old.unlink()
    stamp.write_text(said, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
