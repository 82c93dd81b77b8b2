"""Drive a search: ask for a batch, evaluate it, tell; every trial counts in the ledger; it goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.research.luck.ledger import Entry, Ledger
from engine.research.search.evaluate import Figures, pruned
from engine.research.search.request import Task
from engine.research.search.sampler import quiet_optuna, sampler_of
from engine.research.search.storage import Kept
from parquet_store import Store
from parquet_store.errors import Failed

__all__ = ["Driver"]

WHY, EARLY_SHARPE = "not evaluated", "early_sharpe"


class Driver:
    """One search, its trials in memory as Optuna's samplers want them and in the storage for good.

    Batch k is proposed from the trials before it alone, by a sampler seeded with (seed, k): where a search was
    stopped plays no part.
    """

    def __init__(self, store: Store, task: Task, figures: Figures, kept: Kept) -> None:
        self._store, self._task, self._figures, self._kept = store, task, figures, kept
        self._optuna = quiet_optuna()
        self._states = self._optuna.trial.TrialState
        self._distributions = task.axes.distributions()
        self.trials: list[Any] = kept.trials()
        self._remember()

    def _remember(self) -> None:
        """Evaluate again what the storage says was completed, and hold it to what the storage says."""
        if not self.trials:
            return
        figures, states = self._figures, self._states
        keys = self.keys(self.trials)
        done = [k for k, trial in enumerate(self.trials) if trial.state == states.COMPLETE]
        for key, trial in zip(keys, self.trials, strict=True):
            if 0 in trial.intermediate_values:
                early = trial.user_attrs.get(EARLY_SHARPE)
                figures.early[key] = (trial.intermediate_values[0], np.nan if early is None else early)
            elif EARLY_SHARPE in trial.user_attrs:
                early = trial.user_attrs[EARLY_SHARPE]
                figures.early[key] = (np.nan, np.nan if early is None else early)
        # points that were run over all bars but have no defined objective
        run = [k for k, t in enumerate(self.trials) if t.user_attrs.get(WHY) == "undefined"]
        values = figures.look([keys[k] for k in done + run])[: len(done)]
        told = np.array([self.trials[k].values for k in done]).reshape(len(done), -1)
        if not np.array_equal(values, told):
            raise Failed(
                f"storage {self._kept.address}: its figures are not those of the same points now; the search was run "
                "by other code or on another machine: search again under another --name"
            )

    def keys(self, trials: Sequence[Any]) -> list[bytes]:
        """Return the keys of trials."""
        return self._figures.keys(self._task.axes.columns([trial.params for trial in trials]))

    def run(self, total: int, progress: Callable[[int, int], None] | None = None) -> None:
        """Go on until there are ``total`` trials."""
        batch, study = self._task.search.batch, self._study()
        while len(self.trials) < total:
            number = len(self.trials) // batch
            begin = number * batch
            size = min(batch, total - begin)
            study.sampler = sampler_of(
                self._task.sampler, len(self._task.objectives), self._task.search.seed, number, batch
            )
            asked = [study.ask(self._distributions) for _ in range(size)]
            self._tell(study, asked, begin)
            made = study.get_trials(deepcopy=False)[begin:]
            fresh = made[len(self.trials) - begin :]
            self._kept.append(fresh, len(self.trials))
            self.trials += fresh
            self.record()
            if progress is not None:
                progress(len(self.trials), total)

    def _study(self) -> Any:
        """Return the study the samplers see: the whole batches that are stored."""
        whole = len(self.trials) // self._task.search.batch * self._task.search.batch
        directions = [one.direction for one in self._task.objectives]
        study = self._optuna.create_study(directions=directions)
        study.add_trials(self.trials[:whole])
        return study

    def _tell(self, study: Any, asked: list[Any], begin: int) -> None:
        """Evaluate the points asked for and tell the study what they came to."""
        figures, states, single = self._figures, self._states, len(self._task.objectives) == 1
        columns = self._task.axes.columns([trial.params for trial in asked])
        keys, kept = figures.keys(columns), self._task.axes.kept(columns)
        early: NDArray[np.float64] | None = None
        on = np.flatnonzero(kept)
        if self._task.pruning and on.size:
            early = np.full(len(asked), np.nan)
            early[on] = figures.look_early([keys[k] for k in on])
            # what earlier batches say, not what is stored of this one
            limit = [t.intermediate_values.get(0, np.nan) for t in self.trials[:begin] if t.state == states.COMPLETE]
            on = on[~pruned(early[on], np.array(limit, np.float64), self._task.objectives[0].large)]
        values = np.full((len(asked), len(self._task.objectives)), np.nan)
        values[on] = figures.look([keys[k] for k in on])
        full = set(on.tolist())
        for k, trial in enumerate(asked):
            if early is not None and kept[k]:
                if np.isfinite(early[k]):
                    trial.report(float(early[k]), 0)
                if k not in full:
                    sharpe = figures.early[keys[k]][1]
                    trial.set_user_attr(EARLY_SHARPE, float(sharpe) if np.isfinite(sharpe) else None)
            if np.isfinite(values[k]).all():
                study.tell(trial, values[k].tolist())
                continue
            if not kept[k]:
                trial.set_user_attr(WHY, "breaks a constraint")
            elif k in full:
                trial.set_user_attr(WHY, "undefined")
            study.tell(trial, state=states.PRUNED if single else states.FAIL)

    def record(self) -> None:
        """Put every point ever evaluated into the store's ledger of trials."""
        job = self._task.job
        bars = job.series[0]
        first, last, name = int(bars.time[0]), int(bars.time[-1]), job.sweep.strategy.name
        sharpe = self._figures.per_bar()
        if sharpe.size:
            Ledger(self._store.root).record(Entry.of(self._task.digest, bars.source, first, last, name, sharpe))
