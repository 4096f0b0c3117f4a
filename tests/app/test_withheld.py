"""A failure of ours: the client gets its title, the operator its detail, once."""

import json

import pytest
from harness.site import Site


@pytest.mark.parametrize("path", ["/auth/x", "/_adm/beginners/profile"])
async def test_paths_and_texts_of_libraries_are_for_the_log(site: Site, path: str) -> None:
    """Of the proxy and of the built-in application alike."""
    site.expected_errors = True
    running = await site.gateway(await site.upstream())
    client = await site.client(running)
    (running.people.folder / "gateway.db").rename(running.people.folder / "gone.db")
    answers = [await client.ask(path, running.people.ada.field) for _ in range(3)]
    told = [json.loads(answer.body) for answer in answers]
    assert {(answer.status, said["detail"]) for answer, said in zip(answers, told, strict=True)} == {
        (503, "The account store cannot be reached")
    }
    logged = [fields for _, event, fields in running.log.lines if event == "requests fail"]
    assert [fields["code"] for fields in logged] == ["store_unavailable"]
    assert "gateway.db" in str(logged[0]["detail"])
