"""Where the trials of a search are kept: an Optuna storage, written a batch at a time in one transaction."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.research.search.sampler import quiet_optuna
from parquet_store.errors import Failed, Usage

__all__ = ["Kept", "shown_address", "sqlite_address"]

PLAN = "lockstep.plan"


class Kept:
    """The study of a search in its storage.

    Only finished trials are written there, so a killed search leaves none that runs for ever.
    """

    def __init__(self, address: str, name: str, plan: str, directions: list[str]) -> None:
        optuna = quiet_optuna()
        self.address = shown_address(address)
        try:
            self._storage = storage_of(address)
            self._study = optuna.create_study(
                storage=self._storage, study_name=name, directions=directions, load_if_exists=True
            )
        except Exception as error:  # each database has its own
            raise Failed(f"storage {self.address}: cannot be opened ({first_line(error)}); check the URL") from error
        before = self._study.user_attrs.get(PLAN)
        if before is None and self._study.get_trials(deepcopy=False):
            raise Usage(f"storage {self.address}: study {name} is not a search of Lockstep; give another --name")
        if before is None:
            self._study.set_user_attr(PLAN, plan)
        elif before != plan:
            raise Usage(
                f"storage {self.address}: study {name} has another plan (data, parameters, objectives, sampler, seed, "
                "batch, costs or kernels): give another --name"
            )
        for trial in self._study.get_trials(deepcopy=False):
            if not trial.state.is_finished():  # of another program that asked this study
                self._study.tell(trial.number, state=optuna.trial.TrialState.FAIL)

    def trials(self) -> list[Any]:
        """Return all trials, in the order of their numbers."""
        found: list[Any] = self._study.get_trials(deepcopy=False)
        return found

    def append(self, trials: Sequence[Any], before: int) -> None:
        """Add finished trials behind the ``before`` that are there.

        Raises
        ------
        Failed
            Others are there: something else writes to this study; or the storage fails.
        """
        if not trials:
            return
        try:
            engine = getattr(getattr(self._storage, "_backend", self._storage), "engine", None)
            there = len(self._study.get_trials(deepcopy=False)) if engine is None else None
            if engine is not None:
                insert(engine, self._study._study_id, trials, before)
            elif there == before:
                self._study.add_trials(trials)
            else:
                raise OtherWriter(there)
        except OtherWriter as error:
            raise Failed(
                f"storage {self.address}: {error} trials are there, {before} expected: something else writes to the "
                "study; stop it, then run the same command again"
            ) from error
        except Exception as error:
            raise Failed(
                f"storage {self.address}: the trials could not be written ({first_line(error)}); what was written "
                "before is intact: run the same command again"
            ) from error


class OtherWriter(Exception):
    """The study has not the number of trials it should have."""


def storage_of(address: str) -> Any:
    """Return the storage at an address: a database's URL, or ``journal:PATH``, a log that several machines share."""
    optuna = quiet_optuna()
    if address.startswith("journal:"):
        backend = optuna.storages.journal.JournalFileBackend(address.removeprefix("journal:"))
        return optuna.storages.JournalStorage(backend)
    if address.startswith("sqlite"):
        from sqlalchemy import event

        made = optuna.storages.RDBStorage(address)

        @event.listens_for(made.engine, "connect")
        def _(connection: Any, _record: Any) -> None:
            connection.execute("pragma journal_mode = wal")  # one flush a batch; a kill loses nothing
            connection.execute("pragma synchronous = normal")

        made.engine.dispose()
        return made
    return optuna.storages.get_storage(address)


def insert(engine: Any, study: int, trials: Sequence[Any], before: int) -> None:
    """Write finished trials to a database in one transaction: all of them or none.

    Optuna's ``add_trials`` makes a transaction and a dozen queries for each trial, 10 ms and more of it.
    """
    from optuna.distributions import distribution_to_json
    from optuna.storages._rdb import models
    from sqlalchemy import func, select

    tables = {
        name: getattr(models, name).__table__
        for name in dir(models)
        if name.startswith("Trial") and name.endswith("Model")
    }
    whole, points = models.TrialValueModel, models.TrialIntermediateValueModel
    rows: dict[str, list[dict[str, Any]]] = {}
    with engine.begin() as connection:
        table = tables["TrialModel"]
        there = connection.execute(select(func.count()).select_from(table).where(table.c.study_id == study)).scalar()
        if there != before:
            raise OtherWriter(there)
        for number, trial in enumerate(trials, before):
            made = connection.execute(
                table.insert().values(
                    number=number,
                    study_id=study,
                    state=trial.state,
                    datetime_start=utc(trial.datetime_start),
                    datetime_complete=utc(trial.datetime_complete),
                )
            )
            own = {"trial_id": made.inserted_primary_key[0]}

            def add(model: str, own: dict[str, Any] = own, **row: Any) -> None:
                rows.setdefault(model, []).append(own | row)

            for name, value in trial.params.items():
                axis = trial.distributions[name]
                told, inner = distribution_to_json(axis), axis.to_internal_repr(value)
                add("TrialParamModel", param_name=name, param_value=inner, distribution_json=told)
            for place, value in enumerate(trial.values or ()):
                kept, form = whole.value_to_stored_repr(value)
                add("TrialValueModel", objective=place, value=kept, value_type=form)
            for step, value in trial.intermediate_values.items():
                kept, kind = points.intermediate_value_to_stored_repr(value)
                add("TrialIntermediateValueModel", step=step, intermediate_value=kept, intermediate_value_type=kind)
            for key, value in trial.user_attrs.items():
                add("TrialUserAttributeModel", key=key, value_json=json.dumps(value))
            for key, value in trial.system_attrs.items():
                add("TrialSystemAttributeModel", key=key, value_json=json.dumps(value))
        for model, some in rows.items():
            connection.execute(tables[model].insert(), some)


def utc(moment: dt.datetime | None) -> dt.datetime | None:
    """Return a local time as Optuna's tables hold it: UTC, without saying so."""
    return None if moment is None else moment.astimezone(dt.UTC).replace(tzinfo=None)


def sqlite_address(folder: Path) -> str:
    """Return the address of the storage a search has unless it is given another."""
    return f"sqlite:///{(folder / 'study.sqlite').resolve()}"


def shown_address(address: str) -> str:
    """Return an address without its password."""
    head, at, tail = address.rpartition("@")
    scheme, slashes, user = head.partition("://")
    return f"{scheme}{slashes}{user.partition(':')[0]}:***@{tail}" if at and ":" in user else address


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
