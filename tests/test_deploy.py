"""The files of deploy/ are what the tools that read them expect, and their commands are ours."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from codesign.cli import app

DEPLOY = Path(__file__).parent.parent / "deploy"
SLURM = (DEPLOY / "slurm.sh").read_text()
VALUES = {"$RUN": "run", "$address": "10.0.0.1:6379"}
"""What the shell would put in place of its variables."""


def documents() -> dict[str, Any]:
    """The objects of the manifest by kind."""
    return {found["kind"]: found for found in yaml.safe_load_all((DEPLOY / "rayjob.yaml").read_text())}


def checked(script: str) -> None:
    """Let bash read a script without running it."""
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def parsed(words: list[str]) -> dict[str, Any]:
    """Let our command line read a command without running it, and return its arguments."""
    words = [VALUES.get(word, word) for word in words]
    assert words[0] == "codesign"
    command: Any = typer.main.get_command(app)
    verb = command.commands[words[1]]
    if not any("--ray" in parameter.opts for parameter in verb.params):
        pytest.skip(f"codesign {words[1]} has no --ray yet")
    found: dict[str, Any] = verb.make_context(words[1], words[2:]).params
    return found


def test_the_manifest_is_a_ray_job_that_begins_again() -> None:
    """Fields of ray.io/v1: a driver that dies is started again on a new cluster, and the cluster ends with the job."""
    job = documents()["RayJob"]
    assert job["apiVersion"] == "ray.io/v1"
    spec = job["spec"]
    assert spec.keys() == {
        *("entrypoint", "backoffLimit", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "rayClusterSpec"),
    }
    assert spec["backoffLimit"] > 0
    assert spec["shutdownAfterJobFinishes"] is True
    cluster = spec["rayClusterSpec"]
    assert cluster.keys() == {"rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs"}
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"].keys() == {"rayStartParams", "template"}
    assert all(isinstance(value, str) for value in cluster["headGroupSpec"]["rayStartParams"].values())
    (workers,) = cluster["workerGroupSpecs"]
    assert workers.keys() == {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}


def test_the_record_is_on_the_shared_volume_and_the_script_is_mounted() -> None:
    """The driver runs on the head: its run outlives the pod, and the entrypoint is the file of the config map."""
    job, script = documents()["RayJob"], documents()["ConfigMap"]
    pod = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert mounts.keys() == volumes.keys()
    assert "persistentVolumeClaim" in volumes["runs"]
    assert f"RUN={mounts['runs']}/" in script["data"]["search.sh"]
    assert volumes["search"]["configMap"]["name"] == script["metadata"]["name"]
    assert job["spec"]["entrypoint"] == f"bash {mounts['search']}/search.sh"


def test_workers_and_machines_have_the_same_image_and_fit() -> None:
    """Python and packages are the same everywhere; as many workers are asked for as there are cores for them."""
    cluster = documents()["RayJob"]["spec"]["rayClusterSpec"]
    (workers,) = cluster["workerGroupSpecs"]
    (container,) = workers["template"]["spec"]["containers"]
    assert container["image"] == cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["image"]
    cores = int(container["resources"]["requests"]["cpu"]) * workers["replicas"]
    assert documents()["ConfigMap"]["data"]["search.sh"].count(f"--workers {cores}\n") == 2


def test_the_commands_of_the_manifest_are_ours() -> None:
    """Both branches of the script are commands that our command line takes."""
    script = documents()["ConfigMap"]["data"]["search.sh"]
    checked(script)
    commands = [line.strip().removeprefix("exec ") for line in script.splitlines() if "exec codesign" in line]
    assert [command.split()[1] for command in commands] == ["resume", "search"]
    for command in commands:
        found = parsed(shlex.split(command))
        assert (found["ray"], found["workers"], str(found["run"])) == ("auto", 16, "run")


def test_the_slurm_script_is_a_script() -> None:
    """Bash reads it, and SLURM finds its options before the first command."""
    checked(SLURM)
    head = SLURM[: SLURM.index("set -euo pipefail")]
    options = [line.split()[1].partition("=")[0] for line in head.splitlines() if line.startswith("#SBATCH")]
    assert {"--nodes", "--ntasks-per-node", "--exclusive", "--requeue"} <= {*options}
    assert SLURM.count("#SBATCH") == len(options)


def test_the_commands_of_the_slurm_script_are_ours() -> None:
    """`ray symmetric-run` has its separator, and what follows it our command line takes."""
    launch = SLURM[SLURM.index("ray symmetric-run") :].replace("\\\n", " ")
    options, _, rest = launch.partition(" -- ")
    assert shlex.split(options)[:4] == ["ray", "symmetric-run", "--address", "$address"]
    assert rest.split()[0] == '"${search[@]}"'
    searches = [line.strip() for line in SLURM.splitlines() if line.strip().startswith("search=(")]
    for search in searches:
        words = shlex.split(search.removeprefix("search=(").removesuffix(")"))
        found = parsed([*words, "--ray", "$address", "--workers", "127"])
        assert (found["ray"], found["workers"]) == ("10.0.0.1:6379", 127)


def test_ray_takes_the_options_of_the_launch() -> None:
    """The command of Ray that the script uses is there, with these options."""
    from ray.scripts.symmetric_run import curate_and_validate_ray_start_args, symmetric_run

    assert {"--address", "--min-nodes"} <= {option for parameter in symmetric_run.params for option in parameter.opts}
    assert curate_and_validate_ray_start_args(["--address", "a:1", "--min-nodes", "2", "--num-cpus=4"]) == [
        "--num-cpus=4"
    ]
