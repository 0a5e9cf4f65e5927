"""A wheel is compared with what the template's tag of its version builds."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from baked import Project, run
from mlops_actions.core.engine_change import eject, use
from mlops_actions.core.engine_release import template_url
from mlops_actions.core.errors import UserError
from verbs import call_verb
from wheels import OTHER, VERSION

Answer = Callable[..., tuple[int, str]]


@pytest.fixture
def verify(small: Project) -> Answer:
    """`verify("--template", url)`: the exit code and the one sentence."""

    def ask(*words: str) -> tuple[int, str]:
        answer = call_verb(small.path, "engine", "verify", *words)
        (sentence,) = (answer.out + answer.err).splitlines()
        return answer.code, sentence

    return ask


def test_a_released_wheel_is_the_one_that_the_tag_builds(small: Project, upstream: Path, verify: Answer) -> None:
    small.write(".cruft.json", json.dumps({"template": str(upstream), "commit": "0" * 40}))
    code, sentence = verify()
    assert code == 0
    same = f"is, byte for byte, what {upstream} builds at v{VERSION} (SHA-256 "
    assert sentence.startswith(f"vendor/mlops_actions-{VERSION}-py3-none-any.whl {same}")


def test_another_wheel_of_the_same_version_is_told(
    small: Project, upstream: Path, patched: Path, verify: Answer
) -> None:
    use(str(patched))
    pyproject = upstream / "engine/pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace(f'\nversion = "{VERSION}"', f'\nversion = "{OTHER}"'))
    run("git", "commit", "--quiet", "--all", "--message", "Release", cwd=upstream)
    run("git", "tag", f"v{OTHER}", cwd=upstream)
    code, sentence = verify("--template", str(upstream))
    assert code == 1
    assert f", and {upstream} builds " in sentence
    assert sentence.endswith(f" at v{OTHER}: `mlops engine use` takes a wheel that you trust.")


def test_where_nothing_can_be_compared_it_is_said_why(
    small: Project, upstream: Path, tmp_path: Path, verify: Answer
) -> None:
    assert verify() == (
        1,
        "mlops engine: .cruft.json names no template to build the engine from: give it with `--template URL`.",
    )
    wheel = f"mlops engine: vendor/mlops_actions-{VERSION}-py3-none-any.whl could not be compared with"
    nowhere = tmp_path / "nowhere"
    assert verify("--template", str(nowhere)) == (1, f"{wheel} {nowhere}: repository '{nowhere}' does not exist.")
    url = "http://ada:secret@127.0.0.1:1/template.git"
    code, sentence = verify("--template", url)
    assert code == 1 and sentence.startswith(f"{wheel} http://127.0.0.1:1/template.git: unable to access")
    assert "secret" not in sentence
    run("git", "tag", "--delete", f"v{VERSION}", cwd=upstream)
    assert verify("--template", str(upstream)) == (
        1,
        f"{wheel} {upstream}: Remote branch v{VERSION} not found in upstream origin.",
    )
    run("git", "rm", "--quiet", "-r", "engine", cwd=upstream)
    run("git", "commit", "--quiet", "--message", "Another template", cwd=upstream)
    run("git", "tag", f"v{VERSION}", cwd=upstream)
    assert verify("--template", str(upstream)) == (
        1,
        f"{wheel} {upstream}: its tag v{VERSION} has version None of the engine.",
    )
    code, sentence = verify("--template=--upload-pack=touch /tmp/x")
    assert code == 1 and sentence.startswith(wheel)
    eject()
    assert verify("--template", str(upstream)) == (
        1,
        "mlops engine: the engine is vendor/mlops-actions, of which there is no wheel to compare.",
    )


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"template": 1}', b'{"template": ""}'])
def test_a_project_without_a_recorded_template_asks_for_one(content: bytes | None) -> None:
    with pytest.raises(UserError, match="names no template to build the engine from"):
        template_url(content)
