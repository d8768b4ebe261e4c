"""Fake Slurm on this machine with sbatch, srun, sacct and scancel, as submitit calls them."""

from pathlib import Path

COMMANDS = {
    "sbatch": """
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
    "sacct": """
        echo "JobID|State|NodeList"
        while [ $# -gt 0 ]; do
            if [ "$1" = -j ]; then
                kill -0 $(cat "$FAKE_SLURM/batch.$2") 2> /dev/null && state=RUNNING || state=COMPLETED
                echo "$2|$state|here"
            fi
            shift
        done
    """,
    "scancel": """
        case "$1" in
            --state=PENDING) ;;
            --signal=*) kill -"${1#--signal=}" $(cat "$FAKE_SLURM/task.$2");;
            *) kill -KILL $(cat "$FAKE_SLURM/task.$1");;
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
