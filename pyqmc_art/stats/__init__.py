"""Errors of Monte Carlo averages: the Gamma method, resampling and reweighting."""

from pyqmc_art.stats.autocorrelation import (
    AutocorrelationFunction,
    autocorrelation_function,
    gamma_method,
    gamma_method_components,
    gamma_method_derived,
)
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.stats.resampling import block_bootstrap, block_length, jackknife
from pyqmc_art.stats.reweighting import Reweighting, Run

__all__ = [
    "AutocorrelationFunction",
    "Estimate",
    "Reweighting",
    "Run",
    "autocorrelation_function",
    "block_bootstrap",
    "block_length",
    "gamma_method",
    "gamma_method_components",
    "gamma_method_derived",
    "jackknife",
]
