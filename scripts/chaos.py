"""kill -9 of the serving process under load, many times: `python scripts/chaos.py --rounds 50`.

The rounds are those of `tests/chaos/test_kills.py`, on PostgreSQL and ports of their own.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
TEST = "tests/chaos/test_kills.py"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="kills in each world (default 50)")
    parser.add_argument("--seed", type=int, default=20261124, help="another seed, other writes and moments")
    parser.add_argument("--world", choices=("small", "shop"), help="only one of the two databases")
    options = parser.parse_args()
    chosen = ["-k", options.world] if options.world else []
    environment = {**os.environ, "CHAOS_ROUNDS": str(options.rounds), "CHAOS_SEED": str(options.seed)}
    command = [sys.executable, "-m", "pytest", TEST, *chosen]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
