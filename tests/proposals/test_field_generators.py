"""Small generators of fields: draws by number alone, translations that commute, and training that helps."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pyqmc_art.errors import InputError  # noqa: E402
from pyqmc_art.proposals.field_generators import Diffusion, train_adversarial, train_diffusion  # noqa: E402
from pyqmc_art.proposals.field_networks import FieldCritic, FieldMap, build  # noqa: E402
from pyqmc_art.rng import Stream  # noqa: E402

STREAM = Stream.from_seed(2)
TRAINERS = (train_diffusion, train_adversarial)


def smooth(count, seed):
    """Gaussian fields with a correlation between neighbours of about one half."""
    white = np.random.default_rng(seed).normal(size=(count, 6, 6))
    return white + 0.5 * sum(np.roll(white, step, axis) for axis in (1, 2) for step in (1, -1))


def correlation(fields):
    return float((fields * np.roll(fields, 1, 1)).mean() / (fields**2).mean())


@pytest.mark.parametrize("train", TRAINERS)
def test_a_draw_is_a_function_of_its_number(train):
    model = train(smooth(64, 1), 2, STREAM)
    some, more = model.draw(STREAM.fold("draws"), 5), model.draw(STREAM.fold("draws"), 9)
    assert more[:5] == pytest.approx(some, abs=1e-5)
    assert not np.allclose(more[5:], model.draw(STREAM.fold("others"), 9)[5:])


@pytest.mark.parametrize("train", TRAINERS)
def test_training_is_a_function_of_its_stream(train):
    one, two = (train(smooth(64, 1), 3, STREAM).draw(STREAM, 2) for _ in range(2))
    assert np.array_equal(one, two)


def test_the_diffusion_learns_the_correlation_of_neighbours():
    wanted = correlation(smooth(2000, 3))
    found = {steps: correlation(train_diffusion(smooth(512, 4), steps, STREAM).draw(STREAM, 400)) for steps in (2, 200)}
    assert abs(found[200] - wanted) < 0.1
    assert abs(found[2] - wanted) > 0.2


def test_the_exact_noise_makes_the_exact_gaussian():
    """Of white fields the best estimate of the noise is sqrt(1 - a) x_t; ancestral steps then stay white."""

    class Exact(torch.nn.Module):
        def forward(self, x):
            level = x[:, 1:]
            # The channel holds half the log-odds of a.
            return torch.sqrt(torch.sigmoid(-2 * level)) * x[:, :1]

    drawn = Diffusion(Exact(), 1.0, (6, 6)).draw(STREAM, 3000)
    assert drawn.var() == pytest.approx(1.0, abs=0.02)
    assert abs(correlation(drawn)) < 0.02
    assert (drawn**4).mean() == pytest.approx(3.0, abs=0.1)


def test_translations_commute_with_maps_and_do_not_change_critics():
    x = torch.from_numpy(smooth(3, 5).astype(np.float32))[:, None]
    moved = x.roll((2, 1), (2, 3))
    mapped, critic = build(FieldMap, STREAM, 1, 2), build(FieldCritic, STREAM)
    assert torch.allclose(mapped(x).roll((2, 1), (2, 3)), mapped(moved), atol=1e-5)
    assert torch.allclose(critic(x), critic(moved), atol=1e-5)


def test_fields_that_are_none():
    for wrong in (np.zeros((5, 6)), np.zeros((1, 6, 6)), np.zeros((5, 2, 6))):
        with pytest.raises(InputError, match="fields have shape"):
            train_diffusion(wrong, 2, STREAM)


def test_a_critic_learns_a_width_and_is_a_function_of_its_stream():
    from pyqmc_art.proposals.field_critics import learn_critic

    generator = np.random.default_rng(7)
    x = smooth(900, 8)[..., None]
    x[:450] *= 1.3
    truth, folds = np.arange(900) < 450, np.arange(900) % 6
    predict, loss = learn_critic(x, truth, folds, STREAM, 60)
    assert loss < 0.6
    other = smooth(200, 9)[..., None] * generator.choice([1.0, 1.3], 200)[:, None, None, None]
    assert predict(other).shape == (200,)
    again, same = learn_critic(x, truth, folds, STREAM, 60)
    assert same == loss
    assert np.array_equal(again(other), predict(other))


def test_a_critic_without_information_does_not_claim_any():
    from pyqmc_art.proposals.field_critics import learn_critic

    x = smooth(300, 3)[..., None]
    _, loss = learn_critic(x, np.arange(300) % 2 == 0, np.arange(300) // 50, STREAM, 50)
    assert loss > 0.66
    with pytest.raises(InputError, match="two axes"):
        learn_critic(x[..., 0], np.arange(300) % 2 == 0, np.arange(300) // 50, STREAM)
    with pytest.raises(InputError, match="one class"):
        learn_critic(x, np.arange(300) < 250, np.arange(300) // 50, STREAM)
