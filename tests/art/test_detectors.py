"""Detectors: what travels with them, what their training may not see, and the two baselines beside them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pyqmc_art.art.degrade import Equaliser
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.patches import make_patches
from pyqmc_art.art.pictures import Picture, decode_picture, encode_jpeg, write_picture
from pyqmc_art.art.rows import Row
from pyqmc_art.errors import InputError
from pyqmc_art.protocols import PatchSpec
from pyqmc_art.rng import Stream
from pyqmc_art.stats.calibration import Calibration
from pyqmc_art.stats.ranking import auc

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from pyqmc_art.art.detectors.baselines import MetadataExtractor, SubjectExtractor
from pyqmc_art.art.detectors.catalogue import load_detector, make_extractor
from pyqmc_art.art.detectors.features import FeatureTable, average_works, collect_features
from pyqmc_art.art.detectors.heads import assign_folds, balance_classes, fit_head, make_learner
from pyqmc_art.art.detectors.linear import Preparation
from pyqmc_art.art.detectors.residual import ResidualDetector, ResidualExtractor
from pyqmc_art.art.detectors.selection import select_rows
from pyqmc_art.art.detectors.training import DetectorOptions, train_detector
from pyqmc_art.learning.pretrained import Pretrained, write_pretrained
from pyqmc_art.stats.crossvalidation import score_out_of_fold

STREAM = Stream.from_seed(21)
BLUR = {"original": 0.6, "proxy": 0.8, "forgery": 0.7, "diffusion": 1.2}


def texture(role, number, size=64):
    """Noise as rough as the role's brush."""
    drawn = np.random.default_rng([number, *role.encode()]).normal(128, 50, (size, size, 3))
    return np.clip(np.rint(gaussian_filter(drawn, (BLUR[role], BLUR[role], 0))), 0, 255).astype(np.uint8)


def picture(role="original", number=0, size=64):
    return Picture(texture(role, number, size), Path(f"{role}-{number}"), "PNG", f"{role}{number}", None)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """A small collection on disk."""
    folder = tmp_path_factory.mktemp("gallery")
    rows = []
    for role, count in {"original": 12, "proxy": 12, "forgery": 6, "diffusion": 6}.items():
        for number in range(count):
            path = write_picture(folder / f"{role} {number}.png", texture(role, number))
            hand = {"original": "The Master", "diffusion": ""}.get(role, "Somebody")
            rows.append(Row(path.name, role, hand, group=f"{role} {number}"))
    return Manifest(tuple(rows), folder)


OPTIONS = DetectorOptions("master", backbone="residual", size=64, folds=3, seed=4)


@pytest.fixture(scope="module")
def trained(gallery, tmp_path_factory):
    return train_detector(gallery, OPTIONS, tmp_path_factory.mktemp("models") / "a model")


def table_of(values, works, patches=1):
    owners = np.repeat(np.arange(len(works)), patches)
    return FeatureTable(np.asarray(values, np.float32), owners, np.ones(len(owners), np.int64), tuple(works))


class TestTable:
    def test_levels_count_equally(self):
        table = FeatureTable(
            np.zeros((6, 2), np.float32), np.array([0, 0, 0, 0, 0, 1]), np.array([1, 2, 2, 2, 2, 1]), ("a", "b")
        )
        np.testing.assert_allclose(table.row_weights(), [0.5, 0.125, 0.125, 0.125, 0.125, 1])
        np.testing.assert_allclose(table.pool([8.0, 0, 0, 0, 0, 3]), [4, 3])
        taken = table.take([1, 0])
        assert taken.works == ("b", "a") and taken.owners.tolist() == [0, 1, 1, 1, 1, 1]

    def test_a_picture_is_described_as_it_would_be_alone(self):
        extractor = ResidualExtractor(PatchSpec(64, (1, 2)))
        table = collect_features(extractor, [picture(number=k, size=96) for k in range(3)], "abc")
        assert len(table.values) == 15
        np.testing.assert_array_equal(table.take([1]).values, extractor.extract(picture(number=1, size=96))[0])


class TestHead:
    def test_classes_count_equally_whatever_their_numbers(self):
        """Midway between two Gaussians the log-odds are 0, with 1:10 works too; unweighted they would be -log 10."""
        generator = np.random.default_rng(1)
        labels = np.arange(2200) < 200
        values = generator.normal(np.where(labels, 1.0, -1.0))[:, None]
        head = fit_head(table_of(values, [str(k) for k in range(2200)]), labels, STREAM, strengths=(1.0,))
        # Log-odds 2 x; the standard error of the intercept with 200 works is near 0.1.
        assert abs(head.logits([[0.0]])[0]) < 0.4
        assert abs(head.logits([[1.0]])[0] - 2) < 0.6

    def test_every_work_of_a_class_counts_the_same(self):
        weights = balance_classes([True, True, True, False], ["a", "a", "b", "c"])
        np.testing.assert_allclose(weights, [0.5, 0.5, 1, 2])
        kinds = ["o", "proxy", "proxy", "forgery"]
        by_role = balance_classes([True, False, False, False], list("abcd"), kinds, "kind")
        np.testing.assert_allclose(by_role, [2, 0.5, 0.5, 1])

    def test_many_features_and_few_pictures_give_the_full_solution(self):
        """The rotation into the span of the rows changes nothing: the gradient of the penalised loss vanishes."""
        generator = np.random.default_rng(2)
        labels, values = np.arange(30) < 12, generator.normal(size=(30, 80)).astype(np.float32)
        head = fit_head(table_of(values, [str(k) for k in range(30)]), labels, STREAM, strengths=(0.1,))
        z = (values - head.mean) / head.scale
        weights = balance_classes(labels, [str(k) for k in range(30)])
        residual = weights * (labels - 1 / (1 + np.exp(-head.logits(values))))
        np.testing.assert_allclose(0.1 * residual @ z, head.coefficients[0], atol=1e-4)

    def test_a_hand_between_two_kinds_of_contrast_is_found(self):
        """Proxies on one side, forgeries on the other: one line cannot tell the hand, one for each kind can."""
        generator = np.random.default_rng(5)
        kinds = np.repeat(["original", "proxy", "forgery"], 60)
        values = generator.normal(np.select([kinds == "proxy", kinds == "forgery"], [-3.0, 3.0]))[:, None]
        table, labels = table_of(values, [str(k) for k in range(180)]), kinds == "original"
        one_line = fit_head(table, labels, STREAM)
        each = fit_head(table, labels, STREAM, kinds=kinds.tolist())
        assert auc(one_line.logits(values)[labels], one_line.logits(values)[~labels]) < 0.7
        assert auc(each.logits(values)[labels], each.logits(values)[~labels]) > 0.9
        assert each.coefficients.shape == (2, 1)

    def test_the_log_odds_are_those_of_all_kinds_together(self):
        """``p(hand) / (1 - p(hand))`` of the multinomial model, from its scores."""
        generator = np.random.default_rng(6)
        kinds = np.tile(["original", "proxy", "forgery"], 30)
        values = generator.normal(size=(90, 4))
        table = table_of(values, [str(k) for k in range(90)])
        head = fit_head(table, kinds == "original", STREAM, kinds=kinds.tolist())
        margins = (values.astype(np.float32) - head.mean) / head.scale @ head.coefficients.T + head.intercepts
        hand = 1 / (1 + np.exp(-margins).sum(axis=1))
        np.testing.assert_allclose(head.logits(values.astype(np.float32)), np.log(hand / (1 - hand)), atol=1e-9)

    def test_rows_are_judged_one_by_one(self):
        values = np.random.default_rng(3).normal(size=(40, 300)).astype(np.float32)
        head = fit_head(table_of(values, [str(k) for k in range(40)]), np.arange(40) % 2 > 0, STREAM)
        whole = head.logits(values)
        assert all(head.logits(values[k : k + 1])[0] == whole[k] for k in range(40))

    def test_one_class_is_refused(self):
        with pytest.raises(InputError, match="one class"):
            fit_head(table_of(np.zeros((3, 2)), "abc"), [True] * 3, STREAM)

    def test_strength_is_chosen_by_whole_works(self):
        """Noise labels: where patches of a work are on both sides, a weak penalty seems best; whole works want none."""
        generator = np.random.default_rng(4)
        signature = generator.normal(size=(40, 30))
        values = (signature[:, None] + 0.1 * generator.normal(size=(40, 6, 30))).reshape(240, 30)
        labels = np.arange(40) % 2 > 0
        works = [str(k) for k in range(40)]
        grouped = fit_head(table_of(values, works, 6), labels, STREAM)
        alone = [f"{k}" for k in range(240)]
        leaky = fit_head(table_of(values, alone), np.repeat(labels, 6), STREAM)
        assert grouped.strength < leaky.strength


class TestLeakage:
    """Noise labels, works with a signature: patches on both sides of a split show it, whole works do not."""

    def scores(self, seed, grouped):
        generator = np.random.default_rng(seed)
        values = np.repeat(generator.normal(size=(40, 20)), 4, axis=0) + 0.2 * generator.normal(size=(160, 20))
        labels = generator.permutation(np.arange(40) % 2 > 0)
        if grouped:
            table = table_of(values, [str(k) for k in range(40)], 4)
        else:
            table, labels = table_of(values, [str(k) for k in range(160)]), np.repeat(labels, 4)
        folds = assign_folds(table.works, labels, STREAM.fold("leak", seed), 4)
        learn = make_learner(table, STREAM, strengths=(0.1,))
        held = score_out_of_fold(learn, np.arange(len(table)), labels, folds)
        # Averaged per fold: pooled scores of noise lie below one half, the folds' intercepts differ.
        return np.mean([auc(held[labels & (folds == k)], held[~labels & (folds == k)]) for k in range(4)])

    def test_grouped_splits_show_nothing(self):
        found = [self.scores(seed, True) for seed in range(40)]
        error = np.std(found, ddof=1) / np.sqrt(len(found))
        assert abs(np.mean(found) - 0.5) < 4 * error

    def test_patches_on_both_sides_inflate(self):
        """The same test of the same data, split by patch, must fail by far."""
        found = [self.scores(seed, False) for seed in range(8)]
        error = np.std(found, ddof=1) / np.sqrt(len(found))
        assert np.mean(found) - 0.5 > 8 * error


class TestSaving:
    def test_everything_comes_back(self, trained):
        again = ResidualDetector.from_pretrained(trained.folder)
        patches = make_patches(texture("forgery", 40, 96), 64, (1, 2)).pixels
        np.testing.assert_array_equal(again.logits(patches), trained.detector.logits(patches))
        np.testing.assert_array_equal(again.reference, trained.detector.reference)
        assert again.spec == trained.detector.spec and again.facts == json.loads(json.dumps(trained.detector.facts))
        assert again.logits(patches).dtype == np.float64

    def test_preprocessing_travels(self, tmp_path, trained):
        """Another size, square and plan: the loaded detector makes of the same picture the same patches and score."""
        spec = PatchSpec(48, (1, 2), "squash", "bilinear")
        preparation = Preparation(Equaliser(size=80, quality=(60, 70)), 99)
        detector = replace(trained.detector, extractor=ResidualExtractor(spec), preparation=preparation)
        again = load_detector(detector.save_pretrained(tmp_path / "m"))
        assert isinstance(again, ResidualDetector)
        one = replace(picture("proxy", 3), pixels=texture("proxy", 3, 90)[:, :84])
        np.testing.assert_array_equal(again.cut(one).pixels, detector.cut(one).pixels)
        assert again.cut(one).pixels.shape == (5, 48, 48, 3)
        assert again.score(one) == detector.score(one) != trained.detector.score(one)

    def test_no_pickles(self, trained):
        names = {path.name for path in trained.folder.iterdir()}
        tensors = {f"{name}.safetensors" for name in ("head", "human", "reference", "prints")}
        assert names == {"config.json", "works.jsonl", *tensors}

    def test_foreign_and_partial_models(self, tmp_path, trained):
        with pytest.raises(InputError, match="holds a flow; expected"):
            load_detector(write_pretrained(tmp_path / "flow", Pretrained("flow", {})))
        with pytest.raises(InputError, match="lacks a head"):
            load_detector(write_pretrained(tmp_path / "headless", Pretrained("residual detector", {})))
        with pytest.raises(InputError, match="residual statistics"):
            configuration = {"extractor": {"spec": {}, "features": 3}}
            tensors = {"head": trained.detector.head.tensors()}
            load_detector(write_pretrained(tmp_path / "old", Pretrained("residual detector", configuration, tensors)))

    def test_another_number_of_features_is_refused(self, trained):
        with pytest.raises(InputError, match="this head expects"):
            trained.detector.head.logits(np.zeros((2, 5)))


class TestTraining:
    def test_what_the_model_says_of_itself(self, trained, gallery):
        lines = [json.loads(line) for line in (trained.folder / "works.jsonl").read_text().splitlines()]
        assert len(lines) == len(gallery) == len(trained.scores)
        assert all(len(line["sha256"]) == 64 for line in lines)
        assert sum(line["label"] for line in lines) == 12
        facts = trained.detector.facts
        line = Calibration.from_json(facts["calibration"])
        assert (line.positives, line.negatives) == (12, 24) == (facts["works"]["hand"], facts["works"]["contrast"])
        assert not line.supported
        assert facts["options"]["hand"] == "master"

    def test_proxies_alone_stand_beside_everything(self, trained):
        told = [(one.detector, one.against) for one in trained.contrasts]
        assert told[:4] == [("residual", against) for against in ("all", "proxy", "forgery", "diffusion")]
        assert {name for name, _ in told} == {"residual", "metadata baseline", "subject baseline"}
        assert "hand v proxy alone" in trained.summary()

    def test_it_learns_the_brush(self, trained):
        """Textures differ by construction: diffusion twice as smooth."""
        diffusion = next(one for one in trained.contrasts if one.against == "diffusion")
        assert diffusion.auc.value == 1.0

    def test_human_against_machine(self, trained):
        detector = trained.detector
        assert detector.human is not None and "human_calibration" in detector.facts
        machine, human = (np.mean([np.mean(detector.scores(picture(role, 70 + k)).human) for k in range(4)])
                          for role in ("diffusion", "proxy"))  # fmt: skip
        assert machine < 0 < human

    def test_held_out_scores_never_saw_the_work(self, gallery, trained):
        """Turning the label of a work around moves the scores of the other folds, and never its own fold's."""
        folds = assign_folds(gallery.works, trained.labels, STREAM, 3, gallery.strata)
        table = collect_features(
            make_extractor("residual", size=64), (picture(r.role, int(r.path.split()[1][:-4])) for r in gallery),
            gallery.works,
        )  # fmt: skip
        learn = make_learner(table, STREAM, strengths=(0.01,))
        everything = np.arange(len(table))
        before = score_out_of_fold(learn, everything, trained.labels, folds)
        turned = trained.labels.copy()
        turned[folds == 1] = ~turned[folds == 1]
        after = score_out_of_fold(learn, everything, turned, folds)
        np.testing.assert_array_equal(before[folds == 1], after[folds == 1])
        assert (before[folds != 1] != after[folds != 1]).all()

    def test_the_order_of_the_rows_does_not_matter(self, gallery, trained):
        turned = train_detector(gallery.keep(range(len(gallery))[::-1]), OPTIONS, None)
        np.testing.assert_allclose(turned.scores[::-1], trained.scores, rtol=1e-3, atol=1e-3)

    def test_contrast_roles(self, gallery):
        rows, labels = select_rows(gallery, "The Master", ["forgeries", "diffusion"])
        assert rows.roles() == {"original": 12, "forgery": 6, "diffusion": 6} and labels.sum() == 12

    @pytest.mark.parametrize(
        ("options", "said"),
        [({"hand": "Nobody"}, "hand"), ({"contrast": ("raw-gan",)}, "no row of role raw-gan"),
         ({"contrast": ("forgry",)}, "forgery"), ({"folds": 9}, "at least 9"), ({"backbone": "resnet1"}, "backbone")],
    )  # fmt: skip
    def test_what_cannot_be_trained(self, gallery, options, said):
        chosen = replace(OPTIONS, **options)
        if options.get("folds"):
            chosen = replace(chosen, contrast=("forgery",))
        if options.get("backbone"):
            pytest.importorskip("timm", reason="timm is not installed")
        with pytest.raises(InputError, match=said):
            train_detector(gallery, chosen, None)

    @pytest.mark.parametrize("wrong", [{"folds": 1}, {"balance": "work"}, {"pretrain": True}])
    def test_wrong_options(self, wrong):
        with pytest.raises(InputError):
            replace(OPTIONS, **wrong)

    def test_all_unreadable_pictures_are_named_at_once(self, gallery, tmp_path):
        (tmp_path / "a.png").write_bytes(b"")
        (tmp_path / "b.jpg").write_bytes(b"%PDF-1.7")
        bad = (Row(str(tmp_path / "a.png"), "proxy"), Row(str(tmp_path / "b.jpg"), "proxy"))
        with pytest.raises(InputError) as said:
            train_detector(replace(gallery, rows=(*gallery.rows, *bad)), OPTIONS, tmp_path / "m")
        assert "a.png" in str(said.value) and "b.jpg" in str(said.value)
        assert not (tmp_path / "m").exists()

    def test_a_model_that_is_there_stays(self, gallery, trained):
        with pytest.raises(InputError, match="--force"):
            train_detector(gallery, OPTIONS, trained.folder)


class TestBaselines:
    def test_metadata_sees_the_file_and_not_the_picture(self, tmp_path):
        """The same pixels as PNG and as JPEG differ; two pictures of one process in one format hardly do."""
        pixels = texture("original", 1)
        png = write_picture(tmp_path / "x.png", pixels)
        extractor = MetadataExtractor()
        plain = extractor.extract(decode_picture(png.read_bytes(), png))[0]
        coded = extractor.extract(decode_picture(encode_jpeg(pixels, 85)))[0]
        other = extractor.extract(picture("original", 2))[0]
        assert plain.shape == coded.shape == (1, 14)
        assert plain[0, 6] == pytest.approx(np.log(png.stat().st_size / 64**2))
        assert (coded[0, 3], coded[0, 4]) == (0, pytest.approx(0.85))
        columns = [0, 1, 2, 3, 4, *range(8, 14)]
        np.testing.assert_array_equal(plain[0, columns], other[0, columns])

    def test_equalised_files_are_alike(self):
        """Whatever the files were: format, size and bytes no longer tell, the quality is drawn anew."""
        preparation = Preparation(Equaliser(size=48), 5)
        sources = [replace(picture("original", 1, 64), format="PNG"), replace(picture("proxy", 2, 90), quality=30)]
        seen = [MetadataExtractor().extract(preparation.apply(one))[0][0] for one in sources]
        columns = [0, 1, 2, 3, 5, 6, *range(8, 14)]
        np.testing.assert_array_equal(seen[0][columns], seen[1][columns])

    def test_planted_format_bias_is_caught(self, gallery, tmp_path):
        """One hand, two formats: the metadata baseline tells the files apart, and says so beside the detector."""
        rows = []
        for k in range(16):
            path = tmp_path / f"{k}.{'png' if k % 2 else 'jpg'}"
            write_picture(path, texture("original", k), quality=70)
            rows.append(Row(path.name, "original" if k % 2 else "proxy", "The Master" if k % 2 else "Somebody"))
        training = train_detector(Manifest(tuple(rows), tmp_path), OPTIONS, None)
        metadata = next(one for one in training.contrasts if one.detector == "metadata baseline")
        assert metadata.auc.value == 1.0

    def test_subject_sees_colours_and_no_brush(self):
        """A finer or coarser grain of the same picture is the same subject."""
        extractor = SubjectExtractor()
        flat = np.full((64, 64, 3), 128, np.uint8)
        grain = np.random.default_rng(1).integers(-6, 7, (64, 64, 1))
        rough = (flat + grain).astype(np.uint8)
        red = flat.copy()
        red[..., 0] = 200
        seen = [extractor.extract(replace(picture(), pixels=p))[0][0] for p in (flat, rough, red)]
        assert np.abs(seen[0] - seen[1])[:768].max() < 0.02
        assert np.abs(seen[0] - seen[2])[:768].max() > 0.2

    @pytest.mark.parametrize("backbone", ["metadata", "subject"])
    def test_they_are_detectors_too(self, gallery, tmp_path, backbone):
        training = train_detector(gallery, replace(OPTIONS, backbone=backbone), tmp_path / "m")
        again = load_detector(tmp_path / "m")
        one = picture("forgery", 90)
        assert again.score(one) == training.detector.score(one)
        assert again.kind == backbone

    def test_the_files_are_judged_beside_the_equalised_pictures(self, gallery):
        training = train_detector(gallery, replace(OPTIONS, equaliser=Equaliser(size=64)), None)
        assert "metadata of the files" in {one.detector for one in training.contrasts}


def test_works_of_several_pictures_are_averaged():
    averages, names = average_works([[1.0, 0.0], [3.0, 2.0], [5.0, 5.0]], ["a", "a", "b"])
    assert names == ("a", "b") and averages.tolist() == [[2.0, 1.0], [5.0, 5.0]]
