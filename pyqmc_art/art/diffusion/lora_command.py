"""What ``train lora`` does, as a function that neither prints nor exits."""

from __future__ import annotations

from pathlib import Path

from pyqmc_art.art.commands import Outcome
from pyqmc_art.art.diffusion.lora import LoraTraining, train_lora
from pyqmc_art.art.diffusion.lora_price import price_lora
from pyqmc_art.art.diffusion.stable_folder import open_folder
from pyqmc_art.art.synthesis.command import Errand, Task, describe_task, run_errand
from pyqmc_art.art.synthesis.course import Terms
from pyqmc_art.art.synthesis.pool import Pool


def train_command(errand: Errand, training: LoraTraining, base: Path) -> Outcome:
    """Train a LoRA and say what came of it.

    Parameters
    ----------
    errand : what was asked for
    training : how
    base : local directory of a pipeline

    Raises
    ------
    InputError, Interrupted
        As :func:`pyqmc_art.art.synthesis.command.run_errand`, and for a pipeline that cannot be used.
    """
    found = open_folder(base)

    def prepare(pool: Pool) -> Task:
        task = describe_task(pool, training, training.size)
        introduction = f"training a LoRA of rank {training.rank} for {base}, a {found.kind}, {task}"

        def train(terms: Terms) -> Outcome:
            trained = train_lora(base, pool, training, errand.out, **terms)
            shown = training.steps * training.batch
            return Outcome(
                f"{shown / 1000:g} kimg shown, {shown / trained.seconds:.3g} images/s\nwrote {errand.out}; take it "
                f"with generate {base} --lora {errand.out}; sheets of fixed seeds in {errand.out}.snapshots"
            )

        return Task(introduction, lambda: price_lora(base, training, errand.threads), train)

    return run_errand(errand, training, training.size, prepare)
