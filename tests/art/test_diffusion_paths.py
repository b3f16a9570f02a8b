"""Diffusion in closed form: moments on the way, Gaussians through every sampler, diffusers' schedules as an oracle."""

from __future__ import annotations

import math

import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

torch = pytest.importorskip("torch", reason="torch is not installed")
diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")

from pyqmc_art.art.diffusion.denoiser import DenoiserShape, build_denoiser  # noqa: E402
from pyqmc_art.art.diffusion.path import LEVELS, OBJECTIVES, NoisePath  # noqa: E402
from pyqmc_art.art.diffusion.samplers import SAMPLERS, choose_sampler, walk  # noqa: E402

MEAN, SPREAD = 0.3, 0.5


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def normal(n, seed):
    return torch.randn(n, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def analytic(path):
    """The best answer for pictures that are Gaussian numbers: E[target | x(t)]."""

    def predict(x, t):
        a, s = (c.double().view(-1, 1) for c in path.coefficients(t))
        total = (a * SPREAD) ** 2 + s**2
        picture = MEAN + a * SPREAD**2 / total * (x - a * MEAN)
        noise = s / total * (x - a * MEAN)
        return {"epsilon": noise, "v": a * noise - s * picture, "flow": noise - picture}[path.objective]

    return predict


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_forward_process_has_its_moments(objective):
    """x(t) of Gaussian pictures has mean a m and variance a² sigma² + s²; both within five standard errors."""
    path, n = NoisePath(objective), 20_000
    for t in (0.0, 0.1, 0.5, 0.9, 1.0):
        times = torch.full((n,), t)
        a, s = (float(c[0]) for c in path.coefficients(times))
        mixed = path.mix(MEAN + SPREAD * normal(n, 1), normal(n, 2), times)
        variance = (a * SPREAD) ** 2 + s**2
        assert abs(float(mixed.mean()) - a * MEAN) < 5 * math.sqrt(variance / n)
        assert abs(float(mixed.var()) / variance - 1) < 5 * math.sqrt(2 / n)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_path_leads_from_picture_to_noise_and_an_answer_names_both(objective):
    path = NoisePath(objective)
    a, s = path.coefficients(torch.tensor([0.0, 1.0]))
    assert (float(a[0]), float(s[0])) == (1, 0)
    assert float(a[1]) < 0.01
    assert float(s[1]) > 0.9999
    x, e, t = normal(50, 3), normal(50, 4), path.draw_times(50).clamp(0.02, 0.9)
    mixed = path.mix(x, e, t)
    picture, noise = path.separate(path.target(x, e, t), mixed, t)
    torch.testing.assert_close(picture, x, rtol=0, atol=2e-4)
    torch.testing.assert_close(noise, e, rtol=0, atol=2e-4)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_times_of_training_lie_on_the_path(objective):
    torch.manual_seed(0)
    times = NoisePath(objective).draw_times(4000)
    assert float(times.min()) >= 0
    assert float(times.max()) <= 1
    assert abs(float(times.mean()) - 0.5) < 5 * math.sqrt(1 / 12 / 4000)


@pytest.mark.parametrize(("objective", "schedule"), [("epsilon", "linear"), ("v", "squaredcos_cap_v2")])
def test_the_shares_are_those_of_diffusers(objective, schedule):
    oracle = diffusers.DDPMScheduler(num_train_timesteps=LEVELS, beta_schedule=schedule)
    a, s = NoisePath(objective).coefficients(torch.arange(1, LEVELS + 1) / LEVELS)
    torch.testing.assert_close(a.square(), oracle.alphas_cumprod, rtol=2e-4, atol=1e-8)
    torch.testing.assert_close(s.square(), 1 - oracle.alphas_cumprod, rtol=2e-4, atol=1e-7)


@pytest.mark.parametrize("objective", ["epsilon", "v"])
def test_ddim_is_that_of_diffusers(objective):
    """Another program's sampler with the same answers gives the same pictures."""
    path, steps = NoisePath(objective), 25
    oracle = diffusers.DDIMScheduler(
        num_train_timesteps=LEVELS, beta_schedule={"epsilon": "linear", "v": "squaredcos_cap_v2"}[objective],
        prediction_type={"epsilon": "epsilon", "v": "v_prediction"}[objective], clip_sample=True, clip_sample_range=1.0,
        timestep_spacing="trailing",
    )  # fmt: skip
    oracle.set_timesteps(steps)
    start = normal(200, 5)
    other = start
    for level in oracle.timesteps:
        time = torch.full((200,), (int(level) + 1) / LEVELS)
        other = oracle.step(analytic(path)(other, time), level, other, use_clipped_model_output=True).prev_sample
    ours = walk(path, analytic(path), start, steps, "ddim", lambda step: start, limit=1.0)
    torch.testing.assert_close(ours, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("objective", "sampler"), [(o, s) for o in OBJECTIVES for s in SAMPLERS[o]])
def test_with_the_best_answer_a_gaussian_comes_out(objective, sampler):
    """A thousand small steps bring standard normal noise to mean and spread of the pictures; a planted bug does not."""
    path, n, steps = NoisePath(objective), 20_000, 1000 if sampler == "ddpm" else 200

    def fresh(step):
        return normal(n, 100 + step)

    made = walk(path, analytic(path), normal(n, 6), steps, sampler, fresh)
    error = SPREAD / math.sqrt(n)
    assert abs(float(made.mean()) - MEAN) < 5 * error + 0.005
    assert abs(float(made.std()) / SPREAD - 1) < 5 / math.sqrt(2 * n) + 0.01

    def wrong(x, t):
        return 0.8 * analytic(path)(x, t)

    spoiled = walk(path, wrong, normal(n, 6), steps, sampler, fresh)
    assert abs(float(spoiled.mean()) - MEAN) > 0.03 or abs(float(spoiled.std()) / SPREAD - 1) > 0.05


def test_heun_needs_fewer_steps_than_euler():
    """Each noise has one end point, m + sigma z in closed form: errors of second order against first."""
    path, start = NoisePath("flow"), normal(1000, 7)
    exact = MEAN + SPREAD * start

    def error(sampler, steps):
        made = walk(path, analytic(path), start, steps, sampler, lambda step: start)
        return float((made - exact).abs().max())

    assert error("heun", 40) < error("euler", 80) / 5
    assert 1.7 < error("euler", 40) / error("euler", 80) < 2.3
    assert 3.2 < error("heun", 40) / error("heun", 80) < 4.8


def test_what_the_network_sees_is_cut_where_pictures_end():
    path, start = NoisePath("epsilon"), normal(100, 8)
    made = walk(path, lambda x, t: torch.zeros_like(x), start, 10, "ddim", lambda step: start, limit=1.0)
    assert float(made.abs().max()) <= 1
    free = walk(path, lambda x, t: torch.zeros_like(x), start, 10, "ddim", lambda step: start)
    assert float(free.abs().max()) > 1


def test_guidance_of_one_is_the_class_and_of_none_no_class():
    net = build_denoiser(DenoiserShape(16, 8), 16, 3, 2, Stream.from_seed(3)).eval()
    x, t, labels = torch.randn(3, 3, 16, 16), torch.tensor([0.2, 0.5, 0.9]), torch.tensor([0, 1, 1])
    with torch.no_grad():
        assert torch.equal(net.guide(x, t, labels, 1.0), net(x, t, labels))
        torch.testing.assert_close(net.guide(x, t, labels, 0.0), net(x, t), rtol=1e-4, atol=1e-5)
        one, three = net.guide(x, t, labels, 0.0), net.guide(x, t, labels, 3.0)
        torch.testing.assert_close(three, one + 3 * (net(x, t, labels) - one), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(net(x, t), net(x, t, labels), atol=1e-4)


@pytest.mark.parametrize("side", [8, 16, 32, 64])
def test_every_parameter_learns_at_every_size(side):
    net = build_denoiser(DenoiserShape(16, 8), side, 3, 2, Stream.from_seed(3))
    net(torch.randn(2, 3, side, side), torch.tensor([0.2, 0.7]), torch.tensor([0, 2])).square().mean().backward()
    still = [name for name, value in net.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    # What group normalisation subtracts again, and the bias of the keys, which no attention sees.
    assert all(name.endswith(("time_emb_proj.bias", "conv1.bias", "to_k.bias")) for name in still), still


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: NoisePath("score"), "unknown objective"),
        (lambda: NoisePath("flow").list_times(0), "steps is 0"),
        (lambda: NoisePath("v").list_times(1001), "from 1 to 1000"),
        (lambda: choose_sampler("flow", "ddim"), "takes heun or euler"),
        (lambda: DenoiserShape(size=48), "resolution is 48"),
        (lambda: DenoiserShape(width=12), "width is 12; expected a multiple of 8"),
        (lambda: DenoiserShape(depth=0), "depth is 0"),
    ],
)
def test_bad_input_is_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()
