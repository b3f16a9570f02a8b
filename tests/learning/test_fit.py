"""The one training loop: resumed bit for bit, stopped politely, logged always."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest

from pyqmc_art.errors import InputError, Interrupted, NumericalError, StoreError
from pyqmc_art.rng import Stream

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")

from pyqmc_art.learning.checkpoints import list_checkpoints  # noqa: E402
from pyqmc_art.learning.cost import estimate_cost  # noqa: E402
from pyqmc_art.learning.fit import Score, fit  # noqa: E402
from pyqmc_art.learning.options import FitOptions  # noqa: E402
from pyqmc_art.learning.schedules import Shuffled  # noqa: E402
from pyqmc_art.monitor import Silent  # noqa: E402

STREAM = Stream.from_seed(3)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """These networks are so small that threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


GENERATOR = torch.Generator().manual_seed(1)
INPUTS = torch.randn(20, 6, generator=GENERATOR)
TARGETS = (INPUTS[:, :1] > 0).float()


def make_net():
    """Dropout and batch statistics: both must come back on resume."""
    with torch.random.fork_rng([]):
        torch.manual_seed(5)
        inner = torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Dropout(0.3)
        return torch.nn.Sequential(torch.nn.Linear(6, 8), *inner, torch.nn.Linear(8, 1))


def make_batches(stream=STREAM):
    order = Shuffled(20, 6, stream.fold("order"))
    return lambda number: (INPUTS[order(number)], TARGETS[order(number)])


def bce(net, batch):
    return torch.nn.functional.binary_cross_entropy_with_logits(net(batch[0]), batch[1])


def options(steps=12, **more):
    return FitOptions(**{"steps": steps, "learning_rate": 0.01, "device": "cpu", "log_every": 1, "warmup": 2} | more)


def train(net, chosen, out=None, **more):
    return fit(net, bce, make_batches(), chosen, stream=STREAM, out=out, **more)


def numbers(net):
    return {name: value.numpy().copy() for name, value in net.state_dict().items()}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


class TestResume:
    @pytest.mark.parametrize(
        "more", [{}, {"ema": 0.9}, {"accumulate": 2}, {"optimizer": "sgd"}, {"optimizer": "adamw", "weight_decay": 0.1}]
    )
    def test_two_halves_are_one_whole(self, tmp_path, more):
        whole = make_net()
        train(whole, options(**more))
        half = make_net()
        assert train(half, options(**more), tmp_path / "run", until=6).stopped == "until"
        # Whatever happens to the generator between the halves must not matter, nor what the new model starts from.
        torch.rand(7)
        fresh = torch.nn.Sequential(*(type(m)(*_shape(m)) for m in make_net()))
        assert train(fresh, options(**more), tmp_path / "run", resume=True).step == 12
        assert_same(numbers(whole), numbers(fresh))

    def test_best_weights_and_patience_come_back(self, tmp_path):
        scores = iter([0.1, 0.5, 0.4, 0.3, 0.2, 0.1])
        whole = make_net()
        chosen = options(evaluate_every=2, patience=3)
        result = train(whole, chosen, evaluate=lambda net: next(scores))
        assert (result.stopped, result.step, result.best_step, result.best) == ("patience", 10, 4, 0.5)

        scores = iter([0.1, 0.5, 0.4, 0.3, 0.2, 0.1])
        half = make_net()
        train(half, chosen, tmp_path / "run", until=6, evaluate=lambda net: next(scores))
        again = make_net()
        result = train(again, chosen, tmp_path / "run", resume=True, evaluate=lambda net: next(scores))
        assert (result.stopped, result.step, result.best_step) == ("patience", 10, 4)
        assert_same(numbers(whole), numbers(again))

    def test_a_finished_training_does_nothing_more(self, tmp_path):
        net = make_net()
        train(net, options(), tmp_path / "run")
        again = make_net()
        assert train(again, options(), tmp_path / "run", resume=True).step == 12
        assert_same(numbers(net), numbers(again))

    def test_log_has_each_step_once(self, tmp_path):
        train(make_net(), options(checkpoint_every=4), tmp_path, until=4)
        with (tmp_path / "log.jsonl").open("a") as file:
            file.write('{"step": 5, "loss": 1.0}\n{"step": 6, "lo')
        train(make_net(), options(), tmp_path, resume=True)
        steps = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
        assert steps == list(range(1, 13))

    def test_an_existing_training_is_not_overwritten(self, tmp_path):
        train(make_net(), options(), tmp_path, until=2)
        with pytest.raises(InputError, match="already holds checkpoint-00000002"):
            train(make_net(), options(), tmp_path)

    @pytest.mark.parametrize("more", [{"learning_rate": 0.02}, {"steps": 14}, {"ema": 0.5}])
    def test_other_options_are_refused(self, tmp_path, more):
        train(make_net(), options(), tmp_path, until=2)
        with pytest.raises(InputError, match=next(iter(more))):
            train(make_net(), options(**more), tmp_path, resume=True)

    def test_without_a_cosine_it_may_go_on_for_longer(self, tmp_path):
        train(make_net(), options(6, schedule="constant"), tmp_path)
        longer, whole = make_net(), make_net()
        train(longer, options(12, schedule="constant"), tmp_path, resume=True)
        train(whole, options(12, schedule="constant"))
        assert_same(numbers(longer), numbers(whole))

    def test_another_seed_is_refused(self, tmp_path):
        train(make_net(), options(), tmp_path, until=2)
        with pytest.raises(InputError, match="another seed"):
            fit(make_net(), bce, make_batches(), options(), stream=Stream.from_seed(9), out=tmp_path, resume=True)

    def test_a_damaged_checkpoint_is_named(self, tmp_path):
        train(make_net(), options(), tmp_path, until=2)
        tensors = list_checkpoints(tmp_path)[-1] / "state.safetensors"
        content = bytearray(tensors.read_bytes())
        content[-1] ^= 1
        tensors.write_bytes(content)
        with pytest.raises(StoreError, match="checkpoint-00000002 is damaged"):
            train(make_net(), options(), tmp_path, resume=True)

    def test_another_network_is_refused(self, tmp_path):
        train(make_net(), options(), tmp_path, until=2)
        with pytest.raises(StoreError, match="another network"):
            train(torch.nn.Linear(6, 1), options(), tmp_path, resume=True)


def _shape(module):
    if isinstance(module, torch.nn.Linear):
        return module.in_features, module.out_features
    if isinstance(module, torch.nn.BatchNorm1d):
        return (module.num_features,)
    return (module.p,) if isinstance(module, torch.nn.Dropout) else ()


class TestCheckpoints:
    def test_two_are_kept_and_no_pickle_is_written(self, tmp_path):
        train(make_net(), options(checkpoint_every=3), tmp_path)
        assert [place.name for place in list_checkpoints(tmp_path)] == ["checkpoint-00000009", "checkpoint-00000012"]
        files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
        assert files == {"log.jsonl", "state.json", "state.safetensors"}
        assert not list(tmp_path.glob(".*"))

    def test_a_half_written_one_is_not_taken(self, tmp_path):
        train(make_net(), options(), tmp_path, until=2)
        (tmp_path / ".checkpoint-00000005.partial-1").mkdir()
        (tmp_path / "checkpoint-00000007").mkdir()
        assert [place.name for place in list_checkpoints(tmp_path)] == ["checkpoint-00000002"]


class TestInterruption:
    def test_ctrl_c_saves_and_says_how_to_go_on(self, tmp_path):
        def batches(number):
            if number == 4:
                os.kill(os.getpid(), signal.SIGINT)
            return make_batches()(number)

        stopped = make_net()
        with pytest.raises(Interrupted, match=r"step 5 of 12; go on with --resume latest from .*checkpoint-00000005"):
            fit(stopped, bce, batches, options(), stream=STREAM, out=tmp_path)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        whole, again = make_net(), make_net()
        train(whole, options())
        train(again, options(), tmp_path, resume=True)
        assert_same(numbers(whole), numbers(again))

    def test_without_a_folder_it_says_that_nothing_was_kept(self):
        def batches(number):
            os.kill(os.getpid(), signal.SIGINT)
            return make_batches()(number)

        with pytest.raises(Interrupted, match="no checkpoint was kept"):
            fit(make_net(), bce, batches, options(), stream=STREAM)

    def test_nan_is_an_error_and_the_last_good_state_is_named(self, tmp_path):
        def broken(net, batch):
            value = bce(net, batch)
            return value * float("nan") if value.requires_grad and next(count) > 5 else value

        count = iter(range(100))
        with pytest.raises(NumericalError, match=r"became nan in step 7 .*checkpoint-00000006"):
            fit(make_net(), broken, make_batches(), options(checkpoint_every=3), stream=STREAM, out=tmp_path)


class TestLoop:
    def test_the_generator_of_the_caller_is_left_alone(self):
        torch.manual_seed(11)
        expected = torch.rand(3)
        torch.manual_seed(11)
        train(make_net(), options())
        assert torch.equal(torch.rand(3), expected)

    def test_it_is_the_same_for_a_seed_and_another_for_another(self):
        one, two, other = make_net(), make_net(), make_net()
        train(one, options())
        train(two, options())
        fit(other, bce, make_batches(), options(), stream=Stream.from_seed(4))
        assert_same(numbers(one), numbers(two))
        assert not torch.equal(one[0].weight, other[0].weight)

    def test_accumulated_batches_are_one_large_batch(self):
        """Without batch statistics and dropout, two halves of a batch give the gradient of the whole."""
        whole, parts = torch.nn.Linear(6, 1), torch.nn.Linear(6, 1)
        parts.load_state_dict(whole.state_dict())
        chosen = {"schedule": "constant", "warmup": 0, "optimizer": "sgd", "clip": None}
        fit(whole, bce, lambda k: (INPUTS[:8], TARGETS[:8]), options(3, **chosen), stream=STREAM)
        halves = [(INPUTS[:4], TARGETS[:4]), (INPUTS[4:8], TARGETS[4:8])]
        fit(parts, bce, lambda k: halves[k % 2], options(3, accumulate=2, **chosen), stream=STREAM)
        torch.testing.assert_close(whole.weight, parts.weight)

    def test_frozen_parameters_stay(self):
        net = make_net()
        net[0].requires_grad_(False)
        before = net[0].weight.clone()
        train(net, options())
        assert torch.equal(net[0].weight, before)

    def test_nothing_to_train(self):
        with pytest.raises(InputError, match="requires a gradient"):
            train(make_net().requires_grad_(False), options())

    def test_moving_average_is_the_result(self):
        """With decay 0 it is the last step; with another decay the weights differ."""
        plain, last, mean = make_net(), make_net(), make_net()
        train(plain, options())
        train(last, options(ema=0.0))
        train(mean, options(ema=0.9))
        assert_same(numbers(plain), numbers(last))
        assert not torch.equal(plain[0].weight, mean[0].weight)

    @pytest.mark.parametrize("wrong", [{"steps": 0}, {"steps": 1.5}, {"learning_rate": float("nan")}, {"clip": 0.0},
                                       {"ema": 1.0}, {"optimizer": "adma"}, {"precision": "half"}])  # fmt: skip
    def test_wrong_options(self, wrong):
        with pytest.raises(InputError):
            options(**wrong)


class TestCost:
    def test_counts(self):
        net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.Flatten(), torch.nn.Linear(144, 2))
        before = numbers(net)
        cost = estimate_cost(net, 100, 5, shape=(3, 8, 8))
        assert cost.parameters == cost.trained == 4 * 3 * 9 + 144 * 2 + 2
        # A multiplication and an addition for each weight and place.
        assert cost.gflop == pytest.approx(2 * (4 * 27 * 36 + 144 * 2) / 1e9)
        assert cost.images == 500 and cost.seconds > 0
        assert estimate_cost(net, 100, 5, shape=(3, 8, 8), training=False).trained == 0
        assert_same(before, numbers(net))
        assert all(p.grad is None for p in net.parameters())

    def test_normalisation_keeps_its_statistics(self):
        net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).train()
        before = numbers(net)
        estimate_cost(net, 1, shape=(3, 8, 8))
        assert_same(before, numbers(net))
        assert net.training


class TestScores:
    def test_facts_are_kept_shown_watched_and_resumed(self, tmp_path):
        """A watch sees every evaluation, those before a resume too; the bar shows the last one until the next."""
        told, seen = [], []

        class Listener(Silent):
            def advance(self, n, **facts):
                told.append(facts)

        def judge(net):
            size = float(sum(p.abs().sum() for p in net.parameters()))
            return Score(-size, {"size": size}, {"size(20)": size})

        def run(**more):
            def watch(history):
                seen.append([one["size"] for one in history])

            return train(
                make_net(), options(evaluate_every=4), tmp_path, evaluate=judge, watch=watch, monitor=Listener(), **more
            )

        run(until=8)
        result = run(resume=True)
        assert [len(sizes) for sizes in seen] == [1, 2, 3]
        assert [one["step"] for one in result.history] == [4, 8, 12]
        assert [one["score"] for one in result.history] == [-size for size in seen[-1]]
        assert "size(20)" not in told[2]
        assert told[5]["size(20)"] == seen[0][0]

    def test_a_watch_may_stop(self):
        def stop(history):
            raise NumericalError("enough")

        with pytest.raises(NumericalError, match="enough"):
            train(make_net(), options(evaluate_every=4), evaluate=lambda net: 1.0, watch=stop)
