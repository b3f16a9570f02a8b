"""The commands ``pyqmc-art train ...``: models from data, each with a module of its own."""

from __future__ import annotations

import cyclopts

from pyqmc_art.train.autoencoder import autoencoder
from pyqmc_art.train.block_flow import block_flow
from pyqmc_art.train.detector import detector
from pyqmc_art.train.diffusion import diffusion
from pyqmc_art.train.flow import flow
from pyqmc_art.train.gan import gan
from pyqmc_art.train.lora import lora
from pyqmc_art.train.vae import vae

app = cyclopts.App(name="train", help="Train models from data.")
for command in (detector, flow, block_flow, vae, gan, diffusion, autoencoder, lora):
    app.command(command)
