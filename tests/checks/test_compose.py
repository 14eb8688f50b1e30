"""docker-compose.yml is what the compose specification allows, and says what the documents promise."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

ROOT = Path(__file__).resolve().parents[2]


class Overriding(yaml.SafeLoader):
    """Reads `!reset` as what it stands at: nothing, whatever the first file says."""


Overriding.add_constructor("!reset", lambda loader, node: [])


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file as compose sees it: merge keys applied, `${NAME:-default}` replaced, extensions left out."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (ROOT / "docker-compose.yml").read_text("utf-8"))
    return {name: value for name, value in yaml.safe_load(text).items() if not name.startswith("x-")}


def test_the_file_is_valid(compose: dict[str, Any]) -> None:
    PyCompose.from_yaml(yaml.safe_dump(compose)).validate()


def test_the_validator_refuses_an_unknown_key(compose: dict[str, Any]) -> None:
    broken = {**compose, "services": {**compose["services"], "web": {"image": "x", "portz": ["80"]}}}
    with pytest.raises(ValueError, match="portz"):
        PyCompose.from_yaml(yaml.safe_dump(broken)).validate()


def test_services_wait_for_what_they_need(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"postgres", "redis", "migrate", "web", "worker"}
    for name in ("web", "worker"):
        assert services[name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "redis": {"condition": "service_healthy"},
        }
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert "depends_on" not in services["redis"]  # `docker-compose up -d redis` starts it alone


def test_the_worker_is_started_again_and_may_finish(compose: dict[str, Any]) -> None:
    worker = compose["services"]["worker"]
    assert worker["restart"] == "unless-stopped"
    assert worker["stop_grace_period"] == "40s"
    assert "container_name" not in worker  # it can be scaled
    expected = "celery -A task_queue_project worker --loglevel=info -P gevent --concurrency=4 --prefetch-multiplier=1"
    assert worker["command"] == expected.split()


def test_redis_and_postgres_keep_their_data(compose: dict[str, Any]) -> None:
    redis, postgres = compose["services"]["redis"], compose["services"]["postgres"]
    assert "--appendonly" in redis["command"]
    assert redis["volumes"] == ["redis:/data"]
    assert postgres["volumes"] == ["postgres:/var/lib/postgresql/data"]
    assert {"healthcheck"} <= set(redis) & set(postgres)


def test_ports_are_open_to_this_machine_alone(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def test_any_password_may_be_chosen() -> None:
    """In the address of the database it would have to be escaped, which compose cannot do."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    chosen = services["postgres"]["environment"]["POSTGRES_PASSWORD"]
    for environment in (services[name]["environment"] for name in ("migrate", "web", "worker")):
        assert environment["PGPASSWORD"] == chosen
        assert "$" not in environment["DATABASE_URL"]


def test_in_production_the_servers_are_closed_and_want_a_password(compose: dict[str, Any]) -> None:
    """As compose merges the two files."""
    text = (ROOT / "docker-compose.production.yml").read_text("utf-8")
    second = yaml.load(text, Overriding)["services"]
    assert {name for name, service in second.items() if service.get("ports") == []} == {"postgres", "redis"}
    assert [name for name, service in compose["services"].items() if service.get("ports") and "ports" not in second[name]] == ["web"]
    for name, service in compose["services"].items():
        for variable in {"PGPASSWORD", "POSTGRES_PASSWORD"} & set(service.get("environment", {})):
            assert second[name]["environment"] == {variable: "${PGPASSWORD:?set PGPASSWORD in .env}"}
    PyCompose.from_yaml(yaml.safe_dump({"services": {name: {"image": "x", **service} for name, service in second.items()}})).validate()
