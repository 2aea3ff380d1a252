"""Asks the process of this container whether it is ready: `python -m deploy.compose.healthy PORT`.

The image has no curl; this exits with 0 where `/readyz` answers 200, else with 1.
"""

import sys

from deploy.local.launch import serves


def main(arguments: list[str]) -> int:
    """2 for a wrong call."""
    if len(arguments) != 1 or not arguments[0].isdecimal():
        sys.stderr.write("usage: python -m deploy.compose.healthy PORT\n")
        return 2
    return 0 if serves(int(arguments[0])) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
