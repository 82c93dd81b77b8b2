"""Optuna's samplers, made anew for each batch from (seed, batch), so that a search goes on as if never stopped."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from parquet_store.errors import Usage, unknown

__all__ = ["PRUNING", "SAMPLERS", "quiet_optuna", "sampler_of"]

SAMPLERS = ("tpe", "cmaes", "nsga2", "random")
PRUNING = ("tpe", "random")  # the others need the whole figure of every trial
STARTUP = 64  # random trials before TPE has something to go by
CANDIDATES = 24
COMPARED = 512  # trials that are not among the good ones, of which TPE learns what to avoid


def quiet_optuna() -> Any:
    """Return the module optuna, its log and its warnings of experimental parts silent.

    Raises
    ------
    Usage
        It is not installed.
    """
    import warnings

    try:
        import optuna
    except ImportError as error:
        raise Usage(
            "lockstep search needs Optuna, which comes with the extra: pip install 'lockstep-engine[research]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", module="optuna")
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def sampler_of(name: str, objectives: int, seed: int, number: int, batch: int) -> Any:
    """Return the sampler of one batch.

    Parameters
    ----------
    name : str
        One of ``SAMPLERS``.
    objectives : int
    seed, number, batch : int
        Of the search, of the batch (from 0), and how many points it has.

    Raises
    ------
    Usage
        Unknown, CMA-ES with several objectives, or CMA-ES is not installed.
    """
    if name not in SAMPLERS:
        raise unknown("sampler", name, SAMPLERS)
    optuna = quiet_optuna()
    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    if name == "random":
        return optuna.samplers.RandomSampler(seed=own)
    if name == "nsga2":
        return optuna.samplers.NSGAIISampler(seed=own, population_size=max(2, batch))
    if name == "tpe":
        return batched_tpe()(batch, seed=own, multivariate=True, n_startup_trials=min(STARTUP, batch))
    if objectives > 1:
        raise Usage("--sampler cmaes has one objective; with several use nsga2 or tpe")
    if find_spec("cmaes") is None:
        raise Usage("--sampler cmaes needs the package cmaes: pip install cmaes")
    # half a batch may come to nothing (a broken constraint, no trade) and the generation is full all the same
    return optuna.samplers.CmaEsSampler(seed=own, popsize=max(4, batch // 2), warn_independent_sampling=False)


def batched_tpe() -> Any:
    """Return the class of Optuna's TPE that proposes a whole batch from one look at the trials.

    Optuna's own looks at all trials for each point, which costs more than evaluating it; here the two densities are
    built once a batch, all candidates are drawn together, and each point is the best of 24 of them, as ever.
    """
    optuna = quiet_optuna()
    from optuna.samplers._tpe import sampler as tpe  # the pieces of the algorithm have no public names
    from optuna.trial import TrialState

    class BatchedTPE(optuna.samplers.TPESampler):  # type: ignore[misc, name-defined]
        def __init__(self, batch: int, **options: Any) -> None:
            super().__init__(n_ei_candidates=CANDIDATES, constant_liar=False, **options)
            self._batch, self._ahead = batch, dict[tuple[str, ...], list[dict[str, Any]]]()

        def _sample(self, study: Any, trial: Any, search_space: dict[str, Any]) -> dict[str, Any]:
            ahead = self._ahead.setdefault(tuple(search_space), [])
            if not ahead:
                ahead += self._proposals(study, search_space)
            return ahead.pop()

        def _proposals(self, study: Any, search_space: dict[str, Any]) -> list[dict[str, Any]]:
            finished = (TrialState.COMPLETE, TrialState.PRUNED)
            trials = study.get_trials(deepcopy=False, states=finished)
            single = len(study.directions) == 1
            gamma = tpe.default_gamma if single else tpe.default_gamma_multiobjective
            self._gamma = gamma  # Optuna fills it in where it first samples
            good, others = tpe._split_trials(study, trials, gamma(len(trials)))
            if len(others) > COMPARED:
                places = self._rng.rng.choice(len(others), COMPARED, replace=False)
                others = [others[place] for place in np.sort(places)]
            below = self._build_parzen_estimator(study, search_space, good, handle_below=True)
            above = self._build_parzen_estimator(study, search_space, others, handle_below=False)
            found = below.sample(self._rng.rng, CANDIDATES * self._batch)
            gain = np.empty(CANDIDATES * self._batch)
            for at in range(0, gain.size, 2048):  # candidates x trials in memory at a time
                some = {name: values[at : at + 2048] for name, values in found.items()}
                gain[at : at + 2048] = self._compute_acquisition_func(some, below, above)
            best = gain.reshape(self._batch, CANDIDATES).argmax(axis=1) + CANDIDATES * np.arange(self._batch)
            return [
                {name: space.to_external_repr(found[name][place].item()) for name, space in search_space.items()}
                for place in best[::-1].tolist()
            ]

    return BatchedTPE
