"""Celery's own integration tests on this engine: `make celery-suite` (the suite lies beside the repository, or where CELERY_SUITE says)."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> int:
    """Run the suite (arguments go to its `run`), compare with stock Celery; 0 when everything that passes there passes here."""
    home = Path(os.environ.get("CELERY_SUITE") or ROOT.parent / "shared" / "celery_suite").resolve()
    script = home / "suite.py"
    if not script.exists():
        print(f"There is no {script}: set CELERY_SUITE to the folder of the suite.", file=sys.stderr)
        return 2
    result = ROOT / "var" / "celery-suite.json"  # not in test-results, which pytest empties
    result.parent.mkdir(exist_ok=True)
    environment = os.environ | {"CELERY_SUITE_PRODUCT": str(ROOT)}
    run = [sys.executable, str(script), "run", str(home / "target_product.json"), "-o", str(result), *(arguments or ["--retry", "1"])]
    code = subprocess.call(run, env=environment)
    if code:
        return code
    return subprocess.call([sys.executable, str(script), "compare", str(home / "baseline.json"), str(result)], env=environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
