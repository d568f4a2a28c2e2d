"""MACs against other people's counts and published figures, element-wise operations against counts by hand."""

import pytest
from hypothesis import given, settings

from codesign.design import Family, IntArray, ModelShape, Scenario
from codesign.workload import Label, Workload, macs, workload
from tests import published_networks, reference_transformer
from tests.published_networks import NETWORKS
from tests.strategies import shapes_in_scenarios, uniform_shape

PROJECTIONS = ("query", "key", "value", "output")


def macs_of(work: Workload, *operations: str) -> IntArray:
    """(n,) MACs of the named operations."""
    chosen = [label.operation in operations for label in work.matmuls.labels]
    products = work.matmuls
    return (products.m * products.k * products.n * products.count)[:, chosen].sum(axis=1)


def elements_of(work: Workload, design: int = 0) -> dict[tuple[str, int, str], int]:
    """Map each present vector operation of a design to its elements."""
    row = work.vectors.elements[design]
    return {tuple(label): int(size) for label, size in zip(work.vectors.labels, row, strict=True) if size}


def bert_base(layers: int = 12) -> ModelShape:
    """Return the shape whose figures the survey prints."""
    family = Family(stacks=("encoder",), vocabulary=30522, position_count=4096)
    return uniform_shape(family, layers=(layers,), hidden=768, heads=12, head_width=64, ffn=3072)


@pytest.mark.parametrize("name", NETWORKS)
def test_prefill_agrees_with_torch(name: str) -> None:
    """A published architecture does exactly the MACs that torch's counter sees, for all tokens at once."""
    shape, build = NETWORKS[name]
    target = 5 if len(shape.family.stacks) == 2 else 0
    scenario = Scenario(sequence_length=7, batch=3, target_length=target)
    assert [published_networks.counted(build(), scenario)] == macs(workload(shape, scenario)).tolist()


@pytest.mark.parametrize("name", [name for name in NETWORKS if "decoder" in NETWORKS[name].shape.family.stacks])
def test_decode_agrees_with_torch(name: str) -> None:
    """A published architecture with a filled cache does exactly the MACs that torch's counter sees for one token."""
    shape, build = NETWORKS[name]
    target = 5 if len(shape.family.stacks) == 2 else 0
    scenario = Scenario(sequence_length=7, batch=3, phase="decode", target_length=target)
    assert [published_networks.counted(build(), scenario)] == macs(workload(shape, scenario)).tolist()


@settings(max_examples=60, deadline=None)
@given(shapes_in_scenarios(max_designs=1))
def test_any_shape_agrees_with_torch(drawn: tuple[ModelShape, Scenario]) -> None:
    """Shapes that no library has (unequal layers, removed sublayers, value widths) agree with torch too."""
    shape, scenario = drawn
    assert [reference_transformer.counted(shape, scenario)] == macs(workload(shape, scenario)).tolist()


def flops_of(work: Workload, *operations: str, bias: bool) -> float:
    """GFLOPs of the named operations: K products and K - 1 additions an output, and one more where a bias is added."""
    chosen = [label.operation in operations for label in work.matmuls.labels]
    products = work.matmuls
    outputs = (products.m * products.n * products.count)[0, chosen].sum()
    return float(2 * macs_of(work, *operations)[0] - (0 if bias else outputs)) / 1e9


@pytest.mark.parametrize(
    ("length", "projections", "attention", "ffn"),
    [(128, "7.25", "0.60", "14.50"), (512, "28.99", "9.62", "57.98"), (4096, "231.93", "616.02", "463.86")],
)
def test_bert_base_of_the_survey(length: int, projections: str, attention: str, ffn: str) -> None:
    """BERT-Base does the GFLOPs of Kim 2023, Tab. 3, to all printed digits.

    They are 2 x MACs for the products that add a bias. Scores and context add none; the paper counts them as
    K products and K - 1 additions, 0.4 % below 2 x MACs (9.66 at 512 tokens).
    """
    work = workload(bert_base(), Scenario(sequence_length=length))
    counts = (
        flops_of(work, *PROJECTIONS, bias=True),
        flops_of(work, "scores", "context", bias=False),
        flops_of(work, "ffn_up", "ffn_down", bias=True),
    )
    assert [projections, attention, ffn] == [f"{count:.2f}" for count in counts]


def test_baseline_of_the_case_study() -> None:
    """The largest network of Kim 2023, Tab. 8 does 24.16 GMAC on 512 tokens without a head."""
    assert f"{macs(workload(bert_base(layers=6), Scenario(sequence_length=512)))[0] / 1e9:.2f}" == "24.16"


def test_decode_reads_the_cache() -> None:
    """In decode one token is projected, the whole context is seen, and each key/value head serves its group at once."""
    shape = NETWORKS["llama"].shape
    work = workload(shape, Scenario(sequence_length=100, batch=2, phase="decode")).matmuls
    sizes = {label: (work.m[0, i], work.k[0, i], work.n[0, i], work.count[0, i]) for i, label in enumerate(work.labels)}
    assert sizes[Label("decoder", 0, "key")] == (2, 24, 16, 1)
    assert sizes[Label("decoder", 0, "scores")] == (3, 8, 100, 4)
    assert sizes[Label("decoder", 0, "context")] == (3, 100, 8, 4)
    assert sizes[Label("", -1, "lm_head")] == (2, 24, 31, 1)


def test_decode_skips_the_encoder() -> None:
    """An encoder-decoder decodes without its encoder and without projecting the source again."""
    scenario = Scenario(sequence_length=9, target_length=4, phase="decode")
    work = workload(NETWORKS["t5"].shape, scenario)
    assert {"decoder", ""} == {label.stack for label in work.matmuls.labels}
    assert macs_of(work, "cross_key", "cross_value").tolist() == [0]
    assert macs_of(work, "cross_query")[0] > 0


def test_vector_operations_of_an_encoder() -> None:
    """BERT's element-wise operations, counted by hand: l = 7, b = 2, d = 24, h = 4, f = 40."""
    shape = NETWORKS["bert"].shape
    expected = {
        ("encoder", -1, "embedding_lookup"): 3 * 14 * 24,  # token, position, segment
        ("encoder", -1, "embedding_sum"): 2 * 14 * 24,
        ("encoder", -1, "embedding_norm"): 14 * 24,
        ("", -1, "pooler_activation"): 2 * 24,
    }
    for layer in range(3):
        sizes = {"softmax": 2 * 4 * 7 * 7, "activation": 14 * 40} | dict.fromkeys(
            ("attention_norm", "attention_residual", "ffn_norm", "ffn_residual"), 14 * 24
        )
        expected |= {("encoder", layer, operation): size for operation, size in sizes.items()}
    assert expected == elements_of(workload(shape, Scenario(sequence_length=7, batch=2)))


def test_vector_operations_of_two_stacks() -> None:
    """T5 v1.1's first decoder layer by hand: source 7, target 5, d = 24, h = 4, f = 40; bias in self-attention only."""
    work = elements_of(workload(NETWORKS["t5_v1_1"].shape, Scenario(sequence_length=7, target_length=5)))
    wide = dict.fromkeys(
        [f"{sublayer}_{part}" for sublayer in ("attention", "cross", "ffn") for part in ("norm", "residual")], 5 * 24
    )
    expected = wide | {"softmax": 4 * 25, "cross_softmax": 4 * 35, "position_bias": 4 * 25}
    expected |= {"activation": 5 * 40, "gate": 5 * 40}
    assert expected == {key[2]: size for key, size in work.items() if key[:2] == ("decoder", 0)}
    assert (work["encoder", -1, "final_norm"], work["decoder", -1, "final_norm"]) == (7 * 24, 5 * 24)


def test_rotary_turns_queries_and_keys() -> None:
    """Llama turns all query and key heads of the new tokens: (6 + 2) heads of 8, 7 tokens."""
    work = elements_of(workload(NETWORKS["llama"].shape, Scenario(sequence_length=7)))
    assert work["decoder", 2, "rotary"] == 7 * (6 + 2) * 8
    assert work["decoder", 2, "gate"] == 7 * 40
