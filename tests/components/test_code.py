"""The hash of code changes with what the code does, and with nothing else."""

import pytest

from components import code

FILES = {
    "toy/__init__.py": "",
    "toy/step.py": "from toy.parts import add\n\n\ndef step():\n    from toy import late\n\n    add(1, late.TWO)\n",
    "toy/parts/__init__.py": "from toy.parts.sums import add\n",
    "toy/parts/sums.py": '"""Sums."""\n\n\ndef add(a, b):\n    """a + b"""\n    return a + b  # exactly\n',
    "toy/late.py": "import toy.errors\n\nTWO = 2\nif TWO < 0:\n    raise toy.errors.ToyError(f'{TWO} is small')\n",
    "toy/errors.py": "class ToyError(Exception):\n    pass\n",
    "toy/other.py": "THREE = 3\n",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(code, "ROOT", tmp_path)
    monkeypatch.setattr(code, "PROJECT", ("toy",))
    return tmp_path


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_imports_are_followed_wherever_they_stand(project):
    found = code.imported("toy.step", without=["toy.errors"])
    assert set(found) == {"toy.step", "toy.parts", "toy.parts.sums", "toy.late"}
    assert found["toy.parts"] == project / "toy/parts/__init__.py"


@pytest.mark.parametrize(
    "name, old, new",
    [
        ("toy/parts/sums.py", "a + b  #", "a - b  #"),
        ("toy/late.py", "TWO = 2", "TWO = 3"),
        ("toy/late.py", "TWO < 0", "TWO < 1"),
        ("toy/late.py", "toy.errors.ToyError(", "ValueError("),
        ("toy/step.py", "add(1,", "add(0,"),
        ("toy/parts/sums.py", '    """a + b"""\n', "    a = a * 2\n"),
    ],
)
def test_a_change_of_what_it_does_counts(project, name, old, new):
    before = code.code_hash("toy.step")
    edit(project / name, old, new)
    assert code.code_hash("toy.step") != before


@pytest.mark.parametrize(
    "name, old, new",
    [
        ("toy/parts/sums.py", "  # exactly", ""),
        ("toy/parts/sums.py", '"""a + b"""', '"""The sum."""'),
        ("toy/parts/sums.py", '"""Sums."""\n', ""),
        ("toy/step.py", "add(1, late.TWO)", "add(\n        1,\n        late.TWO,\n    )"),
        ("toy/late.py", "is small", "is too small"),
        ("toy/other.py", "THREE = 3", "THREE = 4"),
    ],
)
def test_texts_layout_and_other_modules_do_not(project, name, old, new):
    before = code.code_hash("toy.step")
    edit(project / name, old, new)
    assert code.code_hash("toy.step") == before


def test_what_is_left_out_does_not_count(project):
    before = code.code_hash("toy.step", without=["toy.errors"])
    edit(project / "toy/errors.py", "pass", "code = 1")
    assert code.code_hash("toy.step", without=["toy.errors"]) == before
    assert code.code_hash("toy.step") != before


def test_steps_find_their_own_code():
    """Names that the steps give are real: a mistyped one would count nothing."""
    assert {"ofa.train.loop", "ofa.model.network", "ofa.tasks.detection"} <= set(code.imported("components.train.stem"))
    for name in code.NEUTRAL:
        assert code.imported(name) == {} and code._file(name) is not None
