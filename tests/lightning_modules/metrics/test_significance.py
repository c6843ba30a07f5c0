"""Claims that one method beats another, against the implementations of others."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import scipy.stats
from MLstatkit import Delong_test
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from datamodules.runtime.errors import UserError
from lightning_modules.metrics.bootstrap import aurocs
from lightning_modules.metrics.resampling import draw_resamples
from lightning_modules.metrics.significance import (
    Claim,
    Shared,
    claims,
    delong,
    holm,
    smallest_resolvable,
    two_sided_p,
)


def sample(videos: int, methods: int = 2, seed: int = 0, rounded: bool = False) -> tuple[Any, Any]:
    """Scores of methods that agree in part, each better than the one before."""
    rng = np.random.default_rng(seed)
    label = (np.arange(videos) % 3 > 0).astype(np.int64)
    shared = rng.normal(0, 1, videos)
    scores = np.stack([0.4 * (k + 1) * label + shared + rng.normal(0, 0.7, videos) for k in range(methods)])
    return (scores.round(1) if rounded else scores), label


def two(scores: Any, label: Any) -> Shared:
    return Shared(scores={"a": scores[0], "b": scores[1]}, label=label)


@pytest.mark.parametrize("rounded", [False, True])
def test_the_auroc_of_a_resample_is_scikit_learns_of_its_videos(rounded: bool) -> None:
    scores, label = sample(90, rounded=rounded)
    weight = draw_resamples([(None, label)], draws=20)[0]
    expected = [roc_auc_score(label, scores[0], sample_weight=one) for one in weight]
    np.testing.assert_allclose(aurocs(scores[0], label, weight), expected, rtol=0, atol=1e-12)
    assert aurocs(scores[0], label, np.ones((1, 90)))[0] == pytest.approx(roc_auc_score(label, scores[0]))


@pytest.mark.parametrize("rounded", [False, True])
def test_delong_is_that_of_another_library(rounded: bool) -> None:
    for seed in range(5):
        scores, label = sample(150, seed=seed, rounded=rounded)
        value, _ = delong(scores, label)
        [claim] = claims([two(scores, label)], [("b", "a")], draws=100)
        _, p, first, second, *_ = Delong_test(label, scores[0], scores[1], return_ci=False)
        assert value == pytest.approx([first, second])
        assert claim.delong == pytest.approx(p, rel=1e-9)


def test_the_interval_of_a_gain_is_that_of_scipys_bootstrap() -> None:
    scores, label = sample(240)
    [claim] = claims([two(scores, label)], [("b", "a")])
    fake, real = np.flatnonzero(label), np.flatnonzero(label == 0)

    def gain(fakes: Any, reals: Any) -> float:
        rows = np.concatenate([fakes, reals])
        return float(roc_auc_score(label[rows], scores[1][rows]) - roc_auc_score(label[rows], scores[0][rows]))

    theirs = scipy.stats.bootstrap(
        (fake, real), gain, vectorized=False, n_resamples=1500, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert (claim.gain.low, claim.gain.high) == pytest.approx((theirs.low, theirs.high), abs=0.006)


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_holm_is_that_of_statsmodels(count: int) -> None:
    p = np.random.default_rng(count).random(count) ** 3
    p[-1] = p[0]
    np.testing.assert_allclose(holm(p.tolist()), multipletests(p, method="holm")[1], rtol=0, atol=1e-12)


def test_a_claim_without_a_difference_is_seldom_believed_and_one_with_it_often() -> None:
    believed = {0.0: 0, 0.9: 0}
    for gain in believed:
        for seed in range(60):
            rng = np.random.default_rng(seed)
            label = (np.arange(200) % 2).astype(np.int64)
            shared = label + rng.normal(0, 1, 200)
            pair = {"a": shared + rng.normal(0, 0.5, 200), "b": shared + gain * label + rng.normal(0, 0.5, 200)}
            [claim] = claims([Shared(scores=pair, label=label)], [("b", "a")], draws=200)
            believed[gain] += claim.is_resolved
    assert believed[0.0] <= 5  # one in forty is expected of a one-sided look
    assert believed[0.9] >= 55


def test_videos_of_one_cluster_come_and_go_together_and_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], 120)
    person = np.array([f"{i // 12}" for i in range(240)])  # twelve videos of each
    score = label + np.repeat(rng.normal(0, 1.5, 20), 12) + rng.normal(0, 0.3, 240)
    weight = draw_resamples([(person, label)], draws=500)[0]
    for name in set(person):
        assert (weight[:, person == name] == weight[:, person == name][:, :1]).all()
    assert (weight[:, :120].sum(1) == 120).all()
    mixed = np.array([f"{i % 40}" for i in range(240)])  # real and fake of each
    both = draw_resamples([(mixed, label)], draws=200)[0]
    for name in set(mixed):
        assert (both[:, mixed == name] == both[:, mixed == name][:, :1]).all()
    alone = aurocs(score, label, draw_resamples([(None, label)], draws=500)[0]).std()
    assert aurocs(score, label, weight).std() > 2 * alone


def test_two_thousand_resamples_of_five_methods_on_five_thousand_videos_take_seconds() -> None:
    scores, label = sample(5000, methods=5)
    names = {f"{i}": score for i, score in enumerate(scores)}
    start = time.process_time()
    claims([Shared(scores=names, label=label)], [("4", name) for name in list(names)[:4]])
    assert time.process_time() - start < 5


def test_a_gain_over_seeds_and_sets_is_the_mean_of_theirs() -> None:
    made = [sample(120, methods=6, seed=k) for k in range(2)]
    sets = [Shared(scores={"a": s[:3], "b": s[3:5]}, label=label) for s, label in made]
    [claim] = claims(sets, [("b", "a")], draws=4000)
    gains = []
    for scores, label in made:
        each = [roc_auc_score(label, score) for score in scores]
        gains.append(np.mean(each[3:5]) - np.mean(each[:3]))
    assert claim.gain.value == pytest.approx(np.mean(gains))
    # two ways to the same spread: resamples, and DeLong's covariance
    deviation = claim.gain.value / scipy.stats.norm.isf(claim.delong / 2)
    assert (claim.gain.high - claim.gain.low) / 3.92 == pytest.approx(deviation, rel=0.1)


def test_the_same_videos_twice_make_no_claim_surer() -> None:
    scores, label = sample(120)
    people = np.array([f"{i // 3}" for i in range(120)])
    one = Shared(scores={"a": scores[0], "b": scores[1]}, label=label, cluster=people)
    [once], [twice] = claims([one], [("b", "a")]), claims([one, one], [("b", "a")])
    assert (twice.gain, twice.adjusted) == (once.gain, once.adjusted)
    assert np.isnan(twice.delong)  # which cannot know that they are the same
    assert not np.isnan(once.delong)


def test_in_a_large_family_what_is_plain_still_holds() -> None:
    label = np.repeat([0, 1], 30)
    people = np.array([f"{i % 30}" for i in range(60)])
    rng = np.random.default_rng(0)
    scores = {f"{k}": 0.4 * k * label + rng.normal(0, 0.3, 60) for k in range(16)}
    found = claims([Shared(scores=scores, label=label, cluster=people)], [(f"{k}", "0") for k in range(1, 16)] * 10)
    assert found[14].is_resolved
    assert found[14].adjusted < 1e-3


def test_a_claim_about_nobody_is_refused() -> None:
    scores, label = sample(30)
    with pytest.raises(UserError, match="c: has no scores here; there are a, b"):
        claims([two(scores, label)], [("a", "c")])
    with pytest.raises(UserError, match="1 fakes and 20 reals"):
        delong(scores[:, :21], np.arange(21) // 20)


@pytest.mark.parametrize(("seeds", "spread"), [(1, 0.0), (3, 0.15)])
def test_the_smallest_resolvable_gain_is_found_in_eight_of_ten_studies(seeds: int, spread: float) -> None:
    label = (np.arange(200) % 2).astype(np.int64)

    def study(rng: np.random.Generator, strength: float) -> Claim:
        shared = rng.normal(0, 0.8, 200)  # the same videos
        scores = {
            name: np.stack(
                [(of + spread * rng.normal()) * label + shared + rng.normal(0, 0.6, 200) for _ in range(seeds)]
            )
            for name, of in (("ours", strength), ("theirs", 0.8))
        }
        [claim] = claims([Shared(scores=scores, label=label)], [("ours", "theirs")], draws=2)
        return claim

    strength = 1.0  # of ours; scores have a deviation of 1, so that an AUROC is that of a normal at strength / sqrt(2)
    for repeat in range(3):
        rng = np.random.default_rng([1, repeat])
        wanted = np.mean([study(rng, strength).resolvable for _ in range(60)])
        strength = scipy.stats.norm.ppf(scipy.stats.norm.cdf(0.8 / 2**0.5) + wanted) * 2**0.5
    rng = np.random.default_rng(2)
    found = np.mean([study(rng, strength).delong < 0.05 for _ in range(400)])
    assert 0.74 < found < 0.86  # a share of 0.8 has a deviation of 0.02


def test_what_a_test_set_could_have_resolved_shrinks_with_its_videos_and_is_the_textbooks_without_seeds() -> None:
    assert smallest_resolvable(0.01) == pytest.approx((1.959964 + 0.841621) * 0.01, rel=1e-5)
    assert smallest_resolvable(0.01, 0.02) > smallest_resolvable(0.01)
    few, many = (claims([two(*sample(videos))], [("b", "a")], draws=100)[0].resolvable for videos in (90, 9 * 90))
    assert many == pytest.approx(few / 3, rel=0.25)


@pytest.mark.parametrize("people", [1, 2, 4])
def test_few_people_make_a_claim_no_surer_than_their_videos(people: int) -> None:
    held = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        label = np.repeat([0, 1], [20, 40])
        equal = {name: label + rng.normal(0, 1, 60) for name in "ab"}
        person = np.array([f"{i % people}" for i in range(60)])
        [claim] = claims([Shared(scores=equal, label=label, cluster=person)], [("a", "b")], draws=400)
        assert claim.bootstrap > 0
        held += claim.is_resolved
    assert held <= 3  # one in forty is expected


def test_every_resample_has_reals_and_fakes_of_each_set() -> None:
    people = np.array([f"{i}" for i in range(12)])
    # who is real in one set is forged in the other
    sets = [(people, np.repeat(labels, 6)) for labels in ([0, 1], [1, 0])]
    for (_, labels), weight in zip(sets, draw_resamples(sets, draws=500), strict=True):
        for label in (0, 1):
            assert (weight[:, labels == label].sum(1) > 0).all()


def test_of_a_gain_whose_resamples_do_not_differ_nothing_is_known_and_nothing_holds() -> None:
    assert np.isnan(two_sided_p(0.2, 0.0))
    assert np.isnan(two_sided_p(0.2, float("nan")))
    assert two_sided_p(0.0, 0.0) == 1.0


def test_the_luck_of_seeds_averages_out_over_trainings_but_not_over_the_tests_of_one() -> None:
    rng = np.random.default_rng(0)
    label = (np.arange(400) % 2).astype(np.int64)
    noise = rng.normal(0, 1, 400)  # alike in all seeds: only their strengths differ
    scores = {name: np.stack([strength * label + noise for strength in (0.2, 1.0, 1.8)]) for name in "ab"}
    one, four = (
        claims(
            [Shared(scores=scores, label=label, cluster=np.arange(400).astype(str), training=name) for name in names],
            [("a", "b")],
            draws=200,
        )[0].resolvable
        for names in ("tttt", "stuv")
    )
    # all of it is of seeds, the same videos: 0.8416 times the deviation of a mean of four trainings, half as large
    assert four == pytest.approx(one / 2, rel=1e-6)
