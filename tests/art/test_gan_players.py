"""What GANs are made of: layers against their equations, losses on known densities, augmentation."""

from __future__ import annotations

import math

import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

torch = pytest.importorskip("torch", reason="torch is not installed")
for needed in ("accelerate", "safetensors"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")

from pyqmc_art.art.gan.augment import augment  # noqa: E402
from pyqmc_art.art.gan.catalogue import KINDS, GanShape, build_players  # noqa: E402
from pyqmc_art.art.gan.layers import ModulatedConv2d, downsample, upsample  # noqa: E402
from pyqmc_art.art.gan.objectives import LOSSES, discriminate, find_value, generate, penalise_slope  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

STREAM = Stream.from_seed(11)


def differing(one, other):
    return [name for name in one if not torch.equal(one[name], other[name])]


# -- what networks are made of


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [32, 64])
def test_players_fit_together_and_every_weight_can_learn(kind, size):
    generator, critic = build_players(GanShape(kind, size, 4, 8, 2), STREAM)
    images = generator(torch.randn(6, 8))
    assert images.shape == (6, 3, size, size)
    logits, taught = critic.examine(images)
    assert logits.shape == (6,)
    (logits.square().sum() + taught).backward()
    for player in (generator, critic):
        idle = [name for name, p in player.named_parameters() if p.grad is None]
        assert not idle, idle


def test_weights_are_a_function_of_the_stream():
    one, other = (build_players(GanShape("stylegan2", 32, 4, 8), stream)[0] for stream in (STREAM, STREAM))
    third = build_players(GanShape("stylegan2", 32, 4, 8), Stream.from_seed(12))[0]
    assert not differing(one.state_dict(), other.state_dict())
    assert differing(one.state_dict(), third.state_dict())


def test_resampling_is_the_filter_it_is_said_to_be():
    """Away from the border against a plain convolution with the binomial kernel."""
    x = torch.randn(2, 3, 10, 10, dtype=torch.float64)
    line = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64)
    kernel = torch.outer(line, line).repeat(3, 1, 1, 1) / 64
    down = torch.nn.functional.conv2d(x, kernel, stride=2, padding=1, groups=3)
    torch.testing.assert_close(downsample(x)[..., 1:-1, 1:-1], down[..., 1:-1, 1:-1])
    up = torch.nn.functional.conv_transpose2d(x, 4 * kernel, stride=2, padding=1, groups=3)
    torch.testing.assert_close(upsample(x)[..., 2:-2, 2:-2], up[..., 2:-2, 2:-2])
    flat = torch.full((1, 1, 8, 8), 0.7)
    torch.testing.assert_close(downsample(flat), flat[..., :4, :4])
    torch.testing.assert_close(upsample(flat)[..., :8, :8], flat)


def test_modulation_is_the_equation_with_one_kernel_for_each_image():
    layer = ModulatedConv2d(3, 4, 3, 5).double()
    x, w = torch.randn(2, 3, 6, 6, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    scales = layer.affine(w)
    for image, scale, found in zip(x, scales, layer(x, w), strict=True):
        kernel = layer.weight * layer.scale * scale[None, :, None, None]
        kernel = kernel / torch.sqrt(kernel.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8)
        torch.testing.assert_close(found, torch.nn.functional.conv2d(image[None], kernel, padding=1)[0])


def test_truncation_ends_at_the_average_style():
    generator, _ = build_players(GanShape("stylegan2", 32, 4, 8, 2), STREAM)
    generator(torch.randn(8, 8))
    generator.eval()
    noise = tuple(torch.zeros(2, 1, side, side) for side in generator.noise_sizes)
    images = generator(torch.randn(2, 8), noise, 0.0)
    assert torch.equal(images[0], images[1])
    apart = generator(torch.randn(2, 8), noise)
    assert not torch.equal(apart[0], apart[1])


def test_path_lengths_are_those_of_a_linear_map():
    """For images M w the length |M^T y| is known: the penalty of an identical map is that of its own lengths."""
    generator, _ = build_players(GanShape("stylegan2", 16, 4, 8, 1), STREAM)
    scale = 3.0
    generator.synthesise = lambda styles: scale * styles.mean(dim=1)[:, :, None, None].expand(-1, 8, 4, 4)
    torch.manual_seed(5)
    penalty, mean = generator.penalise(4, torch.zeros(()))
    torch.manual_seed(5)
    torch.randn(4, generator.latent)
    y = torch.randn(4, 8, 4, 4) / 4
    layers = len(generator.convolutions)
    lengths = scale * y.sum(dim=(2, 3)).norm(dim=1) / layers
    torch.testing.assert_close(mean, lengths.mean() * 0.01)
    torch.testing.assert_close(penalty, (lengths - mean).square().mean())


# -- what the players want


def test_the_best_discriminator_is_p_over_p_plus_q():
    """Two densities on four points: ascending the value finds D = p/(p+q), and there -ln 4 + 2 JS."""
    p, q = torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([0.4, 0.3, 0.2, 0.1])
    logits = torch.zeros(4, requires_grad=True)
    softplus = torch.nn.functional.softplus

    def value(x):
        return (p * -softplus(-x) - q * softplus(x)).sum()

    best = torch.log(p / q)
    for _ in range(400):
        (slope,) = torch.autograd.grad(value(logits), logits)
        logits = (logits + 2 * slope).detach().requires_grad_(True)
    torch.testing.assert_close(torch.sigmoid(logits), p / (p + q), rtol=0, atol=1e-4)
    middle = (p + q) / 2
    divergence = ((p * (p / middle).log()).sum() + (q * (q / middle).log()).sum()) / 2
    assert math.isclose(float(value(best)), -math.log(4) + 2 * float(divergence), abs_tol=1e-6)
    assert math.isclose(float(find_value(torch.zeros(5), torch.zeros(5))), -math.log(4), abs_tol=1e-6)


@pytest.mark.parametrize("kind", LOSSES)
def test_losses_pull_the_right_way(kind):
    real, made = torch.zeros(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    up, down = torch.autograd.grad(discriminate(kind, real, made), (real, made))
    assert (up < 0).all() and (down > 0).all()
    (pull,) = torch.autograd.grad(generate(kind, made), made)
    assert (pull < 0).all()


def test_the_minimax_loss_is_flat_where_the_discriminator_is_sure_and_the_other_is_not():
    sure = torch.full((1,), -12.0, requires_grad=True)
    flat, steep = (float(torch.autograd.grad(generate(kind, sure), sure)[0]) for kind in ("minimax", "non-saturating"))
    assert abs(flat) < 1e-4
    assert abs(steep) > 0.99


def test_the_slope_penalty_of_a_plane_is_half_its_squared_slope():
    slope = torch.randn(3, 4, 4)

    class Plane(torch.nn.Module):
        def forward(self, images):
            return (images * slope).sum(dim=(1, 2, 3))

    torch.testing.assert_close(penalise_slope(Plane(), torch.randn(5, 3, 4, 4)), slope.square().sum() / 2)


def test_augmentation_leaves_shape_and_learns_through():
    images = torch.rand(6, 3, 16, 16).mul(2).sub(1).requires_grad_(True)
    assert augment(images, "none") is images
    assert augment(images, "ada", 0.0) is images
    for kind in ("diff", "ada"):
        torch.manual_seed(1)
        changed = augment(images, kind)
        assert changed.shape == images.shape
        assert not torch.equal(changed, images)
        (slope,) = torch.autograd.grad(changed.square().sum(), images)
        assert (slope.flatten(1).abs().sum(dim=1) > 0).all()
    with pytest.raises(InputError, match="unknown augmentation"):
        augment(images, "adaa")


def test_ada_changes_the_share_of_images_that_its_probability_says():
    torch.manual_seed(2)
    images = torch.rand(4000, 3, 8, 8)
    changed = augment(images, "ada", 0.1)
    share = float((changed - images).abs().flatten(1).amax(dim=1).gt(1e-3).float().mean())
    # Five geometric and three colour changes; a mirror and a quarter turn are the identity in 1/2 and 1/4 of cases.
    expected = 1 - 0.9**6 * (1 - 0.1 * 0.75) * (1 - 0.1 * 0.5)
    assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / 4000)
