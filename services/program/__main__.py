"""`python -m services.program`."""

import sys

from services.program.app import run
from shared.runtime.settings import Settings, SettingsError


def main() -> int:
    """Reads the settings once and serves; 2 for a wrong setting."""
    try:
        run(Settings.from_environment())
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
