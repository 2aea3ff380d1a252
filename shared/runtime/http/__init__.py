"""HTTP as every service of ours speaks it: problems, credentials, strict bodies, probes, docs."""

from shared.runtime.http.bodies import (
    BATCH_BYTES_MAX,
    BODY_BYTES_MAX,
    check_limits,
    parse_json,
    read_body,
    read_json,
    strict_json,
)
from shared.runtime.http.credentials import Credential, Credentials
from shared.runtime.http.endpoints import install
from shared.runtime.http.parameters import (
    Page,
    Parameters,
    documented,
    make_cursor,
    parameters,
    read_cursor,
)
from shared.runtime.http.problems import (
    Problem,
    body_invalid,
    errors_of,
    pointer,
    problem_response,
)
from shared.runtime.http.server import serve

__all__ = [
    "BATCH_BYTES_MAX",
    "BODY_BYTES_MAX",
    "Credential",
    "Credentials",
    "Page",
    "Parameters",
    "Problem",
    "body_invalid",
    "check_limits",
    "documented",
    "errors_of",
    "install",
    "make_cursor",
    "parameters",
    "parse_json",
    "pointer",
    "problem_response",
    "read_body",
    "read_cursor",
    "read_json",
    "serve",
    "strict_json",
]
