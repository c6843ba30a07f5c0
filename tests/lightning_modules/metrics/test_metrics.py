"""Every metric against scikit-learn, alone and over two processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from lightning_modules.metrics import functional, pixel
from lightning_modules.metrics.collections import pixel_metrics, score_metrics
from tests.fixtures.processes import START


def drawn(seed: int, n: int = 200, ties: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    label = (torch.rand(n, generator=g) < 0.4).long()
    label[:2] = torch.tensor([0, 1])
    score = torch.sigmoid(torch.randn(n, generator=g) + label)
    return ((score * 12).round() / 12 if ties else score), label


def sk_eer(label: np.ndarray, score: np.ndarray) -> float:
    fpr, tpr, _ = sk.roc_curve(label, score, drop_intermediate=False)
    grid = np.linspace(0, 1, 200001)
    return float(grid[np.argmin(np.abs(1 - np.interp(grid, fpr, tpr) - grid))])


def sk_tpr(label: np.ndarray, score: np.ndarray) -> float:
    fpr, tpr, _ = sk.roc_curve(label, score, drop_intermediate=False)
    return float(tpr[fpr <= 0.01].max())


def sk_ece(label: np.ndarray, score: np.ndarray) -> float:
    """At balanced classes: each class again and again until there are as many of the other."""
    reals, fakes = int((label == 0).sum()), int((label == 1).sum())
    score, label = (
        np.concatenate([np.repeat(x[label == 0], fakes), np.repeat(x[label == 1], reals)]) for x in (score, label)
    )
    bin = np.clip(np.ceil(score * 15) - 1, 0, 14)
    gaps = [abs(score[bin == b].mean() - label[bin == b].mean()) * (bin == b).mean() for b in np.unique(bin)]
    return float(np.sum(gaps))


REFERENCE: dict[str, tuple[functional.Function, Callable[[np.ndarray, np.ndarray], float], float]] = {
    "auroc": (functional.auroc, sk.roc_auc_score, 1e-6),
    "ap": (functional.average_precision, sk.average_precision_score, 1e-6),
    "accuracy": (functional.accuracy, lambda y, s: sk.accuracy_score(y, s >= 0.5), 1e-6),
    "balanced accuracy": (functional.balanced_accuracy, lambda y, s: sk.balanced_accuracy_score(y, s >= 0.5), 1e-6),
    "brier": (functional.brier, sk.brier_score_loss, 1e-6),
    "eer": (functional.eer, sk_eer, 1e-5),
    "tpr at 1 % fpr": (functional.tpr_at_fpr, sk_tpr, 1e-6),
    "ece": (functional.ece, sk_ece, 1e-6),
    "fpr": (functional.false_positive_rate, lambda y, s: 1 - sk.recall_score(y, s >= 0.5, pos_label=0), 1e-6),
    "tpr": (functional.true_positive_rate, lambda y, s: sk.recall_score(y, s >= 0.5), 1e-6),
}


@pytest.mark.parametrize("name", list(REFERENCE))
@pytest.mark.parametrize("ties", [False, True])
def test_a_figure_agrees_with_scikit_learn(name: str, ties: bool) -> None:
    ours, theirs, tolerance = REFERENCE[name]
    for seed in range(8):
        score, label = drawn(seed, ties=ties and name != "ece")
        assert float(ours(score, label)) == pytest.approx(theirs(label.numpy(), score.numpy()), abs=tolerance)


@pytest.mark.parametrize(
    "figure", [functional.auroc, functional.eer, functional.tpr_at_fpr, functional.balanced_accuracy]
)
def test_with_one_class_a_figure_is_undefined_and_not_zero(figure: functional.Function) -> None:
    assert figure(torch.tensor([0.2, 0.9]), torch.tensor([1, 1])).isnan()


@given(st.integers(0, 10_000))
def test_the_best_threshold_is_the_best(seed: int) -> None:
    score, label = drawn(seed, 40, ties=True)
    best = functional.balanced_accuracy(score, label, functional.best_threshold(score, label))
    for threshold in torch.linspace(0, 1, 101):
        assert functional.balanced_accuracy(score, label, threshold) <= best + 1e-6


def test_a_video_is_the_mean_over_frames_of_its_worst_face() -> None:
    videos = functional.pool_by_video(
        torch.tensor([0.9, 0.1, 0.3, 0.2, 0.6]),
        label=torch.tensor([1, 1, 1, 0, 0]),
        video=torch.tensor([7, 7, 7, 5, 5]),
        frame=torch.tensor([0, 0, 1, 0, 1]),
    )
    # video 7: frame 0 has two faces, the worst scores 0.9, frame 1 scores 0.3
    assert videos.id.tolist() == [5, 7]
    torch.testing.assert_close(videos.score, torch.tensor([0.4, 0.6]), check_dtype=False)
    assert videos.label.tolist() == [0, 1]


@pytest.mark.parametrize("score", [0.1, 0.3, 0.483, 0.7, 0.9])
def test_one_score_for_all_frames_tells_nothing_however_many_frames_a_video_has(score: float) -> None:
    metrics = score_metrics(None)
    for video in range(60):
        frames = int(torch.randint(5, 33, (1,), generator=torch.Generator().manual_seed(video)))
        each = torch.full((frames,), video)
        metrics.update(torch.full((frames,), score), each % 2, each, torch.arange(frames))
    found = metrics.compute()
    assert found["video_auroc"] == found["frame_auroc"] == 0.5


def test_the_mean_of_logits_lets_a_sure_frame_weigh_more() -> None:
    score, label, video = (
        torch.tensor([0.99, 0.5, 0.5, 0.6, 0.7, 0.8]),
        torch.tensor([1, 1, 1, 0, 0, 0]),
        torch.tensor([1, 1, 1, 0, 0, 0]),
    )
    found = functional.pool_by_video(score, label, video, torch.tensor([0, 1, 2, 0, 1, 2]), "logit").score.tolist()
    odds = [(1.5 * 7 / 3 * 4) ** (1 / 3), 99 ** (1 / 3)]  # the geometric mean of the frames' odds
    assert found == pytest.approx([o / (1 + o) for o in odds], rel=1e-5)
    sure = functional.pool_by_video(
        torch.tensor([1.0, 0.0]), torch.tensor([1, 1]), torch.tensor([1, 1]), torch.tensor([0, 1]), "logit"
    )
    assert sure.score.tolist() == pytest.approx([0.5], abs=0.01)  # and a frame that is quite sure is not infinitely so
    # two videos whose order depends on it, through the metric
    metrics = score_metrics(None, score_pooling="logit")
    metrics.update(
        torch.tensor([0.9999, 0.2, 0.7, 0.7]),
        torch.tensor([1, 1, 0, 0]),
        torch.tensor([1, 1, 0, 0]),
        torch.tensor([0, 1, 0, 1]),
    )
    assert metrics.compute()["video_auroc"] == 1
    assert functional.auroc(torch.tensor([0.59995, 0.7]), torch.tensor([1, 0])) == 0


def test_suspects_alone_decide_where_there_are_any() -> None:
    score, label = torch.tensor([0.9, 0.7, 0.1, 0.4, 0.2]), torch.tensor([1, 1, 1, 0, 0])
    video, frame = torch.tensor([1, 1, 1, 0, 0]), torch.tensor([0, 1, 2, 0, 1])
    found = functional.pool_by_video(score, label, video, frame, "suspects")
    torch.testing.assert_close(found.score, torch.tensor([0.3, 0.8]), check_dtype=False)
    # two faces in one frame are two scores
    same = torch.zeros(2, dtype=torch.long)
    both = functional.pool_by_video(torch.tensor([0.9, 0.6]), same + 1, same, same, "suspects")
    assert both.score.tolist() == pytest.approx([0.75])


def test_a_bystander_beside_a_forged_face_is_no_miss() -> None:
    metrics = score_metrics(None)
    # two faces in each frame of a fake, the second untouched; one in the frame of a real
    score, label = torch.tensor([0.9, 0.1, 0.8, 0.2, 0.3]), torch.tensor([1, 1, 1, 1, 0])
    metrics.update(score, label, torch.tensor([7, 7, 7, 7, 5]), torch.tensor([0, 0, 1, 1, 0]))
    assert metrics.compute()["frame_auroc"] == 1


def masks(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores at the lower edges of bins, (N, P), their masks and the labels."""
    g = torch.Generator().manual_seed(seed)
    label = torch.tensor([1, 0, 1, 1])
    mask = (torch.rand(4, 300, generator=g) < 0.3) & (label == 1)[:, None]
    logit = 1.5 * torch.randn(4, 300, generator=g) + 2 * mask
    return ((logit / pixel.WIDTH).floor() * pixel.WIDTH).double().sigmoid(), mask, label


def histograms(seed: int) -> pixel.Histograms:
    score, mask, label = masks(seed)
    logit = score.logit() + pixel.WIDTH / 8  # whatever rounding did to the edges
    forged, other = pixel.histogram(logit, mask), pixel.histogram(logit, ~mask)
    return pixel.Histograms(forged[label == 1], other[label == 1], other[label == 0])


def together(h: pixel.Histograms) -> pixel.Histograms:
    """Of all frames."""
    return pixel.Histograms(h.forged.sum(0), h.untouched.sum(0), h.real.sum(0))


def test_pixel_figures_agree_with_scikit_learn() -> None:
    for seed in range(5):
        score, mask, label = masks(seed)
        h = together(histograms(seed))
        y, s = mask[label == 1].flatten().numpy(), score[label == 1].flatten().numpy()
        assert float(pixel.auroc(h)) == pytest.approx(sk.roc_auc_score(y, s), abs=1e-6)
        assert float(pixel.average_precision(h)) == pytest.approx(sk.average_precision_score(y, s), abs=1e-6)
        for threshold in (0.5, *pixel.edges()[[200, 300]].tolist()):
            assert float(pixel.iou(h, threshold)) == pytest.approx(sk.jaccard_score(y, s >= threshold - 1e-9), abs=1e-6)
            assert float(pixel.f1(h, threshold)) == pytest.approx(sk.f1_score(y, s >= threshold - 1e-9), abs=1e-6)
        expected = (score[label == 0] >= 0.5).float().mean()
        assert float(pixel.false_alarm_area(h)) == pytest.approx(float(expected), abs=1e-6)
        best = float(pixel.best_threshold(h))
        grid = [sk.f1_score(y, s >= t) for t in np.unique(s)]
        assert sk.f1_score(y, s >= best - 1e-6) == pytest.approx(max(grid), abs=1e-9)


def test_a_ranking_of_scores_below_a_250th_is_kept() -> None:
    g = torch.Generator().manual_seed(0)
    mask = torch.rand(4, 4000, generator=g) < 0.3
    logit = -7 + 0.3 * torch.randn(4, 4000, generator=g) + 0.2 * mask
    assert logit.sigmoid().max() < 0.004
    forged, other = (pixel.histogram(logit, chosen).sum(0).double() for chosen in (mask, ~mask))
    h = pixel.Histograms(forged, other, other)
    y, s = mask.flatten().numpy(), logit.flatten().numpy()
    expected = sk.roc_auc_score(y, s)
    assert expected == pytest.approx(0.68, abs=0.01)
    assert float(pixel.auroc(h)) == pytest.approx(expected, abs=1e-3)


def test_a_half_is_the_edge_of_a_bin_and_so_is_every_threshold_that_validation_chooses() -> None:
    logit = torch.tensor([[-1e-7, 0.0, 1e-7]])
    [counts] = pixel.histogram(logit, torch.ones(1, 3, dtype=torch.bool))
    assert counts[pixel.bin_of(0.5) - 1 : pixel.bin_of(0.5) + 1].tolist() == [1, 2]
    assert [pixel.bin_of(edge) for edge in pixel.edges().float()] == list(range(pixel.BINS))
    assert (pixel.bin_of(0.0), pixel.bin_of(1.0)) == (0, pixel.BINS)


def test_the_mean_over_frames_is_scikit_learns_of_each_frame() -> None:
    metrics = pixel_metrics(lambda: {"pixel_threshold": float(pixel.edges()[300])})
    expected: dict[str, list[float]] = {name: [] for name in ("auroc", "ap", "iou_at_half", "f1_at_validation")}
    for seed in range(4):
        score, mask, label = masks(seed)
        mask[2] = seed % 2 == 0  # of one class: all of a frame is forged, or nothing of it
        logit = score.logit() + pixel.WIDTH / 8
        forged, other = pixel.histogram(logit, mask), pixel.histogram(logit, ~mask)
        metrics.update(forged[label == 1], other[label == 1], other[label == 0])
        for y, s in zip(mask[label == 1].numpy(), score[label == 1].numpy(), strict=True):
            if not y.any():
                continue
            if not y.all():
                expected["auroc"].append(sk.roc_auc_score(y, s))
            expected["ap"].append(sk.average_precision_score(y, s))
            expected["iou_at_half"].append(sk.jaccard_score(y, s >= 0.5 - 1e-9))
            expected["f1_at_validation"].append(sk.f1_score(y, s >= float(pixel.edges()[300]) - 1e-9))
    values = metrics.compute()
    assert len(expected["auroc"]) == 8
    assert len(expected["ap"]) == 10
    for name, each in expected.items():
        assert float(values[f"pixel_frame_{name}"]) == pytest.approx(np.mean(each), abs=1e-6)
    assert float(values["pixel_frame_auroc"]) != pytest.approx(float(values["pixel_auroc"]), abs=1e-3)


def fill(rank: int, world: int) -> dict[str, float]:
    score, label = drawn(3, 120)
    # 6 frames a video; videos are dealt to the ranks in pieces
    video, frame = torch.arange(120) // 6, torch.arange(120) % 6
    label = label[video * 6]
    metrics = score_metrics(None)
    local = score_metrics(
        lambda: {"frame_threshold": 0.4, "video_threshold": 0.6, "video_slope": 2.0, "video_bias": 0.1}
    )
    localization = pixel_metrics(None)
    mine = slice(rank, None, world)
    for m in (metrics, local):
        for part in zip(*(x[mine].split(7) for x in (score, label, video, frame)), strict=True):
            m.update(*part)
    for seed in range(rank, 4, world):
        h = histograms(seed)
        localization.update(h.forged, h.untouched, h.real)
    return {k: float(v) for m in (metrics, local, localization) for k, v in m.compute().items() if not v.ndim}


def work(rank: int, world: int, folder: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517"}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=world)
    torch.save(fill(rank, world), Path(folder) / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_compute_what_one_computes(tmp_path: Path) -> None:
    mp.start_processes(work, (2, str(tmp_path)), nprocs=2, start_method=START)
    one = fill(0, 1)
    for rank in range(2):
        assert torch.load(tmp_path / f"{rank}.pt") == pytest.approx(one, abs=1e-6, nan_ok=True)


def test_the_metrics_share_one_copy_of_the_scores() -> None:
    metrics = score_metrics(None)
    for _ in range(3):
        metrics.update(*drawn(0, 10), torch.arange(10), torch.zeros(10, dtype=torch.long))
    assert len(metrics.compute_groups) == 1
    assert float(metrics.compute()["frame_auroc"]) == pytest.approx(
        sk.roc_auc_score(drawn(0, 10)[1], drawn(0, 10)[0]), abs=1e-6
    )


def test_a_false_positive_rate_of_one_percent_is_still_allowed_at_one_percent() -> None:
    score, label = torch.tensor([0.9] + [0.1] * 99 + [0.8]), torch.tensor([0] * 100 + [1])
    assert functional.tpr_at_fpr(score, label) == 1  # one of a hundred reals is above the fake
    assert functional.tpr_at_fpr(score[1:], label[1:]) == 1
    assert functional.tpr_at_fpr(torch.cat([score, torch.tensor([0.85])]), torch.cat([label, torch.tensor([0])])) == 0
