"""Fake Slurm on this machine with sbatch, srun, squeue and scancel; as usual, without accounting."""

from pathlib import Path

COMMANDS = {
    "sbatch": """
        count=0
        for file in "$FAKE_SLURM"/batch.*; do
            if [ -e "$file" ] && kill -0 $(cat "$file") 2> /dev/null; then count=$((count + 1)); fi
        done
        if [ $count -ge ${FAKE_MAX_SUBMIT_JOBS:-1000} ]; then
            echo "sbatch: error: AssocMaxSubmitJobLimit" >&2
            exit 1
        fi
        number=$(($(ls "$FAKE_SLURM" | grep -c script) + 1))
        cp "$1" "$FAKE_SLURM/script.$number"
        export SLURM_JOB_ID=$number SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 SLURM_JOB_NUM_NODES=1
        setsid bash "$FAKE_SLURM/script.$number" > "$FAKE_SLURM/output.$number" 2>&1 &
        echo $! > "$FAKE_SLURM/batch.$number"
        echo "Submitted batch job $number"
    """,
    "srun": """
        while [[ "$1" == --* ]]; do
            case "$1" in --output|--error) shift 2;; *) shift;; esac
        done
        echo $$ > "$FAKE_SLURM/task.$SLURM_JOB_ID"
        exec "$@"
    """,
    "squeue": """
        for argument in "$@"; do
            case "$argument" in --jobs=*) numbers=${argument#--jobs=};; esac
        done
        for number in ${numbers//,/ }; do
            [ -e "$FAKE_SLURM/batch.$number" ] || continue  # unknown to Slurm
            if kill -0 $(cat "$FAKE_SLURM/batch.$number") 2> /dev/null; then
                state=RUNNING
                [ -e "$FAKE_SLURM/cancelled.$number" ] && state=COMPLETING
            else
                state=COMPLETED
                [ -e "$FAKE_SLURM/cancelled.$number" ] && state=CANCELLED
            fi
            echo "$number|$state|here|None"
        done
    """,
    "scancel": """
        case "$1" in
            --state=PENDING) ;;
            --signal=*) kill -"${1#--signal=}" $(cat "$FAKE_SLURM/task.$2");;
            *)
                touch "$FAKE_SLURM/cancelled.$1"
                kill -TERM $(cat "$FAKE_SLURM/task.$1")
                (sleep ${FAKE_KILL_WAIT:-2}; kill -KILL $(cat "$FAKE_SLURM/task.$1")) > /dev/null 2>&1 &
                ;;
        esac
    """,
}


def install(directory: Path) -> dict[str, str]:
    """Write the commands to a directory.

    Returns:
        dict: Environment variables that the commands need, without `PATH`.
    """
    (directory / "state").mkdir(parents=True)
    for name, text in COMMANDS.items():
        file = directory / name
        file.write_text(f"#!/bin/bash\n{text}")
        file.chmod(0o755)
    return {"FAKE_SLURM": str(directory / "state")}
