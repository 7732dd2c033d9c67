"""Findings as files."""

from typing import Any

from tests.fixtures.bench import Bench, Workshop
from tests.sentry.test_scans import here, list_findings, open_holes, scan

HOSTILE = 'a"b\n</script>'
NO_GUID = {"guid", "correlationGuid"}
"""SARIF's schema takes UUIDs of the versions 1 to 5 there, which ids are not."""
HOLES = f"""
    CREATE TABLE people (id int PRIMARY KEY, email text);
    CREATE TABLE closed_later (id int PRIMARY KEY, email text);
    CREATE TABLE "{HOSTILE.replace('"', '""')}" (id int PRIMARY KEY, email text);
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO anon;
"""
_COPIES = """
    INSERT INTO sentry_findings (id, connection_id, fingerprint, rule, severity, title, explanation, object, evidence)
    SELECT gen_random_uuid(), connection_id, fingerprint || n, rule, severity, title, explanation, object, evidence
    FROM sentry_findings, generate_series(1, 450) n WHERE id = %s
"""


async def read_file(bench: Bench, name: str) -> dict[str, Any]:
    answer = await bench.person.get(here(bench, f"/{name}"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    found: dict[str, Any] = answer.json()
    return found


async def read_results(bench: Bench) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The tool, and the results of one rule by the object's name."""
    file = await read_file(bench, "findings.sarif")
    (run,) = file["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert all(rules[one["ruleIndex"]]["id"] == one["ruleId"] for one in run["results"])
    assert all(NO_GUID.isdisjoint(one) for one in run["results"])
    results = [one for one in run["results"] if one["ruleId"] == "rls_off"]
    named = {one["locations"][0]["logicalLocations"][0]["name"]: one for one in results}
    assert len(named) == len(results)
    return run["tool"]["driver"], named


async def test_a_file_has_what_the_api_has(workshop: Workshop) -> None:
    bench = await open_holes(workshop, HOLES)
    await scan(bench)
    await bench.run("ALTER TABLE closed_later ENABLE ROW LEVEL SECURITY")
    await scan(bench)
    file = await read_file(bench, "findings.json")
    assert file["connection"]["id"] == bench.connection_id
    assert {"open", "resolved"} <= {one["status"] for one in file["findings"]}
    assert HOSTILE in {one["object"]["name"] for one in file["findings"]}
    for one in file["findings"]:
        shown = (await bench.person.get(here(bench, f"/findings/{one['id']}"))).json()
        del shown["history"]
        assert one == shown


async def test_code_scanning_gets_a_result_for_each_finding_that_is_not_resolved(workshop: Workshop) -> None:
    bench = await open_holes(workshop, HOLES)
    await scan(bench)
    before = (await read_results(bench))[1]
    await bench.run("ALTER TABLE closed_later ENABLE ROW LEVEL SECURITY")
    found = await list_findings(bench)
    body = {"status": "acknowledged", "reason": "a list"}
    assert (await bench.person.patch(here(bench, f"/findings/{found['people']['id']}"), json=body)).is_success
    await scan(bench)
    driver, results = await read_results(bench)
    rule = next(one for one in driver["rules"] if one["id"] == "rls_off")
    assert "**What to do.**" in rule["help"]["markdown"]
    assert set(before) - set(results) == {"closed_later"}
    one = results["people"]
    (place,) = one["locations"][0]["logicalLocations"]
    assert place == {"name": "people", "fullyQualifiedName": "public.people", "kind": "table"}
    assert one["partialFingerprints"] == before["people"]["partialFingerprints"]
    assert (before["people"]["suppressions"], before["people"]["level"]) == ([], "error")
    assert [suppressed["justification"] for suppressed in one["suppressions"]] == ["acknowledged"]
    assert results[HOSTILE]["suppressions"] == []
    page = one["hostedViewerUri"].removeprefix(bench.product.settings.origin)
    assert (await bench.person.get(page)).status_code == 200


async def test_thousands_of_findings_come_piece_by_piece_and_none_twice(workshop: Workshop) -> None:
    bench = await open_holes(workshop, HOLES)
    assert (await read_file(bench, "findings.json"))["findings"] == []
    await scan(bench)
    found = await list_findings(bench)
    count = len((await read_file(bench, "findings.json"))["findings"])
    await bench.query(_COPIES, found["people"]["id"])
    (run,) = (await read_file(bench, "findings.sarif"))["runs"]
    assert len({one["partialFingerprints"]["basewardenFinding/v1"] for one in run["results"]}) == count + 450
    assert len((await read_file(bench, "findings.json"))["findings"]) == count + 450


async def test_the_page_links_to_the_files(workshop: Workshop) -> None:
    bench = await open_holes(workshop, HOLES)
    page = f"/c/{bench.connection_id}/sentry"
    links = [here(bench, f"/{name}") for name in ("findings.json", "findings.sarif")]
    assert not [link for link in links if link in (await bench.person.get(page)).text]
    await scan(bench)
    text = (await bench.person.get(page)).text
    assert [link for link in links if f'href="{link}" download' in text] == links
