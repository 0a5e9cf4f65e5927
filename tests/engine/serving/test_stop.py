"""The end of a server that many ask: what has arrived is answered, and no connection is reset."""

from typing import Any

import pytest
from baked import Project
from crowd import stop_under
from serving import serve

CLIENTS = 200


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_is_stopped_answers_what_has_arrived_and_resets_nothing(
    trained: Project, rows: list[dict[str, Any]], workers: str
) -> None:
    with serve(trained, "--bundle", "models/bundle.zip", "--workers", workers) as server:
        crowd = stop_under(server.process, server.port, rows[0], CLIENTS, 5 * CLIENTS)
        assert server.process.wait(60) == 0
    assert (crowd.reset, crowd.lost) == ([], 0), crowd
    assert set(crowd.answers) == {200} and crowd.closing + crowd.late == CLIENTS
