"""After a fault everything is exact: by the model, and by what an operator would ask, `verify`."""

import json
import subprocess
import sys

from deploy.local.servers import ROOT, environment
from shared.runtime.settings import Settings
from tests.faults.checks import differences
from tests.faults.model import Model
from tests.running import variables_of

VERIFY_SECONDS = 240


def inexact(settings: Settings, model: Model) -> list[str]:
    """Every difference from the model, and every one that `laurel verify` finds by itself."""
    return differences(settings, model) + verified(settings)


def verified(settings: Settings) -> list[str]:
    """What `laurel verify` says of this namespace: hashes, numbers, lots, totals, positions."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", "verify", "--json"],
        cwd=ROOT,
        env=environment(variables_of(settings)),
        capture_output=True,
        text=True,
        timeout=VERIFY_SECONDS,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if not done.stdout.startswith("{"):
        return [f"laurel verify: {line}" for line in done.stderr.splitlines()[-1:]]
    found = json.loads(done.stdout)["shown"]
    return [f"laurel verify: {' '.join(map(str, difference.values()))}" for difference in found]
