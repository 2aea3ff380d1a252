"""`python -m services.ingest gateway|journal`."""

import sys

from services.ingest.app import run_gateway, run_journal
from shared.runtime.settings import Settings, SettingsError

ROLES = {"gateway": run_gateway, "journal": run_journal}


def main(arguments: list[str]) -> int:
    """Reads the settings once and runs a role; 2 for a wrong call or setting."""
    if len(arguments) != 1 or arguments[0] not in ROLES:
        sys.stderr.write(f"usage: python -m services.ingest {'|'.join(ROLES)}\n")
        return 2
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return ROLES[arguments[0]](settings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
