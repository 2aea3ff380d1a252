#!/bin/sh
# Brings .venv to what requirements.lock says; does nothing, and needs no network, when it is there already.
# usage: deploy/local/install.sh [PYTHON]
set -eu
cd "$(dirname "$0")/../.."

stamp=.venv/installed.lock
if cmp -s requirements.lock "$stamp" && .venv/bin/python -c '' 2>/dev/null; then
    exit 0
fi

say() { printf 'laurel: %s\n' "$*" >&2; }

fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; }

choose() {
    if [ -n "${1:-}" ]; then
        fits "$1" || { say "$1 is no Python 3.11 to 3.14."; return 1; }
        printf '%s' "$1"
        return
    fi
    for python in python3.13 python3.12 python3.11 python3.14 python3 python; do
        if fits "$python" && "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            printf '%s' "$python"
            return
        fi
    done
    for python in python3.13 python3.12 python3.11 python3.14 python3 python; do
        if fits "$python"; then
            say "$python is there, but its venv module is not: install it (Debian, Ubuntu: apt install python3-venv)."
            return 1
        fi
    done
    say "no Python 3.11 to 3.14 found on the PATH: install one, or name it: make install PYTHON=/path/to/python3.12"
    return 1
}

if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    python=$(choose "${1:-}")
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi
rm -f "$stamp"
# The lock is whole: without --no-deps pip would look for a newer release of what an extra names
# (coverage[toml]) and then refuse it, since its hash is not in the lock.
say "installing what requirements.lock names (about half a minute, 1.3 GB on disk)"
if ! .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes \
    -r requirements.lock; then
    say "the packages could not be installed; the reason stands above (a first install needs the network)."
    exit 1
fi
cp requirements.lock "$stamp"
