"""`python -m services.query api|cards`."""

import sys

from services.query.app import run_api, run_cards
from shared.runtime.settings import Settings, SettingsError

ROLES = {"api": run_api, "cards": run_cards}


def main(arguments: list[str]) -> int:
    """Reads the settings once and runs a role; 2 for a wrong call or setting."""
    if len(arguments) != 1 or arguments[0] not in ROLES:
        sys.stderr.write(f"usage: python -m services.query {'|'.join(ROLES)}\n")
        return 2
    try:
        return ROLES[arguments[0]](Settings.from_environment())
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
