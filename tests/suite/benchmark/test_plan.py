"""What a sweep plans, and how its matrix is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from datamodules.runtime.errors import UserError
from suite.benchmark import runner
from suite.benchmark.conditions import Condition, Degradations, Preparation
from suite.benchmark.overrides import Overrides, merge
from suite.benchmark.plan import DatasetSpec, MethodSpec, Sweep, SweepJob
from suite.benchmark.results import ResultRow
from suite.benchmark.runner import Failure
from suite.benchmark.tables import latex, markdown, matrix, table
from tests.conftest import ROOT
from tests.fixtures.sweeps import make_row

STUDIO = DatasetSpec(data=ROOT / "configs/data/studio.yaml")


def plain(**changes: Any) -> Sweep:
    entrant = MethodSpec(config=[ROOT / "configs/classifier.yaml"])
    settings: dict[str, Any] = {"methods": {"a": entrant}, "train": {"t": STUDIO}, "test": {"s": STUDIO}}
    return Sweep(**{**settings, "seeds": [0], "overrides": {}} | changes)


def test_what_one_data_set_says_is_not_left_over_for_another() -> None:
    celeb = DatasetSpec(data=ROOT / "configs/data/celeb_df_v2.yaml")
    studio = DatasetSpec(data=ROOT / "configs/data/studio.yaml", overrides=Overrides({"methods": ["Swap"]}))
    both = merge(studio.settings(), celeb.settings())["data"]
    assert both["compression"] is None
    assert both["methods"] is None
    assert both["root"] == "data/Celeb-DF-v2"


def test_a_test_takes_over_how_faces_are_read_and_not_which_videos_or_how_many_clips(tmp_path: Path) -> None:
    changed = Overrides({"audio_fakes": "leave_out", "eval_clips": 3, "image_size": 64})
    sweep = plain(train={"t": DatasetSpec(data=STUDIO.data, overrides=changed)})
    [job] = sweep.jobs()
    assert sweep.settings(job, tmp_path)["data"].items() >= dict(changed).items()
    tested = merge(sweep.settings(job, tmp_path, is_test=True), sweep.data(sweep.conditions()[0], "", tmp_path))
    assert tested["data"]["image_size"] == 64
    assert not {"audio_fakes", "eval_clips"} & tested["data"].keys()


def test_a_training_may_be_on_several_sets_each_prepared_as_the_method_wants_it(tmp_path: Path) -> None:
    sets: list[dict[str, Any]] = [{"prepared": "data/a", "methods": ["Swap"]}, {"prepared": "data/b", "weight": 2.0}]
    data = tmp_path / "two.yaml"
    data.write_text(yaml.safe_dump({"sets": sets}))
    two = DatasetSpec(data=data)
    found = merge(STUDIO.settings(), two.settings("_m15"))["data"]
    assert found["sets"] == [sets[0] | {"prepared": "data/a_m15"}, sets[1] | {"prepared": "data/b_m15"}]
    assert {found[name] for name in ("prepared", "root", "index", "compression")} == {None}
    assert merge(two.settings(), STUDIO.settings())["data"]["sets"] is None
    with pytest.raises(UserError, match="test, t: sets: give each data set a test of its own"):
        plain(test={"t": two})
    data.write_text(yaml.safe_dump({"sets": [{"root": "x"}]}))
    with pytest.raises(UserError, match="must have 'prepared', or 'sets' with it"):
        two.settings()


def test_a_first_stage_is_trained_before_those_that_wait_for_it() -> None:
    entrant = MethodSpec(config=[ROOT / "configs/classifier.yaml"])
    methods = {"late": MethodSpec(config=entrant.config, generator_from="early"), "early": entrant, "other": entrant}
    made = plain(methods=methods, seeds=[3, 4])
    order = [job.method for job in made.jobs()]
    assert order == ["early", "early", "late", "late", "other", "other"]
    settings = made.settings(SweepJob(method="late", train="t", seed=4), Path("/out"))
    assert settings["model"]["init_args"]["generator_weights"] == "/out/runs/early/t/4/checkpoints/best.ckpt"
    assert settings["seed_everything"] == 4


def test_all_methods_of_a_seed_are_trained_before_the_next_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entrant = MethodSpec(config=[ROOT / "configs/classifier.yaml"])
    late = MethodSpec(config=entrant.config, generator_from="early")
    made, order = plain(methods={"late": late, "early": entrant, "other": entrant}, seeds=[4, 3]), []

    def note(sweep: Sweep, job: SweepJob, *_: object) -> None:
        order.append((job.method, job.seed))

    monkeypatch.setattr(runner, "run_job", note)
    list(runner.run_sweep(made, tmp_path, 1))
    assert order == [("early", 4), ("early", 3), ("late", 4), ("other", 4), ("late", 3), ("other", 3)]


def test_what_is_not_trained_is_tested_once_as_its_configs_make_it() -> None:
    still = MethodSpec(config=[ROOT / "configs/face_prior.yaml"], trained=False)
    made = plain(methods={"still": still}, seeds=[0, 1])
    assert [str(job) for job in made.jobs()] == ["still"]
    assert "data" not in made.settings(next(iter(made.jobs())), Path("/out"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seeds": [1, 1]}, r"seeds \[1, 1\]: must be different"),
        ({"seeds": []}, r"seeds \[\]"),
        ({"train": {}}, "train: there must be at least one"),
        ({"test": {"../x": STUDIO}}, r"test: '\.\./x' cannot be the name of a folder"),
        (
            {"methods": {"a": MethodSpec(config=[], generator_from="b")}},
            "methods, a: generator_from 'b', which is not among them",
        ),
        (
            {"methods": {"a": MethodSpec(config=[], generator_from="a")}},
            "methods, a: generator_from 'a', which must not wait",
        ),
    ],
)
def test_a_plan_that_cannot_be_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        plain(**changes)


def test_a_file_that_is_not_there_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    for make in (
        lambda: MethodSpec(config=[Path("none.yaml")]),
        lambda: MethodSpec(config=[], checkpoint=Path("none.yaml")),
        lambda: DatasetSpec(data=Path("none.yaml")),
    ):
        with pytest.raises(UserError, match=r"none\.yaml: no such file"):
            make()
    (tmp_path / "odd.yaml").write_text("a: 1")
    with pytest.raises(UserError, match=r"odd\.yaml: must have 'prepared', or 'sets' with it"):
        plain(train={"odd": DatasetSpec(data=tmp_path / "odd.yaml")})


def test_a_method_may_want_other_faces_and_a_first_stage_may_be_given(tmp_path: Path) -> None:
    (tmp_path / "given.ckpt").touch()
    config = [ROOT / "configs/classifier.yaml"]
    methods = {
        "early": MethodSpec(config=config, checkpoint=tmp_path / "given.ckpt"),
        "late": MethodSpec(config=config, generator_from="early", preparation="_wide"),
    }
    made = plain(methods=methods, seeds=[0, 1])
    assert [str(job) for job in made.jobs()] == ["early", *(f"late, trained on t, seed {n}" for n in (0, 1))]
    settings = made.settings(SweepJob(method="late", train="t", seed=1), Path("/out"))
    assert settings["model"]["init_args"]["generator_weights"] == str(tmp_path / "given.ckpt")
    assert settings["data"]["prepared"] == "data/studio/prepared_wide"


def test_degradations_that_cannot_be_are_refused() -> None:
    with pytest.raises(UserError, match="severity 6: must be from 1 to 5"):
        Degradations(kinds=["blur"], severities=[6])
    wide = MethodSpec(config=[ROOT / "configs/classifier.yaml"], preparation="_wide")
    with pytest.raises(UserError, match="degradations, prepare: '_wide', which b wants, is not there; '' is"):
        plain(methods={"b": wide}, degradations=Degradations(kinds=["blur"], prepare={"": Preparation()}))


def test_a_test_set_cannot_leave_forgeries_out() -> None:
    with pytest.raises(UserError, match="test, s: methods: a test sees all forgeries"):
        plain(
            test={"s": DatasetSpec(data=ROOT / "configs/data/studio.yaml", overrides=Overrides({"methods": ["Swap"]}))}
        )


def test_the_matrix_has_means_of_seeds_intervals_of_one_and_failures() -> None:
    def row(method: str, seed: int, value: float | None) -> ResultRow:
        values = {"video_auroc": value, "video_auroc_low": 0.6, "video_auroc_high": 0.9}
        return make_row(method, values, seed, test="x|y")

    failures = [Failure(job=SweepJob(method="d_1", train="t", seed=0), test=None, reason="no disk")]
    failures.append(Failure(job=SweepJob(method="a", train="t", seed=2), test=Condition(test="x|y"), reason="no disk"))
    failures.append(Failure(job=SweepJob(method="e", train="t", seed=1), test=Condition(test="x|y"), reason="no group"))
    found = matrix(
        [row("a", 0, 0.7), row("a", 1, 0.8), row("b", 0, 0.75), row("c", 0, None), row("e", 0, 0.7), row("e", 1, 0.8)],
        failures,
    )
    jobs = table(found)
    assert jobs == [
        ["method", "trained on", "x|y"],
        ["a", "t", "0.750 (2 of 3 seeds)"],
        ["b", "t", "0.750 [0.600, 0.900]"],
        ["c", "t", "-"],
        ["e", "t", "0.750 ± 0.071"],
        ["d_1", "t", "failed"],
    ]
    assert markdown(jobs).splitlines()[0] == r"| method | trained on | x\|y |"
    assert r"d\_1 & t & failed \\" in latex(jobs)
    assert r"$\pm$" in latex(jobs)
    assert r"a\textasciicircum{}2\textless{}b\textgreater{} & x\textbar{}y" in latex([["a^2<b>", "x|y"]])
