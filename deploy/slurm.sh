#!/bin/bash
# A search on SLURM: sbatch deploy/slurm.sh
# Change: nodes, cores, time, how codesign gets onto the path, and the search. docs/cluster.md explains each part.
#SBATCH --job-name=codesign
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

# On a file system that all nodes see. A job that is requeued has the same number, so it finds its run again.
RUN=${RUN:-$SLURM_SUBMIT_DIR/runs/$SLURM_JOB_ID}

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{ print $1 }'):6379

# All processes of this job, and nobody else's, may talk to its cluster.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=${RAY_AUTH_TOKEN:-$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')}
export RAY_AUTH_TOKEN

if [ -e "$RUN/run.json" ]; then
  search=(codesign resume "$RUN")
else
  search=(codesign search survey_lm gemmini_40nm --budget 100000 --batch 1024 --run "$RUN")
fi

# Starts Ray on every node, the search on the first one, and stops Ray on all of them when it has ended.
srun --nodes="$SLURM_NNODES" --ntasks="$SLURM_NNODES" --ntasks-per-node=1 \
  ray symmetric-run --address "$address" --min-nodes "$SLURM_NNODES" --num-cpus="$SLURM_CPUS_PER_TASK" -- \
  "${search[@]}" --ray "$address" --workers "$((SLURM_NNODES * SLURM_CPUS_PER_TASK - 1))"
