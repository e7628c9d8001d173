"""The checks of the notebooks find what they are for: miniature notebooks, each with one fault."""

import notebook_cells as cells
import notebook_equations as equations
import notebook_frame as frame
import pytest
from nbformat import from_dict
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
)

OBJECTIVES = """\
:::{admonition} You will be able to
:class: tip
- read it;
- write it;
- check it.
:::"""
SUMMARY = "## Summary\n\n- one\n- two\n- three\n\nThe next chapter goes on."
CAPTION = {"name": "fig-03-samples", "caption": "Eight digits from the prior."}
PICTURE = {"mystnb": {"image": {"alt": "A grid of digits"}, "figure": CAPTION}}


def text(source):
    return new_markdown_cell(source)


def code(source, count=None, outputs=(), **metadata):
    return new_code_cell(source, execution_count=count, outputs=list(outputs), metadata=metadata)


def printed(words, name="stdout"):
    return new_output("stream", name=name, text=words)


def drawn():
    return new_output("display_data", data={"image/png": "", "text/plain": "<Figure>"})


def notebook(*parts):
    """A notebook of texts and cells, whose identifiers follow their order."""
    found = [text(one) if isinstance(one, str) else one for one in parts]
    return new_notebook(cells=[from_dict(dict(one, id=f"cell-{i}")) for i, one in enumerate(found)])


def exercise(name, *solution, start="solution-start"):
    return [
        f"```{{exercise}} Short\n:label: {name}\nWhat?\n```",
        f"```{{{start}}} {name}\n:class: dropdown\n```",
        *solution,
        "```{solution-end}\n```",
    ]


def exercises(*solution, names=("ex-03-a", "ex-03-b", "ex-03-c")):
    return ["## Exercises", *(part for name in names for part in exercise(name, *solution))]


SOLVED = exercises(code("assert 1 + 1 == 2"))


def only(problems, words):
    """One complaint, and it holds these words."""
    (problem,) = problems
    assert words in problem
    return True


# --- the frame


def test_a_good_chapter_passes():
    question = "# Title\n\n" + "Which question does this chapter answer? " * 5
    good = notebook(question, OBJECTIVES, code(frame.SETUP), *SOLVED, SUMMARY)
    for check in frame.CHECKS:
        assert check(good, "03") == []


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ("No title", "first cell"),
        ("# 3 Title\n\n" + "word " * 20, "numbers chapters"),
        ("# Title\n\nShort.", "question"),
        ("# Title\n\n" + "word " * 20 + "\n\n# Another", "second title"),
    ],
)
def test_title(first, words):
    assert only(frame.check_title(notebook(first), "03"), words)


def test_a_comment_in_a_block_is_no_heading():
    fenced = "# Title\n\n" + "word " * 20 + "\n\n```bash\n# a comment\n```"
    assert frame.check_title(notebook(fenced), "03") == []


@pytest.mark.parametrize(
    ("admonition", "words"),
    [
        ("Nothing", "0 admonitions"),
        (OBJECTIVES + "\n\n" + OBJECTIVES, "2 admonitions"),
        (OBJECTIVES.replace("- check it.\n", ""), "2 bullets"),
        (OBJECTIVES.replace(":class: tip\n", ""), ":class: tip"),
    ],
)
def test_objectives(admonition, words):
    assert only(frame.check_objectives(notebook(admonition), "03"), words)


@pytest.mark.parametrize("source", ["import numpy as np", frame.SETUP + "\nimport keras", ""])
def test_set_up_cell(source):
    assert only(frame.check_setup(notebook("a", code(source)), "03"), "set-up")
    assert only(frame.check_setup(notebook("a"), "03"), "set-up")


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (SOLVED[1:], "## Exercises"),
        (SOLVED[:-4], "2 exercises"),
        (exercises(code("print(1)"))[:5] + SOLVED[5:], "ex-03-a asserts nothing"),
        (exercises("words")[:5] + SOLVED[5:], "ex-03-a asserts nothing"),
        ([*SOLVED, SOLVED[1].replace("ex-03-a", "ex-03-d")], "ex-03-d has no solution"),
        ([*SOLVED, SOLVED[1].replace("-03-a", "-04-a")], "ex-04-a is not called"),
        (SOLVED[:-1], "does not end"),
        ([*SOLVED, *exercise("ex-03-z", code("assert 1"))[1:]], "unknown exercise: ex-03-z"),
    ],
)
def test_exercises(parts, words):
    problems = frame.check_exercises(notebook(*parts), "03")
    assert any(words in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ("## Else", "last section"),
        (SUMMARY + "\n\n## After", "last section"),
        (SUMMARY.replace("- two\n", ""), "2 bullets"),
        (SUMMARY.rsplit("\n\n", 1)[0], "next chapter"),
    ],
)
def test_summary(last, words):
    assert only(frame.check_summary(notebook(last), "03"), words)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("assert x", True),
        ("np.testing.assert_allclose(a, b)", True),
        ("%matplotlib inline\nassert_array_equal(a, b)", True),
        ("# assert x", False),
        ("print('assert x')", False),
    ],
)
def test_what_counts_as_an_assertion(source, expected):
    assert frame.asserts(source) is expected


# --- equations

LABELLED = """\
```{math}
:label: def-03-elbo

x = 1
```

$$
y = 2
$$ (eq-03-gap)

   :::{math}
   :nowrap:
   :label: eq-03-indented
   z
   :::
"""


def test_labels_are_found_in_every_notation():
    assert sorted(equations.labels(LABELLED)) == ["def-03-elbo", "eq-03-gap", "eq-03-indented"]
    assert equations.labels("```{exercise} A\n:label: ex-03-a\n```\nand $x$ (not this)") == []


@pytest.mark.parametrize("label", ["gap", "eq-gap", "eq-04-gap", "EQ-03-gap", "fig-03-gap"])
def test_labels_follow_the_scheme(label):
    problems = equations.check_labels(notebook(f"$$\nx\n$$ ({label})"), "03")
    assert only(problems, label)


def test_cells_that_verify():
    good = notebook(code("# verifies eq-03-a, eq-03-b\nassert True"))
    assert set(equations.verified_by(good)) == {"eq-03-a", "eq-03-b"}
    assert equations.check_verifications(good, "03") == []
    idle = notebook(code("# verifies eq-03-a\nprint(1)"))
    assert only(equations.check_verifications(idle, "03"), "asserts nothing")
    late = notebook(code("x = 1\n# verifies eq-03-a\nassert x"))
    assert only(equations.check_verifications(late, "03"), "first line")


@pytest.mark.parametrize(
    ("places", "verified", "words"),
    [
        ({"a": ["eq-03-x"]}, set(), "no cell verifies"),
        ({"a": ["eq-03-x"], "b": ["eq-03-x"]}, {"eq-03-x"}, "in a, b"),
        ({"a": ["eq-03-x", "eq-03-x"]}, {"eq-03-x"}, "in a, a"),
        ({"a": ["def-03-x"]}, {"eq-03-y"}, "unknown"),
        ({"a": ["elbo"]}, set(), "neither"),
    ],
)
def test_the_labels_of_the_book(places, verified, words):
    assert only(equations.check_book(places, verified), words)
    assert equations.check_book({"a": ["eq-03-x", "def-03-y"]}, {"eq-03-x"}) == []


# --- cells


@pytest.mark.parametrize(
    ("check", "source"),
    [
        (cells.check_imports, "import torch"),
        (cells.check_imports, "from pandas import DataFrame"),
        (cells.check_imports, "if True:\n    import vae_gmvae.runs"),
        (cells.check_imports, "from vae_gmvae.models import VAE"),
        (cells.check_imports, "import tensorflow as tf"),
        (cells.check_public_names, "vg.runs.load; vg.cli"),
        (cells.check_public_names, "from vae_gmvae import storage"),
        (cells.check_definitions, "class VAE:\n    pass"),
        (cells.check_definitions, "def log_normal(x):\n    pass"),
        (cells.check_length, "\n".join(["x = 1"] * 16)),
        (cells.check_commands, "!vae-gmvae --preset reference --model_name model6"),
        (cells.check_commands, "!vae-gmvae --no_such_flag 1"),
        (cells.check_commands, "!vae-gmvae --model_name model1 \\\n  --epochs many"),
        (cells.check_sources, "x = 1  # TODO"),
        (cells.check_sources, f"open('/{'root'}/x')"),
    ],
)
def test_a_fault_of_the_code_is_found(check, source):
    assert len(check(notebook(code(source)), "04")) == 1


def test_one_chapter_writes_its_training_loop_by_hand():
    assert cells.check_imports(notebook(code("import tensorflow as tf")), "03") == []


def test_a_fault_of_a_command_in_the_text_is_found():
    bad = "```bash\nvae-gmvae --preset referenced --model_name model1\n```"
    assert len(cells.check_commands(notebook(bad), "03")) == 1
    assert only(cells.check_sources(notebook("all well <!-- look -->"), "03"), "<!-- look")


def test_good_code_passes():
    source = """\
import numpy as np
from scipy import stats
from matplotlib.figure import Figure
%pip install --quiet x
def by_hand(x):
    return vg.plots.image_grid(x)

class StudentVAE(vg.VAE):
    pass"""
    command = "vae-gmvae --preset reference --model_name model1 \\\n  --dataset_name MNIST"
    good = notebook(f"```bash\n{command}  # minutes\nvae-gmvae --help\n```", code(source))
    checks = (cells.check_imports, cells.check_public_names, cells.check_definitions)
    for check in (*checks, cells.check_length, cells.check_commands, cells.check_sources):
        assert check(good, "03") == []


@pytest.mark.parametrize("counts", [(1, 3), (None, None), (2, 1), (0, 1)])
def test_order_of_execution(counts):
    assert cells.check_executed(notebook(*(code("1", n) for n in counts)), "03")
    assert cells.check_executed(notebook(code("1", 1), "a", code("1", 2)), "03") == []


@pytest.mark.parametrize(
    "output",
    [
        new_output("error", ename="E", evalue="", traceback=[]),
        printed("a warning", "stderr"),
        printed(f"saved to /{'root'}/runs"),
        printed(f"saved to /{'tmp'}/ab"),
        new_output("execute_result", data={"text/plain": "<Model at 0x7f0011aa>"}),
    ],
)
def test_outputs(output):
    assert len(cells.check_outputs(notebook(code("1", 1, [output])), "03")) == 1


def test_a_third_of_what_is_printed_is_compared():
    checked, plain = (code("1", 1, [printed("1\n")], tags=tags) for tags in
                      (["nbval-check-output"], []))  # fmt: skip
    picture = code("2", 1, [drawn()])
    few = notebook(checked, plain, plain, plain)
    assert only(cells.check_compared(few, "03"), "1 of 4")
    assert cells.check_compared(notebook(checked, plain, picture), "03") == []
    silent = notebook(code("x = 1", 1, tags=["nbval-check-output"]))
    assert only(cells.check_compared(silent, "03"), "without output")


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"image": {"alt": ""}, "figure": CAPTION}, "alternative text"),
        ({"figure": CAPTION}, "alternative text"),
        ({"image": {"alt": "A grid of digits"}, "figure": {"name": "fig-03-a"}}, "caption"),
        (
            {"image": {"alt": "A grid of digits"}, "figure": CAPTION | {"name": "fig-04-a"}},
            "fig-03-",
        ),
    ],
)
def test_pictures(metadata, words):
    bad = notebook(code("draw()", 1, [drawn()], mystnb=metadata))
    assert only(cells.check_pictures(bad, "03"), words)
    assert cells.check_pictures(notebook(code("draw()", 1, [drawn()], **PICTURE)), "03") == []


def test_an_explorer_needs_a_text_but_no_caption():
    output = drawn()
    output.data[cells.LIVE] = {"model_id": "0"}
    silent = notebook(code("explorer", 1, [output]))
    assert only(cells.check_pictures(silent, "03"), "alternative text")
    named = code("explorer", 1, [output], mystnb={"image": {"alt": "A grid of digits"}})
    assert cells.check_pictures(notebook(named), "03") == []


def test_a_caption_needs_its_picture():
    words = [new_output("execute_result", data={"text/plain": "<Figure>"})]
    bad = notebook(code("figure", 1, words, **PICTURE))
    assert only(cells.check_pictures(bad, "03"), "caption without picture")


def test_pictures_in_the_text():
    bad = notebook("![](a.png)\n\n:::{figure} a.png\n:name: a\nCaption.\n:::")
    assert len(cells.check_pictures(bad, "03")) == 2
    good = notebook("![a digit](a.png)\n\n:::{figure} a.png\n:alt: a digit\nCaption.\n:::")
    assert cells.check_pictures(good, "03") == []
