"""A key's rate: what passes, what waits and for how long, and what each answer says of it."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.ingest.rates import Bucket
from shared.runtime.settings import Settings
from tests.ingest.serving import Inbox, serving

EVENT: dict[str, Any] = {"customer": "c-1", "action": "point_add", "data": {"points": 5}}
OTHER = {"authorization": "Bearer local-other-key"}
RATE, BURST = 4, 20


class Watch:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def bucket(watch: Watch) -> Bucket:
    return Bucket(RATE, BURST, watch)


def told(bucket: Bucket) -> str:
    return bucket.fields()[1][1].decode()


# The bucket


def test_a_full_bucket_gives_its_size_at_once_and_then_its_rate(
    bucket: Bucket, watch: Watch
) -> None:
    assert [bucket.take(1) for _ in range(BURST)] == [0.0] * BURST
    assert bucket.take(1) == 1 / RATE
    watch.seconds += 1
    assert [bucket.take(1) for _ in range(RATE + 1)] == [0.0] * RATE + [1 / RATE]


def test_over_time_the_rate_holds(bucket: Bucket, watch: Watch) -> None:
    passed = 0
    for _ in range(8 * 60):
        passed += sum(bucket.take(1) == 0 for _ in range(3))
        watch.seconds += 1 / 8
    assert passed == BURST + RATE * 60 - 1  # the last eighth is not yet half an event


def test_a_pause_fills_it_no_further_than_its_size(bucket: Bucket, watch: Watch) -> None:
    bucket.take(BURST)
    watch.seconds += 3600
    assert bucket.take(BURST) == 0
    assert bucket.take(1) > 0


@pytest.mark.parametrize(
    ("taken", "asked", "seconds"),
    [
        pytest.param(20, 1, 0.25, id="the next event"),
        pytest.param(20, 8, 2.0, id="a batch"),
        pytest.param(15, 8, 0.75, id="a batch that finds some"),
        pytest.param(1, 1000, 0.25, id="a batch larger than the bucket waits until it is full"),
    ],
)
def test_what_may_not_pass_is_told_when_and_takes_nothing(
    bucket: Bucket, watch: Watch, taken: int, asked: int, seconds: float
) -> None:
    bucket.take(taken)
    assert [bucket.take(asked), bucket.take(asked)] == [seconds, seconds]
    watch.seconds += seconds
    assert bucket.take(asked) == 0


def test_what_is_larger_than_the_bucket_leaves_a_debt(bucket: Bucket, watch: Watch) -> None:
    assert bucket.take(100) == 0
    assert bucket.take(1) == (80 + 1) / RATE
    assert told(bucket) == '"default";r=0;t=21'
    watch.seconds += 81 / RATE
    assert bucket.take(1) == 0


def test_what_was_taken_before_its_count_was_known_is_put_back(bucket: Bucket) -> None:
    bucket.take(15)
    assert bucket.take(1) == 0
    assert bucket.take(8, held=1) > 0
    assert bucket.take(5) == 0  # all that was there


def test_what_was_taken_before_counts_once(bucket: Bucket) -> None:
    bucket.take(1)
    assert bucket.take(BURST, held=1) == 0
    assert told(bucket) == '"default";r=0;t=1'


@pytest.mark.parametrize(
    ("rate", "size", "policy", "limit"),
    [
        pytest.param(4, 20, '"default";q=20;w=5', '"default";r=19;t=1', id="a whole window"),
        pytest.param(3, 20, '"default";q=20;w=7', '"default";r=19;t=1', id="rounded up"),
        pytest.param(9, 1, '"default";q=1;w=1', '"default";r=0;t=1', id="no window below 1 s"),
    ],
)
def test_the_fields_name_the_policy_and_what_is_left(
    watch: Watch, rate: int, size: int, policy: str, limit: str
) -> None:
    bucket = Bucket(rate, size, watch)
    bucket.take(1)
    assert [(name.decode(), text.decode()) for name, text in bucket.fields()] == [
        ("ratelimit-policy", policy),
        ("ratelimit", limit),
    ]


# The gateway


@pytest.fixture
def limited(gateway_settings: Settings, watch: Watch) -> Iterator[httpx2.Client]:
    """A gateway that takes four events a second of each key, 20 at once."""
    update = {"rate_events_per_second": RATE, "rate_burst_events": BURST, "worker": "limited"}
    with serving(gateway_settings.model_copy(update=update), watch) as client:
        yield client


@pytest.fixture
def arriving(limited: httpx2.Client, gateway_settings: Settings) -> Iterator[Inbox]:
    reader = Inbox(gateway_settings)
    yield reader
    reader.close()


def batch(gateway: httpx2.Client, events: int, **request: Any) -> httpx2.Response:
    return gateway.post("/v1/events/batch", json={"events": [EVENT] * events}, **request)


def rate_limit(answer: httpx2.Response) -> tuple[str, str]:
    return answer.headers["ratelimit-policy"], answer.headers["ratelimit"]


def test_every_answer_tells_what_its_key_has_left(limited: httpx2.Client) -> None:
    answers = [
        limited.post("/v1/events", json=EVENT),
        batch(limited, 3),
        limited.post("/v1/events", content=b"{"),
        limited.post("/v1/events", json={**EVENT, "action": "nothing"}),
        limited.post("/v1/events", json=EVENT, headers={"prefer": "wait=99"}),
        limited.post("/v1/events/batch", json={"events": []}),
    ]
    assert [answer.status_code for answer in answers] == [202, 202, 400, 422, 400, 422]
    assert [rate_limit(answer) for answer in answers] == [
        ('"default";q=20;w=5', f'"default";r={left};t=1') for left in (19, 16, 15, 14, 13, 12)
    ]


def test_an_answer_to_nobody_known_tells_nothing(limited: httpx2.Client) -> None:
    for key, status in (("wrong", 401), ("local-read-key", 403)):
        answer = limited.post("/v1/events", json=EVENT, headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == status
        assert "ratelimit" not in answer.headers


def test_one_too_many_is_429_and_not_taken(
    limited: httpx2.Client, arriving: Inbox, watch: Watch
) -> None:
    assert batch(limited, BURST).status_code == 202
    assert len(arriving.take(BURST)) == BURST
    size = arriving.size()
    for answer in (limited.post("/v1/events", json=EVENT), batch(limited, 6)):
        assert answer.status_code == 429
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.json()["code"], answer.json()["retryable"]) == ("rate_limited", True)
        assert answer.headers["retry-after"] == "1"
        assert rate_limit(answer) == ('"default";q=20;w=5', '"default";r=0;t=1')
    assert arriving.size() == size
    watch.seconds += 1
    assert batch(limited, 6).headers["retry-after"] == "1"
    watch.seconds += 1
    assert batch(limited, 6).status_code == 202
    assert len(arriving.take(6)) == 6


def test_one_too_many_is_refused_before_its_body_is_read(limited: httpx2.Client) -> None:
    batch(limited, BURST)
    for path in ("/v1/events", "/v1/events/batch"):
        assert limited.post(path, content=b"{").status_code == 429


def test_a_batch_larger_than_the_burst_passes_when_nothing_was_sent_for_a_while(
    limited: httpx2.Client, watch: Watch
) -> None:
    limited.post("/v1/events", json=EVENT)
    refused = batch(limited, 40)
    assert refused.status_code == 429
    assert "more than 20" in refused.json()["detail"]
    watch.seconds += int(refused.headers["retry-after"])
    assert batch(limited, 40).status_code == 202
    assert limited.post("/v1/events", json=EVENT).headers["retry-after"] == "6"


def test_a_key_waits_for_no_other(limited: httpx2.Client) -> None:
    assert batch(limited, BURST).status_code == 202
    assert batch(limited, 1).status_code == 429
    assert batch(limited, BURST, headers=OTHER).status_code == 202


def test_refusals_are_counted_by_tenant_and_no_key_is_named(limited: httpx2.Client) -> None:
    def counted() -> dict[str, float]:
        families = text_string_to_metric_families(limited.get("/metrics").text)
        [family] = [one for one in families if one.name == "laurel_gateway_rate_limited"]
        return {
            sample.labels["tenant"]: sample.value
            for sample in family.samples
            if sample.name.endswith("_total")
        }

    before = counted()
    batch(limited, BURST)
    batch(limited, 5)
    limited.post("/v1/events", json=EVENT)
    assert counted()["demo"] == before.get("demo", 0) + 2
    assert "local-admin-key" not in limited.get("/metrics").text


def test_a_rate_of_0_sets_no_limit_and_tells_nothing(
    gateway_settings: Settings, watch: Watch
) -> None:
    update = {"rate_events_per_second": 0, "rate_burst_events": 1, "worker": "unlimited"}
    with serving(gateway_settings.model_copy(update=update), watch) as client:
        answers = [batch(client, 1000) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert "ratelimit" not in answers[0].headers


def test_the_description_tells_of_the_rate_wherever_a_key_is_known(limited: httpx2.Client) -> None:
    document = limited.get("/openapi.json").json()
    refused = document["components"]["responses"]
    assert "Retry-After" in refused["TooManyRequests"]["headers"]
    for path in ("/v1/events", "/v1/events/batch"):
        answers = document["paths"][path]["post"]["responses"]
        whole = {
            status: refused.get(answer.get("$ref", "").rpartition("/")[2], answer)
            for status, answer in answers.items()
        }
        told = {
            status
            for status, answer in whole.items()
            if {"RateLimit", "RateLimit-Policy"} <= answer.get("headers", {}).keys()
        }
        assert {"200", "202", "400", "422", "429", "503"} <= told
        assert not {"401", "403", "500"} & told
