"""Self-attention compared with PyTorch's, and its maps, positions and patches against values computed by hand."""

import pytest
import torch
from torch import nn

from trainer.core.errors import MismatchError, UserError
from trainer.core.spec import DataSpec
from trainer.model.attention import PatchEmbedding, SelfAttention
from trainer.model.layers.positional_encoding import PositionalEncoding, make_sinusoidal_encoding
from trainer.model.layers.transformer import MultiHeadAttention, TransformerBlock

TEXTS = DataSpec("texts", "tokens", (9,), "classification", 1, ("bad", "good"), vocabulary_size=20)
SERIES = DataSpec("series", "sequence", (5, 3), "regression", output_size=2)
IMAGES = DataSpec("images", "image", (2, 6, 4), "classification", 3, ("a", "b", "c"))
SMALL = {"width": 8, "heads": 2, "feed_forward": 12}
MASK = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])


def random(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def batch(spec, count=4):
    if spec.kind == "tokens":
        return torch.randint(1, spec.vocabulary_size, (count, *spec.shape), generator=torch.Generator().manual_seed(1))
    return random(count, *spec.shape)


def copy_attention(reference):
    """Return our attention with the weights of an `nn.MultiheadAttention`."""
    ours = MultiHeadAttention(reference.embed_dim, reference.num_heads)
    ours.in_proj.weight, ours.in_proj.bias = reference.in_proj_weight, reference.in_proj_bias
    ours.out_proj.weight, ours.out_proj.bias = reference.out_proj.weight, reference.out_proj.bias
    return ours


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_equals_that_of_pytorch(heads, mask):
    torch.manual_seed(0)
    reference, states = nn.MultiheadAttention(8, heads, batch_first=True), random(2, 5, 8)
    nn.init.normal_(reference.in_proj_bias)
    ours = copy_attention(reference)
    padding = None if mask is None else ~mask
    expected, weights = reference(states, states, states, key_padding_mask=padding, average_attn_weights=False)
    assert torch.allclose(ours(states, mask), expected, rtol=0, atol=1e-6)
    assert torch.allclose(ours.attention_weights(states, mask), weights, rtol=0, atol=1e-6)


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_a_block_equals_that_of_pytorch_with_norms_first(activation, mask):
    torch.manual_seed(0)
    reference = nn.TransformerEncoderLayer(8, 2, 12, 0.0, activation, batch_first=True, norm_first=True)
    block = TransformerBlock(8, 2, 12, 0.0, activation)
    block.attention = copy_attention(reference.self_attn)
    block.dense[0], block.dense[2], block.attention_norm, block.dense_norm = (
        reference.linear1,
        reference.linear2,
        reference.norm1,
        reference.norm2,
    )
    for norm in (reference.norm1, reference.norm2):
        nn.init.normal_(norm.weight)
    states = random(2, 5, 8)
    expected = reference(states, src_key_padding_mask=None if mask is None else ~mask)
    selection = slice(None) if mask is None else mask  # outputs at padding are undefined
    assert torch.allclose(block(states, mask)[selection], expected[selection], rtol=0, atol=1e-6)


def test_the_attention_weights_of_one_head_are_computed_by_hand():
    attention = MultiHeadAttention(2, 1)
    attention.in_proj.weight.data = torch.cat([torch.eye(2), 2 * torch.eye(2), torch.eye(2)])
    attention.in_proj.bias.data.zero_()
    states = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    # scores of a query: 2 for its own key, 0 for the other, divided by the root of 2; e^1.41421 = 4.11325
    large, small = 4.11325 / 5.11325, 1 / 5.11325
    expected = torch.tensor([[[[large, small], [small, large]]]])
    assert torch.allclose(attention.attention_weights(states), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize(("spec", "positions"), [(TEXTS, 9), (SERIES, 5), (IMAGES, 6)])
def test_rows_of_attention_maps_sum_to_1(spec, positions, pooling):
    net = SelfAttention(spec, **SMALL, layers=3, patch_size=2, pooling=pooling)
    maps = net.attention_maps(batch(spec))
    positions += pooling == "first"
    assert maps.shape == (3, 4, 2, positions, positions)
    assert torch.allclose(maps.sum(4), torch.ones(3, 4, 2, positions))
    assert maps.std(4).min() > 0


@pytest.mark.parametrize(("pooling", "extra"), [("mean", 0), ("first", 1)])
def test_attention_maps_are_0_at_padding(pooling, extra):
    tokens = batch(TEXTS, 2)
    tokens[1, 4:] = 0
    maps = SelfAttention(TEXTS, **SMALL, pooling=pooling).attention_maps(tokens)
    assert (maps[:, 0] > 0).all()
    assert (maps[:, 1, :, :, : 4 + extra] > 0).all()
    assert (maps[:, 1, :, :, 4 + extra :] == 0).all()


def test_attention_maps_are_the_weights_of_the_forward_pass():
    net = SelfAttention(TEXTS, **SMALL, layers=2).eval()
    recorded = []
    for block in net.blocks:
        block.attention.register_forward_hook(
            lambda layer, inputs, _: recorded.append(layer.attention_weights(*inputs)), always_call=True
        )
    tokens = batch(TEXTS)
    net(tokens)
    assert torch.equal(net.attention_maps(tokens), torch.stack(recorded[:2]))


def test_only_without_positional_encoding_the_order_does_not_matter():
    tokens = batch(TEXTS)
    for positional_encoding, same in (("none", True), ("sinusoidal", False), ("learned", False)):
        net = SelfAttention(TEXTS, **SMALL, positional_encoding=positional_encoding)
        assert torch.allclose(net(tokens), net(tokens.flip(1)), atol=1e-6) == same


def test_the_sinusoidal_encoding_is_that_of_the_paper():
    # width 4: sin(p), cos(p), sin(p / 100), cos(p / 100)
    expected = torch.tensor(
        [[0, 1, 0, 1], [0.841471, 0.540302, 0.01, 0.99995], [0.909297, -0.416147, 0.019999, 0.9998]]
    )
    assert torch.allclose(make_sinusoidal_encoding(3, 4), expected, rtol=0, atol=1e-5)
    assert make_sinusoidal_encoding(3, 5).shape == (3, 5)


@pytest.mark.parametrize(("spec", "amplitude"), [(TEXTS, 0.05), (SERIES, 1.0), (IMAGES, 1.0)])
def test_the_encoding_has_the_scale_of_the_token_vectors(spec, amplitude):
    net = SelfAttention(spec, **SMALL, patch_size=2)
    encodings = net.positional_encoding(torch.zeros(1, 5, 8))
    assert torch.allclose(encodings[0], amplitude * make_sinusoidal_encoding(5, 8))
    if spec is TEXTS:
        assert net.embedding.weight[1:].std().item() == pytest.approx(0.05, rel=0.3)


def test_only_learned_encodings_are_part_of_a_checkpoint():
    names = {kind: list(PositionalEncoding(kind, 3, 4).state_dict()) for kind in ("sinusoidal", "learned", "none")}
    assert names == {"sinusoidal": [], "learned": ["encodings"], "none": []}


def test_patches_are_cut_row_by_row():
    patches = PatchEmbedding(2, 8, 2)
    nn.init.eye_(patches.weight.data.view(8, 8))  # each vector is the flattened patch: channel, row, column
    nn.init.zeros_(patches.bias)
    images = batch(IMAGES)
    vectors = patches(images)
    assert vectors.shape == (4, 6, 8)
    for index, (top, left) in enumerate([(0, 0), (0, 2), (2, 0), (2, 2), (4, 0), (4, 2)]):
        assert torch.equal(vectors[:, index], images[:, :, top : top + 2, left : left + 2].flatten(1))


@pytest.mark.parametrize(
    ("spec", "settings", "count"),
    [
        # a block: norms 2 * 16, attention 24 * 8 + 24 and 8 * 8 + 8, dense 8 * 12 + 12 and 12 * 8 + 8: 532
        (TEXTS, {"layers": 1}, 717),  # 20 * 8, 532, norm 16, 8 + 1
        (TEXTS, {"layers": 2}, 1249),
        (TEXTS, {"layers": 1, "positional_encoding": "learned"}, 789),  # 9 * 8 more
        (TEXTS, {"layers": 1, "pooling": "first"}, 725),  # 8 more
        (TEXTS, {"layers": 1, "head": [5]}, 759),  # 8 * 5 + 5 and 5 + 1 for 8 + 1
        (SERIES, {"layers": 1}, 598),  # 3 * 8 + 8, 532, 16, 8 * 2 + 2
        (IMAGES, {"layers": 1, "patch_size": 2}, 647),  # 2 * 4 * 8 + 8, 532, 16, 8 * 3 + 3
    ],
)
def test_sizes_depend_on_data_and_settings(spec, settings, count):
    net = SelfAttention(spec, **SMALL | settings)
    assert net(batch(spec)).shape == (4, spec.output_size)
    assert sum(p.numel() for p in net.parameters()) == count


@pytest.mark.parametrize("pooling", ["mean", "max", "first"])
@pytest.mark.parametrize("spec", [TEXTS, SERIES, IMAGES])
def test_gradients_reach_every_parameter(spec, pooling):
    net = SelfAttention(
        spec, **SMALL, patch_size=1, pooling=pooling, positional_encoding="learned", head=[5], activation="tanh"
    )
    net(batch(spec)).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_dropout_is_only_active_in_training():
    net, tokens = SelfAttention(TEXTS, **SMALL, layers=1, head=[5], dropout=0.5), batch(TEXTS)
    assert [module.p for module in net.modules() if isinstance(module, nn.Dropout)] == [0.5] * 4
    assert not torch.equal(net(tokens), net(tokens))
    net.eval()
    assert torch.equal(net(tokens), net(tokens))


def test_a_width_that_is_not_divisible_by_the_heads_is_rejected():
    with pytest.raises(UserError, match=r"^model\.net\.width: 10 .* heads=4; use 8 or 12$"):
        SelfAttention(TEXTS, width=10, heads=4)
    with pytest.raises(UserError, match=r"^model\.net\.width: 3 .* heads=4; use 4$"):
        SelfAttention(TEXTS, width=3, heads=4)


@pytest.mark.parametrize("name", ["width", "heads", "layers", "feed_forward"])
def test_sizes_below_1_are_rejected(name):
    with pytest.raises(UserError, match=r"^model\.net: width, heads, layers and feed_forward must be at least 1$"):
        SelfAttention(TEXTS, **SMALL | {name: 0})


@pytest.mark.parametrize("patch_size", [4, 3, 0, -1])
def test_patches_that_do_not_divide_the_image_are_rejected(patch_size):
    with pytest.raises(MismatchError, match=rf"^model\.net\.patch_size: {patch_size} .* of 6x4; .* 'images' use 1, 2$"):
        SelfAttention(IMAGES, patch_size=patch_size)


def test_vectors_are_rejected():
    with pytest.raises(MismatchError, match=r"^model 'attention' needs tokens \(time,\) or sequences .* or images"):
        SelfAttention(DataSpec("other", "vector", (3,), "classification", 3))
