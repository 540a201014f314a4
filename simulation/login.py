"""Procore's login host in memory: a refresh token is good once, and every use is remembered."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from services.procore.oauth import (
    Given,
    InvalidGrant,
    NotProcessed,
    NotSent,
    TokenAnswer,
    TokenPair,
)
from services.procore.oauth import Unknown as NoAnswer
from services.settings import Secret
from simulation.counting import History
from simulation.faults import Faults
from simulation.processes import Process, ProcessDied

DEADLINE_S = 60.0


@dataclass(slots=True)
class LoginHost:
    """Which tokens are good, how often each refresh token was presented, and whose answers went."""

    now_s: Callable[[], float]
    history: History
    access: dict[str, tuple[str, float]] = field(default_factory=dict)  # whose, until
    current: dict[str, str] = field(default_factory=dict)  # refresh token to whose
    presented: Counter[str] = field(default_factory=Counter)
    redeemed: Counter[str] = field(default_factory=Counter)
    owners: dict[str, str] = field(default_factory=dict)  # of refresh tokens, spent ones too
    lost_answers: Counter[str] = field(default_factory=Counter)  # by Procore user id
    unheard: Counter[str] = field(default_factory=Counter)  # all that came to no answer, likewise
    reuses: Counter[str] = field(default_factory=Counter)
    counter: int = 0

    def give(self, user_id: str, lasts_s: float) -> TokenPair:
        """Give somebody a pair; their older refresh token is good no more."""
        self.counter += 1
        access, refresh = f"access-{self.counter}", f"refresh-{self.counter}"
        self.access[access] = (user_id, self.now_s() + lasts_s)
        self.current = {one: whose for one, whose in self.current.items() if whose != user_id}
        self.current[refresh] = self.owners[refresh] = user_id
        return TokenPair(Secret(access), Secret(refresh), lasts_s)

    def user_of(self, access_token: str) -> str | None:
        """Return whose a good access token is."""
        user_id, until_s = self.access.get(access_token, (None, 0.0))
        return user_id if until_s > self.now_s() else None

    def redeem(self, refresh_token: str, lasts_s: float) -> TokenPair | None:
        """Spend a refresh token; None when it is not good."""
        self.presented[refresh_token] += 1
        self.history.tell("login host", "is given", token=refresh_token)
        whose = self.current.get(refresh_token)
        if whose is None:
            self.reuses[refresh_token] += 1
            return None
        self.redeemed[refresh_token] += 1
        return self.give(whose, lasts_s)


class LoginPort:
    """The token endpoint as one replica of the token service reaches it."""

    def __init__(
        self, host: LoginHost, process: Process, faults: Faults, *, lasts_s: float
    ) -> None:
        self._host = host
        self._process = process
        self._faults = faults
        self._lasts_s = lasts_s

    async def renew(self, refresh_token: Secret) -> TokenAnswer:
        """Spend a refresh token; sent once, never again by itself."""
        token = refresh_token.reveal()
        answer: TokenAnswer = NoAnswer("no answer")
        try:
            answer = await self._answer(token)
        finally:
            if isinstance(answer, NoAnswer):
                self._host.unheard[self._host.owners[token]] += 1
        return answer

    async def _answer(self, token: str) -> TokenAnswer:
        await self._process.gate()
        faults = self._faults
        if not faults.chance(faults.rates.refresh_trouble):
            await asyncio.sleep(faults.between(0.05, 1.0))
            await self._process.gate()
            return self._redeem(token)
        return await self._in_trouble(token)

    async def _in_trouble(self, token: str) -> TokenAnswer:
        faults = self._faults
        trouble = faults.random.choice(("not_sent", "busy", "slow", "lost", "answer_lost", "die"))
        self._host.history.tell("login host", "has trouble", kind=trouble, token=token)
        match trouble:
            case "not_sent":
                return NotSent("no connection")
            case "busy":
                return NotProcessed("429", wait_s=faults.between(5, 60))
            case "slow":
                await asyncio.sleep(faults.between(10, DEADLINE_S - 5))
                await self._process.gate()
                return self._redeem(token)
            case "lost":
                await asyncio.sleep(DEADLINE_S)
                await self._process.gate()
                return NoAnswer("no answer")
            case "answer_lost":
                self._spend(token)
                await asyncio.sleep(DEADLINE_S)
                await self._process.gate()
                return NoAnswer("no answer")
            case _:
                if faults.chance(0.5):
                    self._spend(token)
                self._process.die("a refresh")
                raise ProcessDied

    def _redeem(self, token: str) -> TokenAnswer:
        pair = self._host.redeem(token, self._lasts_s)
        return InvalidGrant() if pair is None else Given(pair)

    def _spend(self, token: str) -> None:
        """Spend it, and let nobody hear the answer: only this may cost a grant."""
        whose = self._host.current.get(token)
        if self._host.redeem(token, self._lasts_s) is not None and whose is not None:
            self._host.lost_answers[whose] += 1
            self._host.history.count("refresh token spent without an answer")

    async def revoke(self, token: Secret) -> None:
        """End a token pair."""
        await self._process.gate()
        self._host.access.pop(token.reveal(), None)
