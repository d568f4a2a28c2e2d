"""Extracted sub-networks: the same outputs, the size that counts say, the work that the workload says, and files."""

from pathlib import Path

import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from codesign.design import Scenario
from codesign.elastic.architecture import Architecture, largest
from codesign.elastic.extract import StandAlone, extract, read_network, save_network
from codesign.elastic.setting import LayerSetting, Setting
from codesign.elastic.shapes import shape_of
from codesign.errors import InputError
from codesign.parameters import total_parameters
from codesign.workload import macs, workload
from tests.elastic.drawn import BATCH, CONTEXT, architectures, model_of, settings_of, tokens_of

SMALL = Architecture(vocabulary=11, context=CONTEXT, hidden=6, layers=2, heads=2, head_width=3, ffn=7)


def as_list(outputs: torch.Tensor | list[torch.Tensor]) -> list[torch.Tensor]:
    """Exits give a list, all else one tensor."""
    return outputs if isinstance(outputs, list) else [outputs]


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_extracted_network_gives_the_outputs_of_the_masked_one(data: st.DataObject) -> None:
    """In every group (spans, density, precision, sharing, exits), with padding and segments, outputs are the same."""
    a = data.draw(architectures())
    setting = data.draw(settings_of(a))
    model, tokens = model_of(a), tokens_of(a)
    real = torch.arange(CONTEXT) < torch.tensor([[CONTEXT], [3]]) if data.draw(st.booleans()) else None
    segments = tokens % 2 if a.token_types else None
    expected = as_list(model(tokens, setting, real=real, segments=segments))
    got = as_list(extract(model, setting)(tokens, real=real, segments=segments))
    assert len(got) == len(expected) == (len(setting.layers) if a.exits else 1)
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def uncounted(network: StandAlone) -> int:
    """Parameters that a `ModelShape` does not know: heads of tasks, poolers of other exits, merged branches."""
    a = network.architecture
    parts: list[nn.Module] = list(network.poolers[1:])
    parts += list(network.heads) if a.task != "language_model" else []
    parts += [layer["linear"] for layer in network.layers if "linear" in layer]
    # A removed FFN keeps its norm where a branch stands beside it.
    parts += [layer["ffn_norm"] for layer in network.layers if "ffn_norm" in layer and "up" not in layer]
    return sum(parameter.numel() for part in parts for parameter in part.parameters())


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_extracted_network_has_the_parameters_that_are_counted(data: st.DataObject) -> None:
    """Heads x width other than hidden, removed sublayers, shared layers, factorised embeddings: counts agree."""
    a = data.draw(architectures())
    setting = data.draw(settings_of(a))
    network = extract(model_of(a), setting)
    stored = sum(parameter.numel() for parameter in network.parameters())
    assert [stored - uncounted(network)] == total_parameters(shape_of(a, setting)).tolist()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_elastic_and_extracted_networks_do_the_work_that_the_workload_counts(data: st.DataObject) -> None:
    """Dense and with full spans, both need two FLOPs for each multiply-accumulate of the workload, and no more."""
    a = data.draw(architectures(task="language_model", ffn_reparametrised=False, classes=0, exits=False, pooler=False))
    setting = data.draw(settings_of(a, plain=True))
    model, tokens = model_of(a), tokens_of(a)
    counted = macs(workload(shape_of(a, setting), Scenario(sequence_length=CONTEXT, batch=BATCH)))
    network = extract(model, setting)
    for run in (lambda: model(tokens, setting), lambda: network(tokens)):
        # Torch's counter does not know the fused attention of CPUs.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            run()
        assert [counter.get_total_flops()] == (2 * counted).tolist()


def test_modules_are_plain_torch_of_the_exact_sizes() -> None:
    """A layer without FFN has no FFN module, and every matrix has the size of its setting."""
    network = extract(model_of(SMALL), Setting(4, (LayerSetting(1, 0), LayerSetting(0, 5))))
    sizes = {name: tuple(parameter.shape) for name, parameter in network.named_parameters()}
    assert sizes == {
        "tokens.weight": (11, 4), "positions.weight": (8, 4),
        "layers.0.attention_norm.weight": (4,), "layers.0.attention_norm.bias": (4,),
        "layers.0.qkv.weight": (9, 4), "layers.0.qkv.bias": (9,),
        "layers.0.output.weight": (4, 3), "layers.0.output.bias": (4,),
        "layers.1.ffn_norm.weight": (4,), "layers.1.ffn_norm.bias": (4,),
        "layers.1.up.weight": (5, 4), "layers.1.up.bias": (5,),
        "layers.1.down.weight": (4, 5), "layers.1.down.bias": (4,),
        "final_norm.weight": (4,), "final_norm.bias": (4,),
    }  # fmt: skip
    assert all(isinstance(part, nn.Linear | nn.LayerNorm) for layer in network.layers for part in layer.children())


def test_extracted_weights_are_copies() -> None:
    """Training the extracted network leaves the elastic one as it was."""
    model = model_of(SMALL)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    network = extract(model, largest(SMALL))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    network(tokens_of(SMALL)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_extraction_prunes_by_the_movement_scores() -> None:
    """What the scores keep is what the extracted network has, and it has no scores."""
    by_magnitude, model = model_of(SMALL), model_of(msgspec.structs.replace(SMALL, kept_by="movement"))
    model.load_state_dict(model.state_dict() | by_magnitude.state_dict())
    setting = Setting(6, (LayerSetting(2, 7, attention_density=0.5, ffn_density=0.25),))
    expected, other, network = model(tokens_of(SMALL), setting), extract(by_magnitude, setting), extract(model, setting)
    torch.testing.assert_close(network(tokens_of(SMALL)), expected, rtol=0, atol=1e-5)
    assert not torch.allclose(other(tokens_of(SMALL)), expected)
    assert network.state_dict().keys() == other.state_dict().keys()


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_file_gives_the_network_back(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """What is written as safetensors is read as the same network."""
    a = data.draw(architectures())
    network = extract(model_of(a), data.draw(settings_of(a)))
    path = tmp_path_factory.mktemp("network") / "network.safetensors"
    save_network(network, path)
    again = read_network(path)
    assert (again.architecture, again.setting) == (network.architecture, network.setting)
    for one, other in zip(as_list(again(tokens_of(a))), as_list(network(tokens_of(a))), strict=True):
        assert torch.equal(one, other)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("damage", ["missing", "truncated", "other"])
def test_a_file_that_is_no_network_is_refused(tmp_path: Path, damage: str) -> None:
    """A missing, truncated or foreign file is named in the error."""
    path = tmp_path / "network.safetensors"
    if damage != "missing":
        save_network(extract(model_of(SMALL), largest(SMALL)), path)
        path.write_bytes(path.read_bytes()[:-7] if damage == "truncated" else b"no safetensors at all")
    with pytest.raises(InputError, match=r"network.safetensors: expected a network written by save_network"):
        read_network(path)
