"""SCALE-Sim's time for fixed mappings of matmuls, run by its own interpreter: it needs numpy < 2.

SCALE-Sim (Samajdar et al., ISPASS 2020) searches nothing: it simulates one weight-stationary mapping, cycle by cycle.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from codesign.bench.peer_data import Definition, Machine
from codesign.errors import InputError

INSTALL = 'not given; python -m venv DIR, DIR/bin/pip install scalesim "numpy<2", then --scalesim-python DIR/bin/python'

SCRIPT = """
import contextlib, io, json, sys, time
from scalesim.scale_sim import scalesim
folder, names = sys.argv[1], sys.argv[2:]
found = []
for name in names:
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        run = scalesim(save_disk_space=True, verbose=False, config=f'{folder}/machine.cfg',
                       topology=f'{folder}/{name}.csv', layout=f'{folder}/layout.csv', input_type_gemm=True)
        run.run_scale(top_path=folder)
    found.append(time.perf_counter() - start)
print(json.dumps(found))
"""


def seconds(python: Path, definition: Definition, machine: str, matmuls: list[str], folder: Path) -> list[float]:
    """Return seconds a matmul.

    Args:
        python: interpreter of an environment with SCALE-Sim.
        definition: of machines and matmuls.
        machine: name of a weight-stationary one.
        matmuls: their names.
        folder: where the files that SCALE-Sim reads and writes are put.

    Raises:
        InputError: the interpreter does not start, or SCALE-Sim fails under it.
    """
    (folder / "machine.cfg").write_text(configuration(definition.hardware[machine]), encoding="utf-8")
    for name in matmuls:
        m, k, n = (definition.workloads[name][d] for d in "MKN")
        (folder / f"{name}.csv").write_text(f"Layer,M,N,K,\n{name},{m},{n},{k},\n", encoding="utf-8")
    (folder / "layout.csv").write_text("Layer,\n" + "".join(f"{name},\n" for name in matmuls), encoding="utf-8")
    command = [str(python), "-c", SCRIPT, str(folder.resolve()), *matmuls]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
        return [float(value) for value in json.loads(done.stdout.splitlines()[-1])]
    except (OSError, subprocess.CalledProcessError, IndexError, ValueError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1:]
        raise InputError(f"{python}: SCALE-Sim does not run: {''.join(said)}; expected {INSTALL}") from None


def configuration(machine: Machine) -> str:
    """Return the machine in SCALE-Sim's words; the scratchpad is halved between inputs and weights."""
    rows, columns = (side.size for side in machine.spatial)
    half = machine.size("SPAD") // 2048
    return f"""[general]
run_name = matmul
[architecture_presets]
ArrayHeight: {rows}
ArrayWidth: {columns}
IfmapSramSzkB: {half}
FilterSramSzkB: {half}
OfmapSramSzkB: {machine.size("ACC") // 1024}
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Dataflow: ws
Bandwidth: {machine.dram_bytes_per_cycle_shared_rw:g}
ReadRequestBuffer: 32
WriteRequestBuffer: 32
[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: {rows}
IfmapSRAMBankNum: 1
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: {columns}
FilterSRAMBankNum: 1
FilterSRAMBankPort: 2
[sparsity]
SparsitySupport: false
SparseRep: ellpack_block
OptimizedMapping: false
BlockSize: 8
RandomNumberGeneratorSeed: 40
[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""
