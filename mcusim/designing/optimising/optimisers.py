"""Who picks: optimisers that ask for networks one by one and are told how good each is.

All are deterministic by their seed. `evolution` and `random` are here; `tpe` and `nsga2` are optuna's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from mcusim.designing.draw import Draw
from mcusim.designing.effort import Optimiser
from mcusim.designing.optimising.candidates import Candidate
from mcusim.designing.spaces.choosing import FRACTIONS, Pick, Picks, drawn, replayed
from mcusim.errors import InputError

__all__ = ["Evaluate", "optimise"]

Evaluate = Callable[[Pick], Candidate]

POPULATION = 20
"""Networks that evolution breeds from, the oldest dying first; a fifth of all evaluations where these are few."""
TOURNAMENT = 0.2
"""Share of the population of which the best has the next child."""
CROSSED = 2
"""One child in so many has two parents."""
PAIRED = 2
"""One child in so many has two choices made anew."""
DRAWN_FIRST = 10
"""Networks that optuna's TPE draws before it learns."""


def optimise(kind: Optimiser, evaluate: Evaluate, evaluations: int, seed: int) -> None:
    """Ask for so many networks."""
    if kind is Optimiser.RANDOM:
        for number in range(evaluations):
            evaluate(drawn(seed * FRACTIONS + number))
    elif kind is Optimiser.EVOLUTION:
        _evolve(evaluate, evaluations, seed)
    else:
        _study(kind, evaluate, evaluations, seed)


def _evolve(evaluate: Evaluate, evaluations: int, seed: int) -> None:
    """Regularised evolution: the best of a few random members of the population has a child; the oldest member dies."""
    draw = Draw(seed)
    size = max(2, min(POPULATION, evaluations // 5))
    population: deque[Candidate] = deque(maxlen=size)
    for number in range(evaluations):
        if len(population) < size:
            population.append(evaluate(drawn(seed * FRACTIONS + number)))
            continue
        picks = _parent(population, draw).picks
        if draw.index(CROSSED) == 0:
            picks = _crossed(picks, _parent(population, draw).picks, draw)
        population.append(evaluate(_mutated(picks, draw, seed * FRACTIONS + number)))


def _parent(population: Sequence[Candidate], draw: Draw) -> Candidate:
    """The best of a few."""
    few = [draw.one(population) for _ in range(max(2, round(len(population) * TOURNAMENT)))]
    return min(few, key=lambda one: one.rank)


def _crossed(one: Picks, other: Picks, draw: Draw) -> Picks:
    """Each choice as one of two parents has it."""
    return {name: other[name] if name in other and draw.index(2) else index for name, index in one.items()}


def _mutated(picks: Picks, draw: Draw, seed: int) -> Pick:
    """As `picks`, but one choice or two made anew. What was not chosen there is drawn."""
    names = list(picks)
    anew = {names[draw.index(len(names))] for _ in range(1 + (draw.index(PAIRED) == 0))} if names else set()
    fresh = drawn(seed)
    kept = replayed({name: index for name, index in picks.items() if name not in anew}, fresh)

    def pick(name: str, count: int) -> int:
        if name in anew and count > 1:  # another than before
            return (picks[name] + 1 + fresh(name, count - 1)) % count
        return kept(name, count)

    return pick


def _study(kind: Optimiser, evaluate: Evaluate, evaluations: int, seed: int) -> None:
    """One of optuna's samplers: the score is its objective, the excess over the budgets its constraint."""
    optuna = _optuna()
    if kind is Optimiser.TPE:
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=DRAWN_FIRST, constant_liar=False)
    else:
        size = max(2, min(POPULATION, evaluations // 5))
        sampler = optuna.samplers.NSGAIISampler(seed=seed, population_size=size)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for _ in range(evaluations):
        trial = study.ask()
        candidate = evaluate(partial(_suggested, trial))
        trial.set_constraint("excess", candidate.excess)
        study.tell(trial, candidate.score if candidate.score is not None else 0.0)


def _suggested(trial: Any, name: str, count: int) -> int:
    """Options are in order, as widths and kernels are."""
    if count == FRACTIONS:
        return int(trial.suggest_float(name, 0, 1) * (FRACTIONS - 1))
    return int(trial.suggest_int(f"{name} of {count}", 0, count - 1))


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        fix = "install mcusim[search], or use evolution"
        raise InputError("optuna is not installed", where="optimiser", fix=fix) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
