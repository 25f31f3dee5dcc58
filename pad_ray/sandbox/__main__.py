"""`python -m pad_ray.sandbox doctor`: which layers hold here, and do the attacks fail."""

from __future__ import annotations

import sys

from pad_ray.sandbox.doctor import findings


def main(arguments: list[str]) -> int:
    """Print one line a finding and their count; return 1 if a layer or a defence is missing."""
    if arguments != ["doctor"]:
        print("usage: python -m pad_ray.sandbox doctor", file=sys.stderr)
        return 2
    checks = []
    for check in findings():
        checks.append(check)
        print(f"{'ok' if check.ok else 'FAIL':4}  {check.name}: {check.detail}", flush=True)
    failed = sum(not check.ok for check in checks)
    print(f"{len(checks) - failed} of {len(checks)} ok" + (f", {failed} FAILED" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
