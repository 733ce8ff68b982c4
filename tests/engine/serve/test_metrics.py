"""Figures for Prometheus, read by its own parser."""

from time import sleep

import httpx
from prometheus_client.parser import text_string_to_metric_families

BODY = {"prompt": "hat", "width": 128, "height": 128, "steps": 3}


def figures(client: httpx.Client) -> dict[str, float]:
    """Name and labels to value."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        "/".join(
            [sample.name, *(value for _, value in sorted(sample.labels.items()))]
        ): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_counts_hold_together(client: httpx.Client) -> None:
    before = figures(client)
    made = client.post("/v1/jobs", json=BODY | {"count": 3}).json()["id"]
    long = client.post("/v1/jobs", json=BODY | {"steps": 900}).json()["id"]
    assert client.delete(f"/v1/jobs/{long}").json()["state"] == "cancelled"
    while client.get(f"/v1/jobs/{made}").json()["state"] != "done":
        now = figures(client)
        over = sum(now[f"sakuga_pictures_total/{each}"] for each in OUTCOMES)
        accepted = now["sakuga_pictures_total/accepted"]
        assert accepted == over + now["sakuga_pictures_in_flight"]
        sleep(0.05)
    after = figures(client)

    def more(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert more("sakuga_pictures_total/accepted") == 4
    assert more("sakuga_pictures_total/completed") == more("sakuga_images_total/128x128") == 3
    assert more("sakuga_pictures_total/cancelled") == 1
    bundle = next(name.split("/")[1] for name in after if name.startswith("sakuga_ready/"))
    for name in ("queue", "step", "e2e"):
        assert more(f"sakuga_{name}_seconds_count/128x128/{bundle}") == 3
    assert after[f"sakuga_ready/{bundle}"] == 1 and after["sakuga_pictures_in_flight"] == 0


OUTCOMES = ("completed", "failed", "cancelled")


def test_a_repeated_key_is_a_hit(client: httpx.Client) -> None:
    before = figures(client)["sakuga_cache_hits_total"]
    for _ in range(2):
        client.post("/v1/jobs", json=BODY, headers={"Idempotency-Key": "counted"})
    assert figures(client)["sakuga_cache_hits_total"] == before + 1
