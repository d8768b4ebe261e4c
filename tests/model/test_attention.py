"""Self-attention: against PyTorch's own with the same weights, its maps, positions and patches by hand."""

import pytest
import torch
from torch import nn

from trainer.core.errors import MismatchError, UserError
from trainer.core.spec import DataSpec
from trainer.model.attention import Patches, SelfAttention
from trainer.model.layers.positional_encoding import AddPositions, sinusoidal
from trainer.model.layers.transformer import Block, MultiHeadAttention

TEXTS = DataSpec("texts", "tokens", (9,), "classes", 1, ("bad", "good"), vocabulary_size=20)
SERIES = DataSpec("series", "sequence", (5, 3), "values", output_size=2)
IMAGES = DataSpec("images", "image", (2, 6, 4), "classes", 3, ("a", "b", "c"))
SMALL = {"width": 8, "heads": 2, "feed_forward": 12}
REAL = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])


def numbers(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def batch(spec, count=4):
    if spec.kind == "tokens":
        return torch.randint(1, spec.vocabulary_size, (count, *spec.shape), generator=torch.Generator().manual_seed(1))
    return numbers(count, *spec.shape)


def same_attention(own):
    """Ours with the weights of an `nn.MultiheadAttention`."""
    ours = MultiHeadAttention(own.embed_dim, own.num_heads)
    ours.project.weight, ours.project.bias = own.in_proj_weight, own.in_proj_bias
    ours.output.weight, ours.output.bias = own.out_proj.weight, own.out_proj.bias
    return ours


@pytest.mark.parametrize("real", [None, REAL])
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_it_is_pytorchs_own_attention_by_the_same_weights(heads, real):
    torch.manual_seed(0)
    own, states = nn.MultiheadAttention(8, heads, batch_first=True), numbers(2, 5, 8)
    nn.init.normal_(own.in_proj_bias)
    ours = same_attention(own)
    padding = None if real is None else ~real
    expected, weights = own(states, states, states, key_padding_mask=padding, average_attn_weights=False)
    assert torch.allclose(ours(states, real), expected, rtol=0, atol=1e-6)
    assert torch.allclose(ours.weights(states, real), weights, rtol=0, atol=1e-6)


@pytest.mark.parametrize("real", [None, REAL])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_a_block_is_pytorchs_own_with_norms_first(activation, real):
    torch.manual_seed(0)
    own = nn.TransformerEncoderLayer(8, 2, 12, 0.0, activation, batch_first=True, norm_first=True)
    block = Block(8, 2, 12, 0.0, activation)
    block.attention = same_attention(own.self_attn)
    block.dense[0], block.dense[2], block.before_attention, block.before_dense = (
        own.linear1,
        own.linear2,
        own.norm1,
        own.norm2,
    )
    for norm in (own.norm1, own.norm2):
        nn.init.normal_(norm.weight)
    states = numbers(2, 5, 8)
    expected = own(states, src_key_padding_mask=None if real is None else ~real)
    chosen = slice(None) if real is None else real  # what stands at padding means nothing
    assert torch.allclose(block(states, real)[chosen], expected[chosen], rtol=0, atol=1e-6)


def test_the_maps_of_one_head_are_the_formula_by_hand():
    attention = MultiHeadAttention(2, 1)
    attention.project.weight.data = torch.cat([torch.eye(2), 2 * torch.eye(2), torch.eye(2)])
    attention.project.bias.data.zero_()
    states = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    # a query meets its own key by 2 and the other by 0, over the root of 2: e^1.41421 = 4.11325 to 1
    own, other = 4.11325 / 5.11325, 1 / 5.11325
    expected = torch.tensor([[[[own, other], [other, own]]]])
    assert torch.allclose(attention.weights(states), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("pooled", ["mean", "first"])
@pytest.mark.parametrize(("spec", "places"), [(TEXTS, 9), (SERIES, 5), (IMAGES, 6)])
def test_maps_have_a_row_for_each_query_that_sums_to_1(spec, places, pooled):
    net = SelfAttention(spec, **SMALL, layers=3, patch_size=2, pooled=pooled)
    maps = net.attention_maps(batch(spec))
    places += pooled == "first"
    assert maps.shape == (3, 4, 2, places, places)
    assert torch.allclose(maps.sum(4), torch.ones(3, 4, 2, places))
    assert maps.std(4).min() > 0


@pytest.mark.parametrize(("pooled", "extra"), [("mean", 0), ("first", 1)])
def test_maps_are_0_at_padding(pooled, extra):
    tokens = batch(TEXTS, 2)
    tokens[1, 4:] = 0
    maps = SelfAttention(TEXTS, **SMALL, pooled=pooled).attention_maps(tokens)
    assert (maps[:, 0] > 0).all()
    assert (maps[:, 1, :, :, : 4 + extra] > 0).all()
    assert (maps[:, 1, :, :, 4 + extra :] == 0).all()


def test_maps_are_those_that_the_outputs_come_of():
    net = SelfAttention(TEXTS, **SMALL, layers=2).eval()
    seen = []
    for block in net.blocks:
        block.attention.register_forward_hook(
            lambda layer, inputs, _: seen.append(layer.weights(*inputs)), always_call=True
        )
    tokens = batch(TEXTS)
    net(tokens)
    assert torch.equal(net.attention_maps(tokens), torch.stack(seen[:2]))


def test_without_positions_a_text_is_a_bag_of_words_and_with_them_it_is_not():
    tokens = batch(TEXTS)
    for positions, same in (("none", True), ("sinusoidal", False), ("learned", False)):
        net = SelfAttention(TEXTS, **SMALL, positions=positions)
        assert torch.allclose(net(tokens), net(tokens.flip(1)), atol=1e-6) == same


def test_the_waves_are_those_of_the_paper():
    # width 4: sin(p), cos(p), sin(p / 100), cos(p / 100)
    expected = torch.tensor(
        [[0, 1, 0, 1], [0.841471, 0.540302, 0.01, 0.99995], [0.909297, -0.416147, 0.019999, 0.9998]]
    )
    assert torch.allclose(sinusoidal(3, 4), expected, rtol=0, atol=1e-5)
    assert sinusoidal(3, 5).shape == (3, 5)


@pytest.mark.parametrize(("spec", "strength"), [(TEXTS, 0.05), (SERIES, 1.0), (IMAGES, 1.0)])
def test_waves_are_as_small_as_the_vectors_of_tokens(spec, strength):
    net = SelfAttention(spec, **SMALL, patch_size=2)
    waves = net.positions(torch.zeros(1, 5, 8))
    assert torch.allclose(waves[0], strength * sinusoidal(5, 8))
    if spec is TEXTS:
        assert net.embedding.weight[1:].std().item() == pytest.approx(0.05, rel=0.3)


def test_waves_are_no_part_of_a_checkpoint_and_learned_positions_are():
    names = {how: list(AddPositions(how, 3, 4).state_dict()) for how in ("sinusoidal", "learned", "none")}
    assert names == {"sinusoidal": [], "learned": ["places"], "none": []}


def test_patches_are_cut_row_by_row():
    patches = Patches(2, 8, 2)
    nn.init.eye_(patches.weight.data.view(8, 8))  # a vector is then the patch itself: channel, row, column
    nn.init.zeros_(patches.bias)
    images = batch(IMAGES)
    vectors = patches(images)
    assert vectors.shape == (4, 6, 8)
    for place, (top, left) in enumerate([(0, 0), (0, 2), (2, 0), (2, 2), (4, 0), (4, 2)]):
        assert torch.equal(vectors[:, place], images[:, :, top : top + 2, left : left + 2].flatten(1))


@pytest.mark.parametrize(
    ("spec", "settings", "count"),
    [
        # a block: norms 2 * 16, attention 24 * 8 + 24 and 8 * 8 + 8, dense 8 * 12 + 12 and 12 * 8 + 8: 532
        (TEXTS, {"layers": 1}, 717),  # 20 * 8, 532, norm 16, 8 + 1
        (TEXTS, {"layers": 2}, 1249),
        (TEXTS, {"layers": 1, "positions": "learned"}, 789),  # 9 * 8 more
        (TEXTS, {"layers": 1, "pooled": "first"}, 725),  # 8 more
        (TEXTS, {"layers": 1, "head": [5]}, 759),  # 8 * 5 + 5 and 5 + 1 for 8 + 1
        (SERIES, {"layers": 1}, 598),  # 3 * 8 + 8, 532, 16, 8 * 2 + 2
        (IMAGES, {"layers": 1, "patch_size": 2}, 647),  # 2 * 4 * 8 + 8, 532, 16, 8 * 3 + 3
    ],
)
def test_its_sizes_follow_from_the_data_and_the_settings(spec, settings, count):
    net = SelfAttention(spec, **SMALL | settings)
    assert net(batch(spec)).shape == (4, spec.output_size)
    assert sum(p.numel() for p in net.parameters()) == count


@pytest.mark.parametrize("pooled", ["mean", "max", "first"])
@pytest.mark.parametrize("spec", [TEXTS, SERIES, IMAGES])
def test_gradients_reach_every_parameter(spec, pooled):
    net = SelfAttention(spec, **SMALL, patch_size=1, pooled=pooled, positions="learned", head=[5], activation="tanh")
    net(batch(spec)).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_dropout_leaves_units_out_in_training_alone():
    net, tokens = SelfAttention(TEXTS, **SMALL, layers=1, head=[5], dropout=0.5), batch(TEXTS)
    assert [module.p for module in net.modules() if isinstance(module, nn.Dropout)] == [0.5] * 4
    assert not torch.equal(net(tokens), net(tokens))
    net.eval()
    assert torch.equal(net(tokens), net(tokens))


def test_a_width_that_heads_cannot_share_is_refused():
    with pytest.raises(UserError, match=r"^model\.net\.width: 10 .* heads=4; use 8 or 12$"):
        SelfAttention(TEXTS, width=10, heads=4)
    with pytest.raises(UserError, match=r"^model\.net\.width: 3 .* heads=4; use 4$"):
        SelfAttention(TEXTS, width=3, heads=4)


@pytest.mark.parametrize("wrong", ["width", "heads", "layers", "feed_forward"])
def test_one_of_each_is_the_least(wrong):
    with pytest.raises(UserError, match=r"^model\.net: width, heads, layers and feed_forward must be at least 1$"):
        SelfAttention(TEXTS, **SMALL | {wrong: 0})


@pytest.mark.parametrize("patch_size", [4, 3, 0, -1])
def test_patches_that_do_not_fill_the_image_are_refused(patch_size):
    with pytest.raises(MismatchError, match=rf"^model\.net\.patch_size: {patch_size} .* of 6x4; .* 'images' use 1, 2$"):
        SelfAttention(IMAGES, patch_size=patch_size)


def test_vectors_are_refused():
    with pytest.raises(MismatchError, match=r"^model 'attention' needs tokens \(time,\) or sequences .* or images"):
        SelfAttention(DataSpec("other", "vector", (3,), "classes", 3))
