"""Sizes of both networks of a GAN, the value range of its images, its samples and the running average."""

import pytest
import torch
from torch import nn

from trainer.core.errors import MismatchError, UserError
from trainer.core.spec import DataSpec
from trainer.model.gan import GAN

CONVOLUTIONAL = {"channels": (4, 6), "generator": (), "discriminator": (8,), "latent": 5}


def images(*shape, value_range=(0.0, 1.0)):
    return DataSpec("pictures", "image", shape or (1, 8, 8), "classification", 10, value_range=value_range)


def count_parameters(net):
    return sum(p.numel() for p in net.parameters())


def random(seed=0):
    return torch.Generator().manual_seed(seed)


def last_linear(net):
    return [layer for layer in net.modules() if isinstance(layer, nn.Linear)][-1]


@pytest.mark.parametrize(
    ("settings", "generator", "discriminator"),
    [
        # 100 * 256 + 256 * 512 + 512 * 1024 + 1024 * 784 and 784 * 512 + 512 * 256 + 256, and biases
        ({}, 1_486_352, 533_505),
        ({"generator": (128,), "discriminator": (128,)}, 114_064, 100_609),
        ({"generator": (), "discriminator": (), "latent": 2}, 3 * 784, 785),
        # batch norm has two parameters instead of each bias
        ({"generator": (128,), "batch_norm": True}, 114_064 + 128, 533_505),
        # 5 * 6 * 7 * 7 + 294, 6 * 4 * 16 + 4, 4 * 16 + 1; 4 * 16 + 4, 4 * 6 * 16 + 6, 6 * 7 * 7 * 8 + 8, 8 + 1
        (CONVOLUTIONAL, 1764 + 388 + 65, 68 + 390 + 2360 + 9),
    ],
)
def test_sizes_depend_on_images_and_settings(settings, generator, discriminator):
    net = GAN(images(1, 28, 28), **settings)
    assert (count_parameters(net.generator), count_parameters(net.discriminator)) == (generator, discriminator)


@pytest.mark.parametrize("settings", [{"generator": (6,), "discriminator": (6,)}, CONVOLUTIONAL])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 4)])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_it_generates_images_and_returns_a_logit_for_each(settings, shape, batch_norm):
    net = GAN(images(*shape), batch_norm=batch_norm, dropout=0.1, **settings)
    samples = net.sample(3, random())
    assert samples.shape == (3, *shape)
    assert net(samples).shape == (3, 1)


@pytest.mark.parametrize(("sum_", "pixel"), [(0.0, 1.5), (100.0, 5.0), (-100.0, -2.0), (0.549306, 3.25)])
def test_pixels_are_within_the_range_of_the_data(sum_, pixel):
    net = GAN(images(value_range=(-2.0, 5.0)), generator=())
    nn.init.zeros_(last_linear(net.generator).weight)
    nn.init.constant_(last_linear(net.generator).bias, sum_)
    # tanh(0.549306) = 0.5, three quarters of the way
    assert net.sample(2, random()).flatten().tolist() == pytest.approx([pixel] * 128, abs=1e-4)


def test_without_a_range_pixels_are_unbounded():
    net = GAN(images(value_range=None), generator=())
    nn.init.zeros_(last_linear(net.generator).weight)
    nn.init.constant_(last_linear(net.generator).bias, 7.0)
    assert (net.sample(2, random()) == 7).all()


def test_the_discriminator_scales_images_to_minus_one_to_one():
    net = GAN(images(1, 1, 3, value_range=(-2.0, 4.0)), discriminator=())
    with torch.no_grad():
        last_linear(net.discriminator).weight.copy_(torch.tensor([[1.0, 10.0, 100.0]]))
        last_linear(net.discriminator).bias.zero_()
    assert net(torch.tensor([[[[-2.0, 1.0, 4.0]]]])).item() == pytest.approx(-1 + 0 + 100, abs=1e-4)


def test_the_negative_slope_is_set():
    net = GAN(images(), slope=0.3)
    assert {layer.negative_slope for layer in net.modules() if isinstance(layer, nn.LeakyReLU)} == {0.3}


@pytest.mark.parametrize("settings", [{}, {"batch_norm": True}, {"batch_norm": True, "ema_decay": 0.9}])
def test_samples_only_depend_on_the_random_generator(settings):
    net = GAN(images(), **settings).train()
    initial = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    first, second, other = (net.sample(600, random(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(initial[name], value) for name, value in net.state_dict().items())
    assert net.generator.training
    assert not first.requires_grad


def test_samples_do_not_depend_on_the_batch_size():
    net = GAN(images(), generator=(4,))
    noise = torch.randn(1200, 100, generator=random())
    assert torch.allclose(net.sample(1200, random())[1100], net.generator(noise[1100:1101])[0], atol=1e-6)


def test_the_average_follows_the_generator():
    net = GAN(images(), generator=(), ema_decay=0.15)
    weight = {name: last_linear(getattr(net, name)).weight.data for name in ("generator", "generator_average")}
    weight["generator"].fill_(1.0)
    weight["generator_average"].fill_(0.0)
    averages = []
    for value in (1.0, 2.0, 2.0):
        weight["generator"].fill_(value)
        net.update_average()
        averages.append(weight["generator_average"][0, 0].item())
    # decay: 1/10, then 0.15 instead of 2/11, then 0.15
    assert averages == pytest.approx([0.9, 0.15 * 0.9 + 0.85 * 2, 0.15 * 1.835 + 0.85 * 2])


def test_samples_come_from_the_average_if_there_is_one():
    net = GAN(images(), generator=(), ema_decay=0.9)
    nn.init.zeros_(last_linear(net.generator_average).weight)
    nn.init.zeros_(last_linear(net.generator_average).bias)
    assert (net.sample(2, random()) == 0.5).all()
    assert not any(p.requires_grad for p in net.generator_average.parameters())
    assert not net.train().generator_average.training


@pytest.mark.parametrize(
    ("shape", "channels", "message"),
    [
        ((1, 28, 28), (2, 3, 4), "28x28 images cannot be halved 3 times; use at most 2 for data 'pictures'"),
        ((1, 7, 28), (2,), "7x28 images cannot be halved 1 times; use at most 0 "),
    ],
)
def test_images_that_cannot_be_halved_so_often_are_rejected(shape, channels, message):
    with pytest.raises(MismatchError, match=rf"^model\.net\.channels: {message}"):
        GAN(images(*shape), channels=channels)


def make_conditional(*names):
    spec = DataSpec(
        "pictures", "image", (1, 8, 8), "classification", len(names), class_names=names, value_range=(0.0, 1.0)
    )
    return GAN(spec, generator=(), discriminator=(), latent=2, conditional=True)


def test_a_conditional_generator_uses_the_class_and_samples_cycle_through_all_classes():
    net = make_conditional("a", "b", "c")
    with torch.no_grad():
        last_linear(net.generator).weight.zero_()[:, 2:] = torch.tensor([-100.0, 0.0, 100.0])
        last_linear(net.generator).bias.zero_()
    assert net.sample(5, random()).flatten(1).mean(1).tolist() == [0, 0.5, 1, 0, 0.5]
    assert net.generate(torch.randn(2, 2), torch.tensor([2, 1])).flatten(1).mean(1).tolist() == [1, 0.5]


def test_a_conditional_discriminator_returns_the_logit_of_the_class():
    net = make_conditional("a", "b", "c")
    nn.init.zeros_(last_linear(net.discriminator).weight)
    last_linear(net.discriminator).bias.data = torch.tensor([5.0, 6.0, 7.0])
    images = torch.rand(3, 1, 8, 8)
    assert net.discriminate(images, torch.tensor([2, 0, 2])).tolist() == [[7], [5], [7]]
    assert net(images).shape == (3, 3)


def test_a_conditional_network_needs_classes():
    spec = DataSpec("depths", "image", (1, 8, 8), "regression", 1)
    with pytest.raises(UserError, match=r"^model\.net\.conditional: data 'depths' has no classes"):
        GAN(spec, conditional=True)


def test_vectors_are_rejected():
    with pytest.raises(MismatchError, match=r"^model 'gan' needs images"):
        GAN(DataSpec("line", "vector", (1,), "regression", 1))


def test_the_temperature_scales_the_noise_of_samples():
    net = GAN(images(), generator=(), latent=3, temperature=0.5)
    noise = torch.randn(4, 3, generator=random())
    assert torch.allclose(net.sample(4, random()), net.generator(noise / 2), atol=1e-6)
    assert torch.equal(net.generate(noise, torch.zeros(4)), net.generator(noise))


def test_a_temperature_of_0_is_rejected():
    with pytest.raises(UserError, match=r"^model\.net\.temperature: 0 is not greater than 0$"):
        GAN(images(), temperature=0)


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_outside_its_range_is_rejected(decay):
    with pytest.raises(UserError, match=r"^model\.net\.ema_decay"):
        GAN(images(), ema_decay=decay)
