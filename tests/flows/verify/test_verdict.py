"""The certificate: what its page says, and that names in it stay names."""

from flows.verify import verdict

FOUND = {
    "model": "breast_cancer",
    "version": 3,
    "verdict": "different",
    "at": "2026-01-02T03:04:05+00:00",
    "seconds": 61.7,
    "first": {"stage": "train", "path": "data/breast_cancer/model"},
    "failure": "",
    "causes": {"packages": ["keras 3.15 -> 3.16", "<b>"]},
    "differences": {"largest": 0.00125, "mean_difference": -1.5},
    "model_hash": "ab" * 32,
    "rebuilt_model_hash": "",
    "commit": "1e" * 20,
    "dirty": True,
    "outputs": [{"stage": "train", "path": "a|b", "recorded": "cd" * 16, "rebuilt": ""}],
}


def test_the_page_of_a_certificate():
    assert verdict.page(FOUND) == (
        "# breast_cancer version 3: different\n\n"
        "The first difference is in the stage train, in data/breast\\_cancer/model. "
        "What is not as it was recorded: packages (keras 3.15 -> 3.16; \\<b>).\n\n"
        "- verified 2026-01-02T03:04:05+00:00, in 62 s\n"
        f"- model {'ab' * 32}\n- rebuilt nothing\n"
        f"- from commit {'1e' * 20} (a tree that differed from its branch)\n"
        "- packages differs: keras 3.15 -> 3.16; \\<b>\n"
        "- largest: 0.00125\n- mean difference: -1.5\n\n"
        "| stage | output | recorded | rebuilt |   |\n|---|---|---|---|---|\n"
        "| train | a\\|b | cdcdcdcdcdcd | none | differs |\n"
    )


def test_a_version_that_lost_rows_says_since_when():
    lost = FOUND | {"verdict": "cannot be verified", "since": "2026-02-03T04:05:06+00:00", "first": None, "outputs": []}
    assert verdict.sentence(lost) == (
        "Its data lost rows of a person on 2026-02-03 (`ratchet forget`), so nobody can make it again."
    )
    assert "## " not in verdict.page(lost)
    assert "cannot be verified" in verdict.page(lost)
