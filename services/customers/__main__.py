"""`python -m services.customers`."""

import sys

from services.customers.app import run
from shared.runtime.settings import Settings, SettingsError


def main() -> int:
    """Reads the settings once and runs; 2 for a wrong setting."""
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
